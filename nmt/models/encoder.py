"""The encoder: source tokens to a memory that the decoder attends to, and a last state for the bridge."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.embedding import Embedding
from nmt.models.recurrent import Dropout, LSTMState, MaskedLSTM, WordDropout, reverse_within_length


class Encoded(NamedTuple):
    """What the encoder knows of a batch of source sentences."""

    outputs: Tensor
    """(S, B, H), zero on padding."""
    state: LSTMState
    """Last state of the top layer, both directions side by side: h and c, each (B, H)."""


class Encoder(nn.Module):
    """Stacked LSTM, bidirectional or not (Schuster and Paliwal 1997), residual from the second layer on."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        width = config.hidden_size // 2 if config.bidirectional else config.hidden_size
        sizes = [config.embed_size] + [config.hidden_size] * (config.encoder_layers - 1)
        self.embedding = embedding
        self.forwards = nn.ModuleList([MaskedLSTM(size, width) for size in sizes])
        self.backwards = nn.ModuleList([MaskedLSTM(size, width) for size in sizes] if config.bidirectional else [])
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    @property
    def bound(self) -> float:
        """No output is larger: a sum over the layers of numbers between -1 and 1."""
        return float(len(self.forwards))

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        """
        Args:
            src: token ids, padded on the left, (S, B).
            mask: True on real tokens, (S, B).
        """
        x = self.dropout(self.word_dropout(self.embedding(src)))  # (S, B, E)
        for depth in range(len(self.forwards)):
            outputs, state = self.layer(depth, x, mask)
            x = x + self.dropout(outputs) if depth > 0 else self.dropout(outputs)
        return Encoded(x, state)

    def layer(self, depth: int, x: Tensor, mask: Tensor) -> tuple[Tensor, LSTMState]:
        """(S, B, I) -> (S, B, H): one layer, forward, and backward from each sentence's end if it is bidirectional."""
        outputs, state = self.forwards[depth](x, mask)
        if not self.backwards:
            return outputs, state
        mirror = reverse_within_length(mask).unsqueeze(-1)  # (S, B, 1)
        reversed_outputs, reversed_state = self.backwards[depth](x.gather(0, mirror.expand_as(x)), mask)
        backward = reversed_outputs.gather(0, mirror.expand_as(reversed_outputs))
        h, c = (torch.cat(pair, dim=-1) for pair in zip(state, reversed_state, strict=True))
        return torch.cat([outputs, backward], dim=-1), (h, c)
