"""Bridge from the encoder's last state to the decoder's first states. B sentences, H width of the states."""

import torch
from torch import nn

from nmt.config import BridgeKind, ModelConfig, encoder_widths
from nmt.models.layers.cells import cell_type
from nmt.models.layers.recurrent import LayerState


class Bridge(nn.Module):
    """Learned initial states: h0 = tanh(W h), c0 = V c (cf. Bahdanau et al. 2015, A.2.2).

    For cells that do not read h, h0 is zero.
    """

    def __init__(
        self, encoder_size: int, hidden_size: int, decoder_layers: int, states: int, reads_output: bool = True
    ) -> None:
        super().__init__()
        self.h = nn.Linear(encoder_size, decoder_layers * hidden_size) if reads_output else None
        self.c = nn.Linear(encoder_size, decoder_layers * hidden_size) if states == 2 else None
        self.layers = decoder_layers

    def forward(self, state: LayerState) -> list[LayerState]:
        """Map the encoder's state, each (B, H), to one state per decoder layer."""
        h = () if self.h is None else self.h(state[0]).tanh().chunk(self.layers, -1)
        if self.c is None:
            return [(part,) for part in h]
        c = self.c(state[1]).chunk(self.layers, -1)
        return list(zip(h or [torch.zeros_like(part) for part in c], c, strict=True))


class ZeroBridge(nn.Module):
    """Initial states of zeros. The decoder reads the source through its attention only."""

    def __init__(self, hidden_size: int, decoder_layers: int, states: int) -> None:
        super().__init__()
        self.hidden_size, self.layers, self.states = hidden_size, decoder_layers, states

    def forward(self, state: LayerState) -> list[LayerState]:
        """Return zeros for each decoder layer, in the batch size and type of the encoder's state."""
        zeros = state[0].new_zeros(len(state[0]), self.hidden_size)
        return [(zeros,) * self.states] * self.layers


def build_bridge(config: ModelConfig) -> Bridge | ZeroBridge:
    """Build the configured bridge."""
    layer = cell_type(config.cell)
    states = layer.states
    match config.bridge:
        case BridgeKind.learned:
            width = encoder_widths(config)[1][-1]
            return Bridge(width, config.hidden_size, config.decoder_layers, states, layer.reads_output)
        case BridgeKind.zero:
            return ZeroBridge(config.hidden_size, config.decoder_layers, states)
