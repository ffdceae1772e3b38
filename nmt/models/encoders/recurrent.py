"""The encoder: source tokens to a memory that the decoder attends to, and a last state for the bridge."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig, encoder_widths
from nmt.models.embedding import Embedding
from nmt.models.layers.cells import build_layer
from nmt.models.layers.recurrent import Dropout, LayerState, RecurrentLayer, WordDropout, reverse_within_length


class Encoded(NamedTuple):
    """What the encoder knows of a batch of source sentences."""

    outputs: Tensor
    """(S, B, H), zero on padding."""
    state: LayerState
    """Last state of the top layer, both directions side by side: of an LSTM h and c, each (B, H)."""
    words: Tensor
    """The source embeddings that the bottom layer reads, after dropout, in the order of the source, (S, B, E)."""


class Encoder(nn.Module):
    """Stacked recurrent layers, residual from the second on, each in both directions or in one.

    Schuster and Paliwal 1997. GNMT's reads in both directions below and in one above (Wu et al. 2016, 3.2).
    """

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        both, widths = encoder_widths(config)
        inputs = [config.embed_size, *widths[:-1]]
        self.embedding = embedding

        def direction(depth: int) -> nn.Module:
            width = widths[depth] // 2 if both[depth] else widths[depth]
            return build_layer(config, inputs[depth], width, masked=True, transitions=config.encoder_transitions)

        self.forwards = nn.ModuleList(direction(depth) for depth in range(config.encoder_layers))
        self.backwards = nn.ModuleList(direction(depth) for depth in range(both.count(True)))
        feed_forward = config.encoder_feed_forward
        self.blocks = nn.ModuleList(FeedForward(width, feed_forward) for width in widths if feed_forward)
        projected = widths[-1] != config.hidden_size
        self.projection = nn.Linear(widths[-1], config.hidden_size, bias=False) if projected else None
        self.residual_from = config.residual_from or config.encoder_layers + 1
        self.reverse_source = config.reverse_source
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    @property
    def bound(self) -> float:
        """No output is larger: a sum over the layers of numbers between -1 and 1; infinite where more is done."""
        if self.blocks or self.projection is not None:
            return float("inf")
        bounds: list[float] = [layer.output_bound for layer in self.forwards if isinstance(layer, RecurrentLayer)]
        return sum(bounds)

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        """
        Args:
            src: token ids, padded on the left, (S, B).
            mask: True on real tokens, (S, B).

        Returns:
            Outputs and words stand in the order of `src`, whichever way it was read.
        """
        mirror = words_reversed(mask) if self.reverse_source else None
        if mirror is not None:
            src = src.gather(0, mirror)
        x = self.dropout(self.word_dropout(self.embedding(src)))  # (S, B, E)
        words = x
        for depth in range(len(self.forwards)):
            outputs, state = self.layer(depth, x, mask)
            outputs = self.dropout(outputs)
            x = x + outputs if depth + 1 >= self.residual_from else outputs
            if self.blocks:
                x = x + self.dropout(self.blocks[depth](x)) * mask.unsqueeze(-1)
        if self.projection is not None:
            x = self.projection(x)
        if mirror is not None:
            x, words = (each.gather(0, mirror.unsqueeze(-1).expand_as(each)) for each in (x, words))
        return Encoded(x, state, words)

    def layer(self, depth: int, x: Tensor, mask: Tensor) -> tuple[Tensor, LayerState]:
        """(S, B, I) -> (S, B, H): one layer, forward, and backward from each sentence's end if it is bidirectional."""
        outputs, state = self.forwards[depth](x, mask=mask)
        if depth >= len(self.backwards):
            return outputs, state
        mirror = reverse_within_length(mask).unsqueeze(-1)  # (S, B, 1)
        reversed_outputs, reversed_state = self.backwards[depth](x.gather(0, mirror.expand_as(x)), mask=mask)
        backward = reversed_outputs.gather(0, mirror.expand_as(reversed_outputs))
        both = tuple(torch.cat(pair, dim=-1) for pair in zip(state, reversed_state, strict=True))
        return torch.cat([outputs, backward], dim=-1), both


class FeedForward(nn.Module):
    """W' relu(W LN(x)): the block after a recurrent layer, to be added to x (Domhan 2018)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., H) -> (..., H)."""
        result: Tensor = self.outer(self.inner(self.norm(x)).relu())
        return result


def words_reversed(mask: Tensor) -> Tensor:
    """Indices (S, B) that reverse each left-padded column of the mask but for its last token, eos, which stays last."""
    last = torch.full_like(mask[-1:], len(mask) - 1, dtype=torch.long)
    return torch.cat([reverse_within_length(mask[:-1]), last])
