"""The Transformer: Vaswani et al. 2017.

B sentences with K hypotheses each (K is 1 in training), S and T their lengths, E width, N heads, D = E / N.
Sequences are time-major as everywhere, (T, B, E), and have their heads as (B, N, T, D).
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from nmt.config import ModelConfig
from nmt.models.attention import source_positions
from nmt.models.embedding import Embedding, Positions
from nmt.models.layers.recurrent import Dropout, WordDropout

KeysValues = tuple[Tensor, Tensor]


class MultiHead(nn.Module):
    """Attention in N slices of projected queries, keys and values (3.2.2); a bias of the keys would cancel out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.value, self.output = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)
        self.heads = heads

    def slices(self, x: Tensor, batch: int) -> Tensor:
        """(T, B K, E) -> (B, N, T K, D): hypotheses of one sentence are so many queries more."""
        steps, rows, width = x.shape
        x = x.view(steps, batch, rows // batch, self.heads, width // self.heads)
        return x.permute(1, 3, 0, 2, 4).flatten(2, 3)

    def keys_values(self, x: Tensor) -> KeysValues:
        """Of what is attended to, (S, B, E), each (B, N, S, D)."""
        batch = x.size(1)
        return self.slices(self.key(x), batch), self.slices(self.value(x), batch)

    def forward(self, x: Tensor, keys_values: KeysValues, mask: Tensor | None) -> Tensor:
        """softmax(Q K' / sqrt(D)) V of each head, side by side, projected (eq. 1), in torch's fused kernel.

        Args:
            x: where the queries come from, (T, B K, E).
            keys_values: each (B, N, S, D).
            mask: True where a query may look, broadcasts to (B, N, T K, S); None: everywhere.
        """
        keys, values = keys_values
        return self.join(scaled_dot_product_attention(self.slices(self.query(x), len(keys)), keys, values, mask), x)

    def with_weights(self, x: Tensor, keys_values: KeysValues, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The same without the kernel, and the weights' mean over the heads, (B, T K, S)."""
        keys, values = keys_values
        query = self.slices(self.query(x), len(keys))
        scores = query @ keys.transpose(2, 3) / math.sqrt(query.size(-1))
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)  # (B, N, T K, S)
        return self.join(weights.to(values.dtype) @ values, x), weights.mean(dim=1)

    def join(self, contexts: Tensor, x: Tensor) -> Tensor:
        """Contexts (B, N, T K, D) to the output in the shape of x, (T, B K, E)."""
        batch, heads, _, width = contexts.shape
        contexts = contexts.view(batch, heads, len(x), -1, width).permute(2, 0, 3, 1, 4)
        joined: Tensor = self.output(contexts.reshape(x.shape))
        return joined


class FeedForward(nn.Module):
    """W max(0, V x + a) + b at each position (eq. 2)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.outer(relu(self.inner(x)))
        return output


class Residual(nn.Module):
    """What stands around a sublayer: x' = norm(x + f(x)) (3.1), or with `pre_norm` x + f(norm(x)) (Xiong et al. 2020).

    f drops units of its result (5.4).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.embed_size)
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.pre_norm = config.pre_norm

    def before(self, x: Tensor) -> Tensor:
        """What goes into the sublayer."""
        return self.norm(x) if self.pre_norm else x

    def after(self, x: Tensor, output: Tensor) -> Tensor:
        """What comes behind it, from x and the sublayer's output."""
        x = x + self.dropout(output)
        return x if self.pre_norm else self.norm(x)


class EncoderLayer(nn.Module):
    """Attention to the source itself, and a feed-forward network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = MultiHead(config.embed_size, config.heads)
        self.feed_forward = FeedForward(config.embed_size, config.feed_forward_size)
        self.around_attention, self.around_feed_forward = Residual(config), Residual(config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(S, B, E) and the mask (B, 1, 1, S) -> (S, B, E)."""
        y = self.around_attention.before(x)
        x = self.around_attention.after(x, self.attention(y, self.attention.keys_values(y), mask))
        return self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))


class TransformerEncoder(nn.Module):
    """Embeddings, positions, and a stack of layers (Vaswani et al. 2017, 3.1)."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = Positions(config.positions, config.max_positions, config.embed_size)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.embed_size) if config.pre_norm else nn.Identity()
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)
        initialise(self.layers)

    def forward(self, src: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask, (S, B), padded on the left, to (S, B, E).

        A position is counted from the sentence's first real token, and no real token looks at padding, so that a
        sentence is encoded as if it were alone; what stands on padding means nothing.
        """
        x = self.dropout(self.positions(self.word_dropout(self.embedding(src)), source_positions(mask.t()).t()))
        for layer in self.layers:
            x = layer(x, mask.t()[:, None, None])
        encoded: Tensor = self.norm(x)
        return encoded


@dataclass
class TransformerState:
    """What a next step needs: keys and values of the source and of the target so far."""

    source: list[KeysValues]
    """Of the source, in each layer, each (B, N, S, D)."""
    mask: Tensor
    """True on real source tokens, (B, S)."""
    past: list[KeysValues]
    """Of the target tokens that were read, t of them, in each layer, each (B K, N, t, D)."""

    def select(self, rows: Tensor) -> "TransformerState":
        """The state of other hypotheses: `rows` (B', K') index the B K rows, K' of one sentence in each line."""
        flat = rows.flatten()
        past = [(keys[flat], values[flat]) for keys, values in self.past]
        sentences = rows[:, 0] * len(self.mask) // len(self.past[0][0])
        if torch.equal(sentences, torch.arange(len(self.mask), device=rows.device)):
            return replace(self, past=past)
        source = [(keys[sentences], values[sentences]) for keys, values in self.source]
        return TransformerState(source, self.mask[sentences], past)


class DecoderLayer(nn.Module):
    """Attention to the target so far, attention to the source, and a feed-forward network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention, self.source_attention = (MultiHead(config.embed_size, config.heads) for _ in range(2))
        self.feed_forward = FeedForward(config.embed_size, config.feed_forward_size)
        self.around_attention, self.around_source_attention = Residual(config), Residual(config)
        self.around_feed_forward = Residual(config)

    def forward(
        self, x: Tensor, past: KeysValues, source: KeysValues, mask: Tensor, with_weights: bool
    ) -> tuple[Tensor, KeysValues, Tensor | None]:
        """
        Args:
            x: T target positions, (T, B K, E).
            past: keys and values of the t before, each (B K, N, t, D).
            source: keys and values of the source, each (B, N, S, D).
            mask: the source's, (B, 1, 1, S).
            with_weights: whether to return the weights of the attention to the source.

        Returns:
            The output (T, B K, E); keys and values of t + T positions; the weights (B, T K, S) if wanted.
        """
        y = self.around_attention.before(x)
        keys, values = (torch.cat(pair, dim=2) for pair in zip(past, self.attention.keys_values(y), strict=True))
        before = past[0].size(2)
        # Each position looks at itself and what came before; a single one comes last and may look at all.
        seen = torch.ones(len(x), before + len(x), dtype=torch.bool, device=x.device).tril(before)
        own = self.attention(y, (keys, values), seen if len(x) > 1 else None)
        x = self.around_attention.after(x, own)

        y, weights = self.around_source_attention.before(x), None
        if with_weights:
            context, weights = self.source_attention.with_weights(y, source, mask)
        else:
            context = self.source_attention(y, source, mask)
        x = self.around_source_attention.after(x, context)

        x = self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))
        return x, (keys, values), weights


class TransformerDecoder(nn.Module):
    """A stack of layers in which no target token looks at a later one (Vaswani et al. 2017, 3.1)."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = Positions(config.positions, config.max_positions, config.embed_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.embed_size) if config.pre_norm else nn.Identity()
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)
        initialise(self.layers)

    def start(self, encoded: Tensor, mask: Tensor) -> TransformerState:
        """The state before the first target token, from the encoder's output (S, B, E) and the mask (S, B)."""
        source = []
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            source.append(layer.source_attention.keys_values(encoded))
        past = [(keys[:, :, :0], values[:, :, :0]) for keys, values in source]
        return TransformerState(source, mask.t(), past)

    def forward(self, tgt_in: Tensor, state: TransformerState) -> tuple[Tensor, Tensor]:
        """Target tokens (T, B) to vectors (T, B, E), and the top layer's weights on the source, (B, T, S)."""
        vectors, _, weights = self.advance(tgt_in, state)
        return vectors, weights

    def step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """One step of search: tokens (B K,) to vectors (B K, E) and the next state."""
        vectors, state, _ = self.step_with_weights(tokens, state)
        return vectors, state

    def step_with_weights(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState, Tensor]:
        """`step`, and the attention's weights (B, K, S)."""
        vectors, state, weights = self.advance(tokens.unsqueeze(0), state)
        return vectors.squeeze(0), state, weights

    def advance(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState, Tensor]:
        """T steps from a state: tokens (T, B K) to vectors (T, B K, E), the next state, the weights (B, T K, S)."""
        before = state.past[0][0].size(2)
        positions = torch.arange(before, before + len(tokens), device=tokens.device).unsqueeze(1)  # (T, 1)
        x = self.dropout(self.positions(self.word_dropout(self.embedding(tokens)), positions))
        mask = state.mask[:, None, None]
        past = []
        for layer, own, source in zip(self.layers, state.past, state.source, strict=True):
            x, keys_values, weights = layer(x, own, source, mask, with_weights=layer is self.layers[-1])
            past.append(keys_values)
        return self.norm(x), replace(state, past=past), weights


def initialise(layers: nn.Module) -> None:
    """Initialise weights Glorot-uniform and biases zero, in place, as in the paper's own code.

    Queries, keys and values are initialised as one matrix (3E, E), as in `torch.nn.MultiheadAttention` and fairseq.
    """
    for module in layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in layers.modules():
        if isinstance(module, MultiHead):
            for projection in (module.query, module.key, module.value):
                with torch.no_grad():  # the limit sqrt(6 / (E + 3E)) instead of sqrt(6 / 2E)
                    projection.weight.div_(math.sqrt(2))
