"""Abstract recurrent decoder and its state.

B sentences with K hypotheses each (K is 1 in training), S and T source and target length, E width of the embeddings,
H of the layers, L layers, A width of the attention's keys.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig, RecurrentDecoderConfig
from nmt.models.attention import AttentionHistory, build_attention
from nmt.models.bridge import build_bridge
from nmt.models.embedding import Embedding
from nmt.models.interface import DecoderOutput, Encoded, fold_hypotheses, selected_sentences, unfold_hypotheses
from nmt.models.layers.block import PreNormFeedForward, embedding_projection
from nmt.models.layers.cells import build_layer
from nmt.models.layers.fused import FusedLayer
from nmt.models.layers.recurrent import Dropout, LayerState, RecurrentLayer, WordDropout
from nmt.models.lexicon import Lexicon


@dataclass
class DecoderState:
    """Everything that the next step of a recurrent decoder needs."""

    hidden: list[LayerState]
    """State of each layer, bottom first: h and c of an LSTM, each (B K, H); memories of any shape (B K, ...)."""
    feed: Tensor
    """The last attentional vector, (B K, E); zeros at the start."""
    keys: Tensor | None = None
    """Keys of the attention, (B, S, A). None without attention, like `values` and `mask`."""
    values: Tensor | None = None
    """Values of the attention, (B, S, H)."""
    mask: Tensor | None = None
    """True on real source tokens, (B, S)."""
    words: Tensor | None = None
    """Source embeddings, (B, S, E); None without lexicon."""
    coverage: Tensor | None = None
    """Sum of the attention weights so far, (B K, S); None if the attention does not use it."""
    time: int = 0
    """Number of target tokens decoded so far."""

    def after(self, steps: int, weights: Tensor | None) -> "DecoderState":
        """Return the state with time and coverage after decoding `steps` more tokens.

        With coverage, `steps` must be 1 and the weights (B, K, S) must be given.
        """
        coverage = self.coverage
        if coverage is not None and weights is not None:
            coverage = coverage + weights.flatten(0, 1)  # (B, K, S) to (B K, S)
        return replace(self, time=self.time + steps, coverage=coverage)

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of the hypotheses `rows` (B', K'), as `AnyState.select`."""
        flat = rows.flatten()
        state = replace(
            self,
            hidden=[tuple(part.index_select(0, flat) for part in layer) for layer in self.hidden],
            feed=self.feed.index_select(0, flat),
            coverage=None if self.coverage is None else self.coverage.index_select(0, flat),
        )
        if self.mask is None:
            return state
        sentences = selected_sentences(rows, len(self.mask), len(self.feed))
        if sentences is None:
            return state
        assert self.keys is not None
        assert self.values is not None
        words = None if self.words is None else self.words.index_select(0, sentences)
        keys, values, mask = (part.index_select(0, sentences) for part in (self.keys, self.values, self.mask))
        return replace(state, keys=keys, values=values, mask=mask, words=words)


@dataclass
class DropoutMasks:
    """Dropout masks of one sequence, each (T, B, F), or (1, B, F) if one mask serves all steps; None drops nothing."""

    layers: list[Tensor | None]
    """Masks on the output of each layer, F = H."""
    context: Tensor | None = None
    """Mask on the context, F = H."""
    blocks: list[Tensor | None] = field(default_factory=list)
    """Masks on the output of each feed-forward block, F = H; empty without blocks."""
    vector: Tensor | None = None
    """Mask on the vector that the output projection reads, F = E."""

    def at_step(self, t: int) -> "DropoutMasks":
        """Return the masks of step t, each (1, B, F)."""
        layers = [mask_at_step(mask, t) for mask in self.layers]
        blocks = [mask_at_step(mask, t) for mask in self.blocks]
        return DropoutMasks(layers, mask_at_step(self.context, t), blocks, mask_at_step(self.vector, t))


Decoded = tuple[Tensor, DecoderState, Tensor | None]
"""Vectors for the output projection (T, B K, E), state after the last step, attention weights (B, T K, S)."""


class RecurrentDecoder(nn.Module, ABC):
    """Recurrent layers with residual connections, an optional attention, and a readout before the output projection.

    A subclass defines the attention query and where the context vector is used: `decode`, and the sizes that follow.
    """

    embedding_exponent = 0.25
    readout_bound = 1.0
    """Largest magnitude of the readout's result."""

    def __init__(
        self, config: RecurrentDecoderConfig, model: ModelConfig, embedding: Embedding, state_size: int | None
    ) -> None:
        """Initialise the decoder.

        Args:
            config: configuration of the decoder.
            model: configuration of the model.
            embedding: target embedding.
            state_size: width of the encoder's final state; None for an encoder without recurrence.
        """
        super().__init__()
        embed, hidden = model.embed_size, model.hidden_size
        self.embedding, self.embedding_projection = embedding, embedding_projection(embed, hidden, config.residual_from)
        self.word_size = hidden if self.embedding_projection else embed
        self.input_feeding = config.feeds
        self.residual_from = config.residual_from or config.layers + 1
        self.has_blocks = config.has_block or config.feed_forward is not None
        self.attention = build_attention(config, hidden)
        self.lexicon = Lexicon(embed) if config.lexicon else None
        self.stepwise = config.feeds or (self.attention is not None and self.attention.stepwise)
        self.bridge = build_bridge(config, hidden, state_size or hidden)
        self.embed_size, self.hidden_size, self.memory_size = embed, hidden, hidden
        self.context_size = hidden if config.attends else 0
        sizes = self.input_sizes(config.layers)
        self.layers = nn.ModuleList(build_layer(config, size, hidden) for size in sizes)
        inner = config.feed_forward
        self.blocks = nn.ModuleList(PreNormFeedForward(hidden, inner) for _ in sizes[1:] if inner)
        self.readout = self.build_readout()
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.word_dropout = WordDropout(model.word_dropout)

    @property
    def vector_bound(self) -> float:
        """Largest magnitude of the vectors for the output projection."""
        return self.readout_bound + Lexicon.bound * (self.lexicon is not None)

    @abstractmethod
    def input_sizes(self, layers: int) -> list[int]:
        """Return the input width of each layer, bottom first."""

    @abstractmethod
    def build_readout(self) -> nn.Linear:
        """Build the projection before the output projection."""

    @abstractmethod
    def decode(self, x: Tensor, state: DecoderState, masks: DropoutMasks) -> Decoded:
        """Decode T tokens per hypothesis from a state.

        Args:
            x: embedded tokens, (T, B K, E).
            state: state before the first of them.
            masks: dropout masks.
        """

    @property
    def bottom(self) -> RecurrentLayer:
        """The bottom layer."""
        layer = self.layers[0]
        assert isinstance(layer, RecurrentLayer)
        return layer

    def round_to_int8(self, memory_bound: float) -> bool:
        """Quantise the products of the fused layers to int8 and return whether there were any.

        The memory lies in [-memory_bound, memory_bound]. The inputs of a layer are bounded by the embeddings, the
        memory, and the residual sum of the layers' outputs. With blocks or embeddings in that sum they have no bound.
        The readout stays in float: it is small, and search is most sensitive to its rounding.
        """
        if self.has_blocks or self.residual_from == 1 or (self.attention is not None and not self.attention.bounded):
            return False
        embedded = float(self.embedding.weight.detach().abs().max()) * self.embedding.scale
        bound = max(embedded, memory_bound, len(self.layers))
        fused = [module for module in self.modules() if isinstance(module, FusedLayer)]
        for layer in fused:
            layer.round_to_int8(bound)
        return bool(fused)

    def start(self, encoded: Encoded, mask: Tensor) -> DecoderState:
        """Return the state before the first target token; `mask` is the source mask, (S, B)."""
        vectors = self.bridge(encoded, mask)
        hidden = [first_state(layer, given) for layer, given in zip(self.layers, vectors, strict=True)]
        feed = encoded.memory.new_zeros(mask.size(1), self.embedding.embedding_dim)
        if self.attention is None:
            return DecoderState(hidden, feed)
        memory = encoded.memory.transpose(0, 1).contiguous()  # (B, S, H)
        summed = memory if encoded.values is None else encoded.values.transpose(0, 1).contiguous()
        keys, values = self.attention.project_keys(memory), self.attention.project_values(summed)
        coverage = memory.new_zeros(mask.t().shape) if self.attention.stepwise else None
        words = None if self.lexicon is None else encoded.words.transpose(0, 1).contiguous()
        return DecoderState(hidden, feed, keys, values, mask.t(), words, coverage)

    def forward(self, tgt_in: Tensor, state: DecoderState) -> tuple[Tensor, Tensor | None]:
        """Decode a whole sequence.

        Args:
            tgt_in: target tokens, bos first, padded at the end, (T, B).
            state: state from `start`.

        Returns:
            Vectors for the output projection, (T, B, E), and attention weights (B, T, S), None without attention.
        """
        x = self.dropout(self.word_dropout(self.embedding(tgt_in)))  # (T, B, E)
        vectors, _, weights = self.decode(x, state, self.draw_masks(x))
        return self.add_lexicon(vectors, state, weights), weights

    def step(self, tokens: Tensor, state: DecoderState) -> DecoderOutput[DecoderState]:
        """Decode one token per hypothesis, (B K,)."""
        x = self.embedding(tokens).unsqueeze(0)  # (1, B K, E)
        masks = DropoutMasks([None] * len(self.layers), blocks=[None] * len(self.blocks))
        vectors, state, weights = self.decode(x, state, masks)
        return DecoderOutput(self.add_lexicon(vectors, state, weights).squeeze(0), state, weights)

    def add_lexicon(self, vectors: Tensor, state: DecoderState, weights: Tensor | None) -> Tensor:
        """Add the lexicon's vectors to (T, B K, E) if the decoder has a lexicon."""
        if self.lexicon is None:
            return vectors
        assert weights is not None
        assert state.words is not None
        return vectors + unfold_hypotheses(self.lexicon(weights, state.words), len(vectors))

    def upper_layers(
        self, below: list[Tensor], state: DecoderState, masks: DropoutMasks
    ) -> tuple[Tensor, list[LayerState]]:
        """Run the layers above the bottom one and return the top output (T, B K, H) and their last states.

        Args:
            below: output of the bottom layer, and further inputs of every upper layer, each (T, B K, F).
            state: state before the first step.
            masks: dropout masks.
        """
        (top, *context), hidden = below, []
        for depth in range(1, len(self.layers)):
            output, last = run_layer(self.layers[depth], torch.cat([top, *context], dim=-1), state.hidden[depth])
            output = drop(output, masks.layers[depth])
            top = top + output if depth + 1 >= self.residual_from else output
            if self.blocks:
                top = top + drop(self.blocks[depth - 1](top), masks.blocks[depth - 1])
            hidden.append(last)
        return top, hidden

    def attend(self, output: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Return contexts (T, B K, H) and weights (B, T K, S) for queries (T, B K, H)."""
        assert self.attention is not None
        assert state.keys is not None
        assert state.values is not None
        assert state.mask is not None
        sentences = state.keys.size(0)  # len() would be a constant in an exported graph
        steps, hypotheses = len(output), output.size(1) // sentences
        query = fold_hypotheses(output, sentences)  # (B, T K, H)
        times = torch.arange(state.time, state.time + steps, device=query.device).repeat_interleave(hypotheses)
        coverage = None if state.coverage is None else state.coverage.view(sentences, hypotheses, -1)
        history = AttentionHistory(times, coverage)
        context, weights = self.attention(query, state.keys, state.values, state.mask, history)  # (B, T K, H)
        return unfold_hypotheses(context, steps), weights

    def draw_masks(self, x: Tensor) -> DropoutMasks:
        """Draw the dropout masks of one sequence of embeddings, (T, B, E)."""
        wide = x.new_empty(*x.shape[:2], self.hidden_size)
        layers = [self.dropout.mask(wide) for _ in self.layers]
        context, vector = self.dropout.mask(wide), self.dropout.mask(x)
        return DropoutMasks(layers, context, [self.dropout.mask(wide) for _ in self.blocks], vector)


def first_state(layer: nn.Module, vectors: LayerState) -> LayerState:
    """Return a layer's first state from the vectors of the bridge, each (B, H)."""
    assert isinstance(layer, RecurrentLayer)
    return layer.complete(vectors)


def run_layer(layer: nn.Module, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    """Run a layer over (T, B, I) from a state (B, H).

    A single step is computed by matrix products, because a fused kernel would reorder its weights at every call.
    """
    assert isinstance(layer, RecurrentLayer)
    if len(x) == 1:
        state = layer.step(x.squeeze(0), state)
        return state[0].unsqueeze(0), state
    output, state = layer(x, state)
    return output, state


def drop(x: Tensor, mask: Tensor | None) -> Tensor:
    """Multiply by a dropout mask, in the type of x, which autocast may have lowered."""
    return x if mask is None else x * mask.to(x.dtype)


def mask_at_step(mask: Tensor | None, t: int) -> Tensor | None:
    """Return the mask of step t, (1, B, F), from a mask per step or one mask for all steps."""
    return mask if mask is None or len(mask) == 1 else mask[t : t + 1]
