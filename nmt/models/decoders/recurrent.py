"""The decoder: a whole sequence at once for training, one step at a time for search; a test holds them equal.

The one here is that of GNMT and RNMT+; the others of the family are in decoders.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import BridgeKind, ModelConfig, encoder_widths
from nmt.models.attention import AttentionHistory, build_attention
from nmt.models.embedding import Embedding
from nmt.models.encoders.recurrent import Encoded
from nmt.models.layers.cells import build_layer, cell_type
from nmt.models.layers.fused import FusedLayer
from nmt.models.layers.recurrent import Dropout, LayerState, RecurrentLayer, WordDropout
from nmt.models.lexicon import Lexicon

Masks = list[Tensor | None]


@dataclass
class DecoderState:
    """All that a next step needs. B sentences with K hypotheses each; K is 1 in training."""

    hidden: list[LayerState]
    """The state of each layer, bottom first: h and c of an LSTM, each (B K, H)."""
    feed: Tensor
    """The last attentional vector, (B K, E); zeros at the start."""
    keys: Tensor | None = None
    """What the attention compares with, (B, S, A); None without attention, like the next two."""
    values: Tensor | None = None
    """What it averages, (B, S, H)."""
    mask: Tensor | None = None
    """True on real source tokens, (B, S)."""
    words: Tensor | None = None
    """The source embeddings, (B, S, E); None without lexicon."""
    coverage: Tensor | None = None
    """Sum of the attention's weights so far, (B K, S); None where the attention does not ask for it."""
    time: int = 0
    """Target tokens that were read."""

    def read(self, steps: int, weights: Tensor | None) -> "DecoderState":
        """The state once so many more tokens have asked the attention; where coverage is kept, one, with weights."""
        coverage = self.coverage
        if coverage is not None and weights is not None:
            coverage = coverage + weights.flatten(0, 1)  # (B, K, S) to (B K, S)
        return replace(self, time=self.time + steps, coverage=coverage)

    def select(self, rows: Tensor) -> "DecoderState":
        """The state of other hypotheses: `rows` (B', K') index the B K rows, K' of one sentence in each line."""
        flat = rows.flatten()
        state = replace(
            self,
            hidden=[tuple(part[flat] for part in layer) for layer in self.hidden],
            feed=self.feed[flat],
            coverage=None if self.coverage is None else self.coverage[flat],
        )
        if self.mask is None:
            return state
        kept = rows[:, 0] * len(self.mask) // len(self.feed)  # sentences
        if torch.equal(kept, torch.arange(len(self.mask), device=kept.device)):  # all in place, as in most steps
            return state
        assert self.keys is not None
        assert self.values is not None
        words = None if self.words is None else self.words[kept]
        return replace(state, keys=self.keys[kept], values=self.values[kept], mask=self.mask[kept], words=words)


Advanced = tuple[Tensor, DecoderState, Tensor | None]  # attentional vectors, state after them, attention's weights


class Bridge(nn.Module):
    """Encoder's last state to the decoder's first: h0 = tanh(W h), c0 = V c (cf. Bahdanau 2015, A.2.2)."""

    def __init__(self, encoder_size: int, hidden_size: int, decoder_layers: int, states: int) -> None:
        super().__init__()
        self.h = nn.Linear(encoder_size, decoder_layers * hidden_size)
        self.c = nn.Linear(encoder_size, decoder_layers * hidden_size) if states == 2 else None
        self.layers = decoder_layers

    def forward(self, state: LayerState) -> list[LayerState]:
        """The encoder's state, each (B, H), to one for each layer."""
        h = self.h(state[0]).tanh().chunk(self.layers, -1)
        if self.c is None:
            return [(part,) for part in h]
        return list(zip(h, self.c(state[1]).chunk(self.layers, -1), strict=True))


class ZeroBridge(nn.Module):
    """First states of zeros: the decoder sees the source through its attention alone."""

    def __init__(self, hidden_size: int, decoder_layers: int, states: int) -> None:
        super().__init__()
        self.hidden_size, self.layers, self.states = hidden_size, decoder_layers, states

    def forward(self, state: LayerState) -> list[LayerState]:
        """The encoder's state, each (B, H), to zeros for each layer."""
        zeros = state[0].new_zeros(len(state[0]), self.hidden_size)
        return [(zeros,) * self.states] * self.layers


def build_bridge(config: ModelConfig) -> Bridge | ZeroBridge:
    states = cell_type(config.cell).states
    match config.bridge:
        case BridgeKind.learned:
            return Bridge(encoder_widths(config)[1][-1], config.hidden_size, config.decoder_layers, states)
        case BridgeKind.zero:
            return ZeroBridge(config.hidden_size, config.decoder_layers, states)


class Decoder(nn.Module):
    """Stacked recurrent layers, of which the bottom one asks the attention; residual connections from the second on.

    Every upper layer and the output see its answer, as in GNMT (Wu et al. 2016, 3.1) and RNMT+ (Chen et al. 2018): so
    without input feeding nothing of one step needs the step before but the layers themselves, and a sequence is a few
    large calls. Without attention it is the decoder of Sutskever et al. 2014.
    """

    vector_bound = 1.0
    """No attentional vector is larger."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.input_feeding = config.input_feeding
        self.residual_from = config.residual_from or config.decoder_layers + 1
        self.attention = build_attention(config)
        self.lexicon = Lexicon(config.embed_size) if config.lexicon else None
        self.stepwise = config.input_feeding or (self.attention is not None and self.attention.stepwise)
        self.bridge = build_bridge(config)
        self.layers = nn.ModuleList(build_layer(config, size, config.hidden_size) for size in self.input_sizes(config))
        self.hidden_size = config.hidden_size
        self.readout = self.build_readout(config)
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    def input_sizes(self, config: ModelConfig) -> list[int]:
        """What each layer reads, bottom first."""
        context = config.hidden_size if config.attention else 0
        bottom = config.embed_size * (2 if config.input_feeding else 1)
        return [bottom] + [config.hidden_size + context] * (config.decoder_layers - 1)

    def build_readout(self, config: ModelConfig) -> nn.Linear:
        context = config.hidden_size if config.attention else 0
        return nn.Linear(config.hidden_size + context, config.embed_size)

    @property
    def bottom(self) -> RecurrentLayer:
        layer = self.layers[0]
        assert isinstance(layer, RecurrentLayer)
        return layer

    def round_to_int8(self, memory_bound: float) -> None:
        """From now on steps multiply 8-bit integers; the encoder's outputs lie between -memory_bound and that.

        No input of a layer is larger than an embedding, the memory, or a residual sum of the layers' outputs. The
        readout stays in float: it is small, and the search feels its rounding the most.
        """
        if self.attention is not None and not self.attention.bounded:
            return
        embedded = float(self.embedding.weight.detach().abs().max()) * self.embedding.scale
        bound = max(embedded, memory_bound, len(self.layers))
        for module in self.modules():
            if isinstance(module, FusedLayer):
                module.round_to_int8(bound)

    def start(self, encoded: Encoded, mask: Tensor) -> DecoderState:
        """The state before the first target token; `mask` is the source's, (S, B)."""
        hidden = self.bridge(encoded.state)
        feed = encoded.outputs.new_zeros(mask.size(1), self.embedding.embedding_dim)
        if self.attention is None:
            return DecoderState(hidden, feed)
        values = encoded.outputs.transpose(0, 1).contiguous()  # (B, S, H)
        keys, summed = self.attention.project_keys(values), self.attention.project_values(values)
        coverage = values.new_zeros(mask.t().shape) if self.attention.stepwise else None
        words = None if self.lexicon is None else encoded.words.transpose(0, 1).contiguous()
        return DecoderState(hidden, feed, keys, summed, mask.t(), words, coverage)

    def forward(self, tgt_in: Tensor, state: DecoderState) -> tuple[Tensor, Tensor | None]:
        """A whole sequence.

        Args:
            tgt_in: target tokens, the first is `bos`, padded at the end, (T, B).
            state: from `start`.

        Returns:
            What the output reads, (T, B, E): the attentional vectors, to which a lexicon adds. And the attention's
            weights (B, T, S) if there are any.
        """
        x = self.dropout(self.word_dropout(self.embedding(tgt_in)))  # (T, B, E)
        vectors, _, weights = self.advance(x, state, self.masks(x))
        return self.with_lexicon(vectors, state, weights), weights

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step of search: tokens (B K,) to what the output reads, (B K, E), and the next state."""
        vectors, state, _ = self.step_with_weights(tokens, state)
        return vectors, state

    def step_with_weights(self, tokens: Tensor, state: DecoderState) -> Advanced:
        """`step`, and the attention's weights (B, K, S) if any."""
        x = self.embedding(tokens).unsqueeze(0)  # (1, B K, E)
        vectors, state, weights = self.advance(x, state, [None] * (len(self.layers) + 2))
        return self.with_lexicon(vectors, state, weights).squeeze(0), state, weights

    def with_lexicon(self, vectors: Tensor, state: DecoderState, weights: Tensor | None) -> Tensor:
        """Attentional vectors (T, B K, E), and what the lexicon adds to them if there is one."""
        if self.lexicon is None:
            return vectors
        assert weights is not None
        assert state.words is not None
        return vectors + by_step(self.lexicon(weights, state.words), len(vectors))

    def advance(self, x: Tensor, state: DecoderState, masks: Masks) -> Advanced:
        """T steps from a state: the whole sequence, or one step.

        Args:
            x: embedded tokens, (T, B K, E).
            masks: dropout after each layer, on the context and on the result, as `masks` makes them.

        Returns:
            The attentional vectors (T, B K, E), the state after the last step, the weights (B, T K, S) if any.
        """
        if not self.stepwise:
            output, last = run(self.bottom, x, state.hidden[0])
            return self.above(output, last, state, masks)
        read, vectors, weights = self.reader(x), [], []
        for t in range(len(x)):
            last = self.bottom.advance(read(t, state.feed), state.hidden[0])
            vector, state, weight = self.above(last[0].unsqueeze(0), last, state, [at_step(mask, t) for mask in masks])
            vectors.append(vector)
            weights += [] if weight is None else [weight]
        return torch.cat(vectors), state, torch.cat(weights, dim=1)

    def reader(self, x: Tensor) -> Callable[[int, Tensor], Tensor]:
        """The bottom layer's input products as a function of the step and what is fed; tokens' are made at once."""
        if self.input_feeding:
            return self.bottom.input_projection(x)
        products = self.bottom.input_product(x)  # (T, B K, G)
        return lambda t, _: products[t]

    def above(self, output: Tensor, last: LayerState, state: DecoderState, masks: Masks) -> Advanced:
        """From the bottom layer's output (T, B K, H) and last state to what `advance` returns.

        Luong et al. 2015, eq. 5, with the query from the bottom layer: v_t = tanh(W [h_t; context_t]).
        """
        below, weights = [drop(output, masks[0])], None
        if self.attention is not None:
            context, weights = self.attend(output, state)
            below.append(drop(context, masks[-2]))
        top, hidden = self.upper(below, state, masks)
        vectors = drop(self.readout(torch.cat([top, *below[1:]], dim=-1)).tanh(), masks[-1])
        return vectors, replace(state.read(len(output), weights), hidden=[last, *hidden], feed=vectors[-1]), weights

    def upper(self, below: list[Tensor], state: DecoderState, masks: Masks) -> tuple[Tensor, list[LayerState]]:
        """The layers above the bottom one: the top output (T, B K, H) and their last states.

        Args:
            below: the bottom layer's output, and what else every layer reads, each (T, B K, F).
        """
        (top, *context), hidden = below, []
        for depth in range(1, len(self.layers)):
            output, last = run(self.layers[depth], torch.cat([top, *context], dim=-1), state.hidden[depth])
            output = drop(output, masks[depth])
            top = top + output if depth + 1 >= self.residual_from else output
            hidden.append(last)
        return top, hidden

    def attend(self, output: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Contexts (T, B K, H), weights (B, T K, S) of queries (T, B K, H): steps and hypotheses are both queries."""
        assert self.attention is not None
        assert state.keys is not None
        assert state.values is not None
        assert state.mask is not None
        steps, rows, width = output.shape
        batch = len(state.keys)
        query = output.view(steps, batch, rows // batch, width).transpose(0, 1).reshape(batch, -1, width)
        times = torch.arange(state.time, state.time + steps, device=query.device).repeat_interleave(rows // batch)
        coverage = None if state.coverage is None else state.coverage.view(batch, rows // batch, -1)
        past = AttentionHistory(times, coverage)
        context, weights = self.attention(query, state.keys, state.values, state.mask, past)  # (B, T K, H)
        return by_step(context, steps), weights

    def masks(self, x: Tensor) -> Masks:
        """Dropout masks for one sequence: after each layer, on the context, on the attentional vector."""
        wide, narrow = x.new_empty(*x.shape[:2], self.hidden_size), x
        return [self.dropout.mask(wide) for _ in range(len(self.layers) + 1)] + [self.dropout.mask(narrow)]


def run(layer: nn.Module, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    """A layer over (T, B, I) from a state (B, H).

    A single step is written as matrix products: a fused kernel called for one step sorts its weights anew each time.
    """
    assert isinstance(layer, RecurrentLayer)
    if len(x) == 1:
        state = layer.step(x.squeeze(0), state)
        return state[0].unsqueeze(0), state
    output, state = layer(x, state)
    return output, state


def by_step(x: Tensor, steps: int) -> Tensor:
    """Answers (B, T K, F) to queries of T steps and K hypotheses, as (T, B K, F)."""
    batch, width = len(x), x.size(-1)
    return x.view(batch, steps, -1, width).transpose(0, 1).reshape(steps, -1, width)


def drop(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask.to(x.dtype)  # of a product under autocast


def at_step(mask: Tensor | None, t: int) -> Tensor | None:
    """The mask of one step, (1, B, F), of a mask that has one for each step or one for all."""
    return mask if mask is None or len(mask) == 1 else mask[t : t + 1]
