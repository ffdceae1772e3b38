"""The decoder: a whole sequence at once for training, one step at a time for search; a test holds them equal.

The bottom layer asks the attention, and every upper layer and the output see its answer, as in GNMT (Wu et al. 2016,
3.1) and RNMT+ (Chen et al. 2018): so without input feeding nothing of one step needs the step before but the LSTMs,
and a sequence is a few large calls.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.attention import build_attention
from nmt.models.embedding import Embedding
from nmt.models.encoder import Encoded
from nmt.models.int8 import StepLinear
from nmt.models.recurrent import Dropout, LSTMState, StepLSTM, WordDropout


@dataclass
class DecoderState:
    """All that a next step needs. B sentences with K hypotheses each; K is 1 in training."""

    hidden: list[LSTMState]
    """h and c of each layer, each (B K, H)."""
    feed: Tensor
    """The last attentional vector, (B K, E); zeros at the start."""
    keys: Tensor | None = None
    """What the attention compares with, (B, S, A); None without attention, like the next two."""
    values: Tensor | None = None
    """What it averages, (B, S, H)."""
    mask: Tensor | None = None
    """True on real source tokens, (B, S)."""

    def select(self, rows: Tensor) -> "DecoderState":
        """The state of other hypotheses: `rows` (B', K') index the B K rows, K' of one sentence in each line."""
        flat = rows.flatten()
        hidden, feed = [(h[flat], c[flat]) for h, c in self.hidden], self.feed[flat]
        if self.mask is None:
            return replace(self, hidden=hidden, feed=feed)
        kept = rows[:, 0] * len(self.mask) // len(self.feed)  # sentences
        if torch.equal(kept, torch.arange(len(self.mask), device=kept.device)):  # all in place, as in most steps
            return replace(self, hidden=hidden, feed=feed)
        assert self.keys is not None
        assert self.values is not None
        return DecoderState(hidden, feed, self.keys[kept], self.values[kept], self.mask[kept])


class Bridge(nn.Module):
    """Encoder's last state to the decoder's first: h0 = tanh(W h), c0 = V c (cf. Bahdanau 2015, A.2.2)."""

    def __init__(self, hidden_size: int, decoder_layers: int) -> None:
        super().__init__()
        self.h = nn.Linear(hidden_size, decoder_layers * hidden_size)
        self.c = nn.Linear(hidden_size, decoder_layers * hidden_size)
        self.layers = decoder_layers

    def forward(self, state: LSTMState) -> list[LSTMState]:
        """h and c, each (B, H), to one such pair for each layer."""
        h, c = state
        return list(zip(self.h(h).tanh().chunk(self.layers, -1), self.c(c).chunk(self.layers, -1), strict=True))


class Decoder(nn.Module):
    """Stacked LSTM with attention over the source and residual connections from the second layer."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        embed, hidden = config.embed_size, config.hidden_size
        context = hidden if config.attention else 0
        feed = embed if config.input_feeding else 0
        self.embedding = embedding
        self.input_feeding = config.input_feeding
        self.attention = build_attention(config.attention, hidden) if config.attention else None
        self.bridge = Bridge(hidden, config.decoder_layers)
        inputs = [embed + feed] + [hidden + context] * (config.decoder_layers - 1)
        self.layers = nn.ModuleList(StepLSTM(size, hidden) for size in inputs)
        self.hidden_size = hidden
        self.readout = StepLinear(hidden + context, embed)
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    def round_to_int8(self, memory_bound: float) -> None:
        """From now on steps multiply 8-bit integers; the encoder's outputs lie between -memory_bound and that."""
        embedded = float(self.embedding.weight.detach().abs().max()) * self.embedding.scale
        depth = 0
        for layer in self.layers:
            assert isinstance(layer, StepLSTM)
            layer.round_to_int8(max(embedded, 1.0) if depth == 0 else max(depth, memory_bound))
            depth += 1  # of the residual sum of outputs, each between -1 and 1
        self.readout.round_to_int8(max(depth, memory_bound))

    def start(self, encoded: Encoded, mask: Tensor) -> DecoderState:
        """The state before the first target token; `mask` is the source's, (S, B)."""
        hidden = self.bridge(encoded.state)
        feed = encoded.outputs.new_zeros(mask.size(1), self.readout.out_features)
        if self.attention is None:
            return DecoderState(hidden, feed)
        values = encoded.outputs.transpose(0, 1).contiguous()  # (B, S, H)
        return DecoderState(hidden, feed, self.attention.project_keys(values), values, mask.t())

    def forward(self, tgt_in: Tensor, state: DecoderState) -> tuple[Tensor, Tensor | None]:
        """A whole sequence.

        Args:
            tgt_in: target tokens, the first is `bos`, padded at the end, (T, B).
            state: from `start`.

        Returns:
            The attentional vectors (T, B, E), and the attention's weights (B, T, S) if there are any.
        """
        x = self.dropout(self.word_dropout(self.embedding(tgt_in)))  # (T, B, E)
        masks = self.masks(x)
        if not self.input_feeding:
            whole, _, all_weights = self.advance(x, state, masks)
            return whole, all_weights
        vectors, weights = [], []
        for t in range(len(x)):
            vector, state, weight = self.advance(x[t : t + 1], state, [at_step(mask, t) for mask in masks])
            vectors.append(vector)
            weights += [] if weight is None else [weight]
        return torch.cat(vectors), torch.cat(weights, dim=1) if weights else None

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step of search: tokens (B K,) to attentional vectors (B K, E) and the next state."""
        x = self.embedding(tokens).unsqueeze(0)  # (1, B K, E)
        vectors, state, _ = self.advance(x, state, [None] * (len(self.layers) + 2))
        return vectors.squeeze(0), state

    def advance(
        self, x: Tensor, state: DecoderState, masks: list[Tensor | None]
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """T steps from a state: the whole sequence, or one step.

        Luong et al. 2015, eq. 5, with the query from the bottom layer: v_t = tanh(W [h_t; context_t]).

        Args:
            x: embedded tokens, (T, B K, E).
            masks: dropout after each layer, on the context and on the result, as `masks` makes them.

        Returns:
            The attentional vectors (T, B K, E), the state after the last step, the weights (B, T K, S) if any.
        """
        if self.input_feeding:
            x = torch.cat([x, state.feed.unsqueeze(0)], dim=-1)
        *layer_masks, context_mask, vector_mask = masks
        output, last = run(self.layers[0], x, state.hidden[0])  # (T, B K, H)
        hidden, weights = [last], None
        below = [drop(output, layer_masks[0])]
        if self.attention is not None:
            context, weights = self.attend(output, state)
            below.append(drop(context, context_mask))
        for layer, before, mask in zip(self.layers[1:], state.hidden[1:], layer_masks[1:], strict=True):
            output, last = run(layer, torch.cat(below, dim=-1), before)
            below[0] = below[0] + drop(output, mask)
            hidden.append(last)
        vectors = drop(self.readout(torch.cat(below, dim=-1)).tanh(), vector_mask)
        return vectors, replace(state, hidden=hidden, feed=vectors[-1]), weights

    def attend(self, output: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Contexts (T, B K, H), weights (B, T K, S) of queries (T, B K, H): steps and hypotheses are both queries."""
        assert self.attention is not None
        assert state.keys is not None
        assert state.values is not None
        assert state.mask is not None
        steps, rows, width = output.shape
        batch = len(state.keys)
        query = output.view(steps, batch, rows // batch, width).transpose(0, 1).reshape(batch, -1, width)
        context, weights = self.attention(query, state.keys, state.values, state.mask)  # (B, T K, H)
        return context.view(batch, steps, -1, width).transpose(0, 1).reshape(steps, rows, width), weights

    def masks(self, x: Tensor) -> list[Tensor | None]:
        """Dropout masks for one sequence: after each layer, on the context, on the attentional vector."""
        wide, narrow = x.new_empty(*x.shape[:2], self.hidden_size), x
        return [self.dropout.mask(wide) for _ in range(len(self.layers) + 1)] + [self.dropout.mask(narrow)]


def run(layer: nn.Module, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
    """A layer over (T, B, I) from a state (B, H): the fused kernel, or plain products for a single step."""
    assert isinstance(layer, StepLSTM)
    if len(x) == 1:
        h, c = layer.step(x.squeeze(0), state)
        return h.unsqueeze(0), (h, c)
    output, (h, c) = layer(x, (state[0].unsqueeze(0), state[1].unsqueeze(0)))
    return output, (h.squeeze(0), c.squeeze(0))


def drop(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def at_step(mask: Tensor | None, t: int) -> Tensor | None:
    """The mask of one step, (1, B, F), of a mask that has one for each step or one for all."""
    return mask if mask is None or len(mask) == 1 else mask[t : t + 1]
