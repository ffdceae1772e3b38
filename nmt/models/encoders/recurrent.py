"""Recurrent encoder: source tokens to the memory that the decoder attends to and the final state for the bridge."""

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig, RecurrentEncoderConfig
from nmt.models.embedding import SourceEmbedding
from nmt.models.interface import Encoded
from nmt.models.layers.block import PreNormFeedForward, embedding_projection
from nmt.models.layers.cells import build_layer
from nmt.models.layers.recurrent import Dropout, LayerState, RecurrentLayer, WordDropout, reverse_within_length


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers, each bidirectional or unidirectional, with residual connections.

    Bidirectional layers: Schuster and Paliwal 1997. GNMT has a bidirectional bottom layer and unidirectional layers
    above it (Wu et al. 2016, 3.2).
    """

    embedding_exponent = 0.25

    def __init__(self, config: RecurrentEncoderConfig, model: ModelConfig, embedding: SourceEmbedding) -> None:
        super().__init__()
        both, widths = config.layer_widths(model.hidden_size)
        self.embedding_projection = embedding_projection(model.embed_size, widths[0], config.residual_from)
        inputs = [widths[0] if self.embedding_projection else model.embed_size, *widths[:-1]]
        self.memory_size, self.state_size = model.hidden_size, widths[-1]
        self.embedding = embedding

        def direction(depth: int) -> nn.Module:
            width = widths[depth] // 2 if both[depth] else widths[depth]
            return build_layer(config, inputs[depth], width, masked=True, transitions=config.transitions)

        self.forwards = nn.ModuleList(direction(depth) for depth in range(config.layers))
        self.backwards = nn.ModuleList(direction(depth) for depth in range(both.count(True)))
        feed_forward = config.feed_forward
        self.blocks = nn.ModuleList(PreNormFeedForward(width, feed_forward) for width in widths if feed_forward)
        projected = widths[-1] != model.hidden_size
        self.projection = nn.Linear(widths[-1], model.hidden_size, bias=False) if projected else None
        self.residual_from = config.residual_from or config.layers + 1
        self.reverse_source = config.reverse_source
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.word_dropout = WordDropout(model.word_dropout)

    @property
    def bound(self) -> float:
        """Largest magnitude of an output.

        The output is a sum over layers, of values in [-1, 1] for most cells. With the embeddings in the sum, and after
        feed-forward blocks or a projection, it has no bound.
        """
        if self.blocks or self.projection is not None or self.residual_from == 1:
            return float("inf")
        bounds: list[float] = [layer.output_bound for layer in self.forwards if isinstance(layer, RecurrentLayer)]
        return sum(bounds)

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        """Encode a batch.

        Args:
            src: token ids, padded on the left, (S, B).
            mask: True on real tokens, (S, B).

        Returns:
            Memory (S, B, H), zero on padding, final state, and embeddings after dropout. Memory and embeddings are in
            the order of `src`, also with `reverse_source`.
        """
        mirror = words_reversed(mask) if self.reverse_source else None
        if mirror is not None:
            src = src.gather(0, mirror)
        x = self.dropout(self.word_dropout(self.embedding(src)))  # (S, B, E)
        words = x
        if self.embedding_projection is not None:
            x = self.embedding_projection(x)
        if self.residual_from == 1:  # padding has an embedding, which is not part of the memory
            x = x * mask.unsqueeze(-1)
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
        return Encoded(x, words, state)

    def layer(self, depth: int, x: Tensor, mask: Tensor) -> tuple[Tensor, LayerState]:
        """Run one layer, (S, B, I) -> (S, B, H), to its outputs and what the bridge reads of its state.

        A bidirectional layer also reads each sentence from its end.
        """
        outputs, state = run_direction(self.forwards[depth], x, mask)
        if depth >= len(self.backwards):
            return outputs, state
        mirror = reverse_within_length(mask).unsqueeze(-1)  # (S, B, 1)
        reversed_outputs, reversed_state = run_direction(self.backwards[depth], x.gather(0, mirror.expand_as(x)), mask)
        backward = reversed_outputs.gather(0, mirror.expand_as(reversed_outputs))
        both = tuple(torch.cat(pair, dim=-1) for pair in zip(state, reversed_state, strict=True))
        return torch.cat([outputs, backward], dim=-1), both


def run_direction(layer: nn.Module, x: Tensor, mask: Tensor) -> tuple[Tensor, LayerState]:
    """Return a layer's outputs (S, B, H) for x (S, B, I), and the part of its last state that the bridge reads."""
    assert isinstance(layer, RecurrentLayer)
    outputs, state = layer(x, mask=mask)
    return outputs, layer.summary(state)


def words_reversed(mask: Tensor) -> Tensor:
    """Return indices (S, B) that reverse each left-padded column of `mask` except its last token, eos."""
    last = torch.zeros_like(mask[-1:], dtype=torch.long) + (mask.size(0) - 1)
    return torch.cat([reverse_within_length(mask[:-1]), last])
