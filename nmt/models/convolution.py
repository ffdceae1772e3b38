"""The convolutional encoder-decoder: Gehring et al. 2017, without their weight normalisation and gradient scaling.

B sentences with K hypotheses each (K is 1 in training), S and T their lengths, E width of the embeddings, H of the
convolutions, k tokens that a convolution sees. Sequences are time-major, (T, B, E).
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, pad

from nmt.config import ModelConfig, PositionKind
from nmt.models.attention import DotAttention, source_positions
from nmt.models.embedding import Embedding, Positions
from nmt.models.layers.recurrent import Dropout, WordDropout

HALF_VARIANCE = math.sqrt(0.5)
"""A sum of two terms is multiplied by this, so that it varies as much as one of them (3.5)."""


class Convolution(nn.Module):
    """GLU(W [x_t; ...; x_t+k-1] + b), the gated linear unit of Dauphin et al. 2017 (3.2)."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(kernel * width, 2 * width)
        self.kernel = kernel
        initialise(self.linear, 4 * (1 - dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(T + k - 1, B, H) -> (T, B, H)."""
        steps = len(x) - self.kernel + 1
        return glu(self.linear(torch.cat([x[i : i + steps] for i in range(self.kernel)], dim=-1)))


class Source(NamedTuple):
    """What the encoder makes of the source."""

    keys: Tensor
    """Output of the top layer, (S, B, E)."""
    values: Tensor
    """The same with the embedding added, (S, B, E)."""


class ConvolutionalEncoder(nn.Module):
    """Residual convolutions, each of which sees as many tokens before as behind."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        embed, hidden = config.embed_size, config.hidden_size
        self.embedding = embedding
        self.positions = Positions(PositionKind.learned, config.max_positions, embed)
        self.inward = initialise(nn.Linear(embed, hidden), 1 - config.dropout)
        self.layers = nn.ModuleList(
            Convolution(hidden, config.kernel_width, config.dropout) for _ in range(config.encoder_layers)
        )
        self.outward = initialise(nn.Linear(hidden, embed), 1.0)
        self.margin = config.kernel_width // 2
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    def forward(self, src: Tensor, mask: Tensor) -> Source:
        """Token ids and mask, (S, B), padded on the left.

        Positions are counted from the first real token, and padding is zero before each convolution, as are the
        margins, so that a sentence is encoded as if it were alone; what stands on padding means nothing.
        """
        real = mask.unsqueeze(-1)  # (S, B, 1)
        words = self.word_dropout(self.embedding(src))
        embedded = self.dropout(self.positions(words, source_positions(mask.t()).t()))  # (S, B, E)
        x = self.inward(embedded)
        for layer in self.layers:
            seen = pad(self.dropout(x) * real, (0, 0, 0, 0, self.margin, self.margin))  # (S + k - 1, B, H)
            x = (layer(seen) + x) * HALF_VARIANCE
        keys = self.outward(x)
        return Source(keys, (keys + embedded) * HALF_VARIANCE)


@dataclass
class ConvolutionalState:
    """What a next step needs: the source, and the last inputs of each convolution."""

    keys: Tensor
    """What the attention compares with, (B, S, E)."""
    values: Tensor
    """What it averages, (B, S, E)."""
    mask: Tensor
    """True on real source tokens, (B, S)."""
    windows: list[Tensor]
    """The last k - 1 inputs of each layer's convolution, (k - 1, B K, H); zeros at the start."""
    time: int = 0
    """Target tokens that were read."""

    def select(self, rows: Tensor) -> "ConvolutionalState":
        """The state of other hypotheses: `rows` (B', K') index the B K rows, K' of one sentence in each line."""
        windows = [window[:, rows.flatten()] for window in self.windows]
        sentences = rows[:, 0] * len(self.mask) // self.windows[0].size(1)
        if torch.equal(sentences, torch.arange(len(self.mask), device=rows.device)):
            return replace(self, windows=windows)
        source = {"keys": self.keys[sentences], "values": self.values[sentences], "mask": self.mask[sentences]}
        return ConvolutionalState(**source, windows=windows, time=self.time)


class DecoderLayer(nn.Module):
    """A convolution over what came before, and an attention of its own (3.3)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        embed, hidden = config.embed_size, config.hidden_size
        self.convolution = Convolution(hidden, config.kernel_width, config.dropout)
        self.query = initialise(nn.Linear(hidden, embed), 1.0)
        self.attention = DotAttention()
        self.output = initialise(nn.Linear(embed, hidden), 1.0)

    def forward(self, seen: Tensor, embedded: Tensor, state: ConvolutionalState) -> tuple[Tensor, Tensor]:
        """
        The query has the token's embedding added (eq. 1), and the context, a mean of m values, is multiplied by
        sqrt(m) to vary as much as one of them (3.5).

        Args:
            seen: inputs of T positions and the k - 1 before, (T + k - 1, B K, H).
            embedded: the T tokens, (T, B K, E).

        Returns:
            The output (T, B K, H) and the attention's weights (B, T K, S).
        """
        x = self.convolution(seen)  # (T, B K, H)
        (steps, rows, width), batch = embedded.shape, len(state.mask)
        query = (self.query(x) + embedded) * HALF_VARIANCE
        query = query.view(steps, batch, rows // batch, width).transpose(0, 1).reshape(batch, -1, width)
        context, weights = self.attention(query, state.keys, state.values, state.mask)  # (B, T K, E)
        context = context * state.mask.sum(dim=1).sqrt().to(context.dtype).view(-1, 1, 1)
        context = context.view(batch, steps, -1, width).transpose(0, 1).reshape(steps, rows, width)
        return (self.output(context) + x) * HALF_VARIANCE, weights


class ConvolutionalDecoder(nn.Module):
    """Residual convolutions that see what came before, each with an attention (Gehring et al. 2017, 3)."""

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        embed, self.hidden_size = config.embed_size, config.hidden_size
        self.embedding = embedding
        self.positions = Positions(PositionKind.learned, config.max_positions, embed)
        self.inward = initialise(nn.Linear(embed, self.hidden_size), 1 - config.dropout)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.outward = initialise(nn.Linear(self.hidden_size, embed), 1.0)
        self.past = config.kernel_width - 1
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)

    def start(self, encoded: Source, mask: Tensor) -> ConvolutionalState:
        """The state before the first target token; `mask` is the source's, (S, B)."""
        keys, values = (tensor.transpose(0, 1).contiguous() for tensor in encoded)
        nothing = keys.new_zeros(self.past, mask.size(1), self.hidden_size)
        return ConvolutionalState(keys, values, mask.t(), [nothing] * len(self.layers))

    def forward(self, tgt_in: Tensor, state: ConvolutionalState) -> tuple[Tensor, Tensor]:
        """Target tokens (T, B) to vectors (T, B, E), and the weights' mean over the layers, (B, T, S)."""
        vectors, _, weights = self.advance(tgt_in, state)
        return vectors, weights

    def step(self, tokens: Tensor, state: ConvolutionalState) -> tuple[Tensor, ConvolutionalState]:
        """One step of search: tokens (B K,) to vectors (B K, E) and the next state."""
        vectors, state, _ = self.step_with_weights(tokens, state)
        return vectors, state

    def step_with_weights(self, tokens: Tensor, state: ConvolutionalState) -> tuple[Tensor, ConvolutionalState, Tensor]:
        """`step`, and the attention's weights (B, K, S)."""
        vectors, state, weights = self.advance(tokens.unsqueeze(0), state)
        return vectors.squeeze(0), state, weights

    def advance(self, tokens: Tensor, state: ConvolutionalState) -> tuple[Tensor, ConvolutionalState, Tensor]:
        """T steps from a state: tokens (T, B K) to vectors (T, B K, E), the next state, the weights (B, T K, S)."""
        positions = torch.arange(state.time, state.time + len(tokens), device=tokens.device).unsqueeze(1)  # (T, 1)
        words = self.word_dropout(self.embedding(tokens))
        embedded = self.dropout(self.positions(words, positions))  # (T, B K, E)
        x, windows, weights = self.inward(embedded), [], []
        for layer, window in zip(self.layers, state.windows, strict=True):
            seen = torch.cat([window, self.dropout(x)])  # (T + k - 1, B K, H)
            output, weight = layer(seen, embedded, state)
            x = (output + x) * HALF_VARIANCE
            windows.append(seen[len(tokens) :])
            weights.append(weight)
        vectors = self.dropout(self.outward(x))
        return vectors, replace(state, windows=windows, time=state.time + len(tokens)), torch.stack(weights).mean(0)


def initialise(layer: nn.Linear, gain: float) -> nn.Linear:
    """Normal weights of variance gain / inputs, and zero biases, in place (3.5): 4 before a GLU, times what is kept."""
    nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.in_features))
    nn.init.zeros_(layer.bias)
    return layer
