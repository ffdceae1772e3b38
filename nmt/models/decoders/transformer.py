"""Transformer decoder: Vaswani et al. 2017, 3.1.

B sentences with K hypotheses each (K is 1 in training), S and T source and target length, E width, N heads, D = E / N.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig, TransformerDecoderConfig
from nmt.models.embedding import Embedding, Positions
from nmt.models.interface import DecoderOutput, Encoded, selected_sentences
from nmt.models.layers.recurrent import Dropout, WordDropout
from nmt.models.layers.transformer import FeedForward, KeysValues, MultiHead, Residual, initialise


@dataclass
class TransformerState:
    """Keys and values of the source and of the target prefix."""

    source: list[KeysValues]
    """Keys and values of the source in each layer, each (B, N, S, D)."""
    mask: Tensor
    """True on real source tokens, (B, S)."""
    past: list[KeysValues]
    """Keys and values of the t target tokens decoded so far, in each layer, each (B K, N, t, D)."""

    def select(self, rows: Tensor) -> "TransformerState":
        """Return the state of the hypotheses `rows` (B', K'), as `AnyState.select`."""
        flat = rows.flatten()
        past = [(keys.index_select(0, flat), values.index_select(0, flat)) for keys, values in self.past]
        sentences = selected_sentences(rows, len(self.mask), len(self.past[0][0]))
        if sentences is None:
            return replace(self, past=past)
        source = [(keys.index_select(0, sentences), values.index_select(0, sentences)) for keys, values in self.source]
        return TransformerState(source, self.mask.index_select(0, sentences), past)


class TransformerDecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, and a feed-forward network."""

    def __init__(self, config: TransformerDecoderConfig, model: ModelConfig) -> None:
        super().__init__()
        self.attention, self.source_attention = (MultiHead(model.embed_size, config.heads) for _ in range(2))
        self.feed_forward = FeedForward(model.embed_size, config.feed_forward_size)
        self.around_attention, self.around_source_attention = (Residual(model, config.pre_norm) for _ in range(2))
        self.around_feed_forward = Residual(model, config.pre_norm)

    def forward(
        self, x: Tensor, past: KeysValues, source: KeysValues, mask: Tensor, with_weights: bool
    ) -> tuple[Tensor, KeysValues, Tensor | None]:
        """Decode T positions after t earlier ones.

        Args:
            x: input at T target positions, (T, B K, E).
            past: keys and values of the t earlier positions, each (B K, N, t, D).
            source: keys and values of the source, each (B, N, S, D).
            mask: source mask, (B, 1, 1, S).
            with_weights: return the weights of the attention to the source.

        Returns:
            The output (T, B K, E); keys and values of t + T positions; the weights (B, T K, S) or None.
        """
        y = self.around_attention.before(x)
        keys, values = (torch.cat(pair, dim=2) for pair in zip(past, self.attention.keys_values(y), strict=True))
        before = past[0].size(2)
        seen = None  # a single position is the last one and attends to all
        if len(x) > 1:  # a position attends to itself and to earlier ones
            seen = torch.ones(len(x), before + len(x), dtype=torch.bool, device=x.device).tril(before)
        context = self.attention(y, (keys, values), seen)
        x = self.around_attention.after(x, context)

        y, weights = self.around_source_attention.before(x), None
        if with_weights:
            context, weights = self.source_attention.with_weights(y, source, mask)
        else:
            context = self.source_attention(y, source, mask)
        x = self.around_source_attention.after(x, context)

        x = self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))
        return x, (keys, values), weights


class TransformerDecoder(nn.Module):
    """Embeddings, positions, and a stack of layers in which no target token attends to a later one (3.1)."""

    embedding_exponent = 0.5
    vector_bound = float("inf")

    def __init__(
        self, config: TransformerDecoderConfig, model: ModelConfig, embedding: Embedding, state_size: int | None
    ) -> None:
        """Initialise the decoder; it does not use the encoder's final state of width `state_size`."""
        super().__init__()
        self.memory_size = model.embed_size
        self.embedding = embedding
        self.positions = Positions(config.positions, config.max_positions, model.embed_size)
        self.layers = nn.ModuleList(TransformerDecoderLayer(config, model) for _ in range(config.layers))
        self.norm = nn.LayerNorm(model.embed_size) if config.pre_norm else nn.Identity()
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.word_dropout = WordDropout(model.word_dropout)
        initialise(self.layers)

    def start(self, encoded: Encoded, mask: Tensor) -> TransformerState:
        """Return the state before the first target token, from the memory (S, B, E) and the source mask (S, B)."""
        source = []
        for layer in self.layers:
            assert isinstance(layer, TransformerDecoderLayer)
            source.append(layer.source_attention.keys_values(encoded.memory, encoded.values))
        past = [(keys[:, :, :0], values[:, :, :0]) for keys, values in source]
        return TransformerState(source, mask.t(), past)

    def forward(self, tgt_in: Tensor, state: TransformerState) -> tuple[Tensor, Tensor | None]:
        """Map target tokens (T, B) to vectors (T, B, E) and the top layer's weights on the source, (B, T, S)."""
        vectors, _, weights = self.decode(tgt_in, state)
        return vectors, weights

    def step(self, tokens: Tensor, state: TransformerState) -> DecoderOutput[TransformerState]:
        """Decode one token per hypothesis, (B K,)."""
        vectors, state, weights = self.decode(tokens.unsqueeze(0), state)
        return DecoderOutput(vectors.squeeze(0), state, weights)

    def decode(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState, Tensor | None]:
        """Decode T tokens per hypothesis, (T, B K), from a state.

        Returns:
            The vectors (T, B K, E), the state after the last token, and the top layer's weights (B, T K, S).
        """
        before = state.past[0][0].size(2)
        positions = torch.arange(before, before + len(tokens), device=tokens.device).unsqueeze(1)  # (T, 1)
        x = self.dropout(self.positions(self.word_dropout(self.embedding(tokens)), positions))
        mask = state.mask[:, None, None]
        past, weights = [], None
        for layer, layer_past, source in zip(self.layers, state.past, state.source, strict=True):
            x, keys_values, weights = layer(x, layer_past, source, mask, with_weights=layer is self.layers[-1])
            past.append(keys_values)
        return self.norm(x), replace(state, past=past), weights
