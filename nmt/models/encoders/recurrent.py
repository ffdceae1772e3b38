"""Recurrent encoder: source tokens to the memory that the decoder attends to and the final state for the bridge."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig, encoder_widths
from nmt.models.embedding import SourceEmbedding
from nmt.models.layers.cells import build_layer
from nmt.models.layers.recurrent import Dropout, LayerState, RecurrentLayer, WordDropout, reverse_within_length


class Encoded(NamedTuple):
    """Encoder output for a batch of source sentences."""

    outputs: Tensor
    """Memory, (S, B, H), zero on padding."""
    state: LayerState
    """Final state of the top layer with both directions concatenated: h and c of an LSTM, otherwise h; each (B, H)."""
    words: Tensor
    """Source embeddings after dropout, in source order, (S, B, E); used by the lexicon."""


class Encoder(nn.Module):
    """Stacked recurrent layers, each bidirectional or unidirectional, with residual connections.

    Bidirectional layers: Schuster and Paliwal 1997. GNMT has a bidirectional bottom layer and unidirectional layers
    above it (Wu et al. 2016, 3.2).
    """

    def __init__(self, config: ModelConfig, embedding: SourceEmbedding) -> None:
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
        self.blocks = nn.ModuleList(PreNormFeedForward(width, feed_forward) for width in widths if feed_forward)
        projected = widths[-1] != config.hidden_size
        self.projection = nn.Linear(widths[-1], config.hidden_size, bias=False) if projected else None
        self.residual_from = config.residual_from or config.encoder_layers + 1
        self.reverse_source = config.reverse_source
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    @property
    def bound(self) -> float:
        """Largest magnitude of an output.

        The output is a sum over layers, of values in [-1, 1] for most cells. After feed-forward blocks or a projection
        it has no bound.
        """
        if self.blocks or self.projection is not None:
            return float("inf")
        bounds: list[float] = [layer.output_bound for layer in self.forwards if isinstance(layer, RecurrentLayer)]
        return sum(bounds)

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        """Encode a batch.

        Args:
            src: token ids, padded on the left, (S, B).
            mask: True on real tokens, (S, B).

        Returns:
            Memory, final state and embeddings. Memory and embeddings are in the order of `src`, also with
            `reverse_source`.
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
            x, words = (part.gather(0, mirror.unsqueeze(-1).expand_as(part)) for part in (x, words))
        return Encoded(x, state, words)

    def layer(self, depth: int, x: Tensor, mask: Tensor) -> tuple[Tensor, LayerState]:
        """Run one layer, (S, B, I) -> (S, B, H); a bidirectional layer also reads each sentence from its end."""
        outputs, state = self.forwards[depth](x, mask=mask)
        if depth >= len(self.backwards):
            return outputs, state
        mirror = reverse_within_length(mask).unsqueeze(-1)  # (S, B, 1)
        reversed_outputs, reversed_state = self.backwards[depth](x.gather(0, mirror.expand_as(x)), mask=mask)
        backward = reversed_outputs.gather(0, mirror.expand_as(reversed_outputs))
        both = tuple(torch.cat(pair, dim=-1) for pair in zip(state, reversed_state, strict=True))
        return torch.cat([outputs, backward], dim=-1), both


class PreNormFeedForward(nn.Module):
    """Feed-forward block W' relu(W LN(x)), whose output is added to x after a recurrent layer (Domhan 2018)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block, (..., H) -> (..., H)."""
        result: Tensor = self.outer(self.inner(self.norm(x)).relu())
        return result


def words_reversed(mask: Tensor) -> Tensor:
    """Return indices (S, B) that reverse each left-padded column of `mask` except its last token, eos."""
    last = torch.full_like(mask[-1:], len(mask) - 1, dtype=torch.long)
    return torch.cat([reverse_within_length(mask[:-1]), last])
