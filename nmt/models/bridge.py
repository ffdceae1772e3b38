"""Bridge from any encoder to any decoder: the width of the memory, and the first states of a recurrent decoder.

A recurrent decoder starts from the encoder's final state. An encoder without recurrence has none: the decoder then
starts from the mean of the memory over the source tokens, as that of Nematus does (Sennrich et al. 2017, 2).

B sentences, S source length, M width of the memory, H of the states.
"""

import torch
from torch import Tensor, nn

from nmt.config import BridgeKind, RecurrentDecoderConfig
from nmt.models.interface import Encoded
from nmt.models.layers.cells import cell_type
from nmt.models.layers.recurrent import LayerState


class MemoryBridge(nn.Module):
    """Linear map of the memory to the width in which the decoder attends to it."""

    def __init__(self, memory_size: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(memory_size, width, bias=False)

    def forward(self, encoded: Encoded) -> Encoded:
        """Map memory and values, (S, B, M), to the width of the decoder."""
        values = None if encoded.values is None else self.projection(encoded.values)
        return encoded._replace(memory=self.projection(encoded.memory), values=values)


class Bridge(nn.Module):
    """Learned initial states: h0 = tanh(W h), c0 = V c (cf. Bahdanau et al. 2015, A.2.2).

    In a decoder that does not read its first h, h0 is zero. From a state without c, c0 = V h.
    """

    def __init__(
        self, encoder_size: int, hidden_size: int, decoder_layers: int, vectors: int, reads_output: bool = True
    ) -> None:
        super().__init__()
        self.h = nn.Linear(encoder_size, decoder_layers * hidden_size) if reads_output else None
        self.c = nn.Linear(encoder_size, decoder_layers * hidden_size) if vectors == 2 else None
        self.layers = decoder_layers

    def forward(self, encoded: Encoded, mask: Tensor) -> list[LayerState]:
        """Return h, and c where there is one, per decoder layer, each (B, H); `mask` is the source mask, (S, B)."""
        state = (mean_memory(encoded.memory, mask),) if encoded.state is None else encoded.state
        h = () if self.h is None else self.h(state[0]).tanh().chunk(self.layers, -1)
        if self.c is None:
            return [(part,) for part in h]
        c = self.c(state[-1]).chunk(self.layers, -1)
        return list(zip(h or [torch.zeros_like(part) for part in c], c, strict=True))


class ZeroBridge(nn.Module):
    """Initial states of zeros. The decoder reads the source through its attention only."""

    def __init__(self, hidden_size: int, decoder_layers: int, vectors: int) -> None:
        super().__init__()
        self.hidden_size, self.layers, self.vectors = hidden_size, decoder_layers, vectors

    def forward(self, encoded: Encoded, mask: Tensor) -> list[LayerState]:
        """Return zeros for each decoder layer, in the batch size and type of the memory."""
        zeros = encoded.memory.new_zeros(mask.size(1), self.hidden_size)
        return [(zeros,) * self.vectors] * self.layers


def mean_memory(memory: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the real tokens, (B, M), of a memory (S, B, M) with its mask (S, B)."""
    real = mask.unsqueeze(-1)
    return memory.masked_fill(~real, 0).sum(dim=0) / real.sum(dim=0)


def reads_first_output(config: RecurrentDecoderConfig) -> bool:
    """Return whether a decoder reads its first h: in its cell, or as the attention query of the decoder `bahdanau`."""
    return cell_type(config.cell).reads_output or config.kind == "bahdanau"


def build_bridge(config: RecurrentDecoderConfig, hidden_size: int, encoder_size: int) -> Bridge | ZeroBridge:
    """Build the configured bridge to the states of a recurrent decoder from a state of width `encoder_size`."""
    layer = cell_type(config.cell)
    match config.bridge:
        case BridgeKind.learned:
            return Bridge(encoder_size, hidden_size, config.layers, layer.bridged(), reads_first_output(config))
        case BridgeKind.zero:
            return ZeroBridge(hidden_size, config.layers, layer.bridged())
