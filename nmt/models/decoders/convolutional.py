"""Convolutional decoder: Gehring et al. 2017, without their weight normalisation and gradient scaling.

B sentences with K hypotheses each (K is 1 in training), S and T source and target length, E width of the embeddings,
H of the convolutions, k kernel width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import ConvolutionalDecoderConfig, ModelConfig, PositionKind
from nmt.models.attention import DotAttention
from nmt.models.embedding import Embedding, Positions
from nmt.models.interface import DecoderOutput, Encoded, fold_hypotheses, selected_sentences, unfold_hypotheses
from nmt.models.layers.convolution import HALF_VARIANCE, Convolution, initialise_normal
from nmt.models.layers.recurrent import Dropout, WordDropout


@dataclass
class ConvolutionalState:
    """The source, and the last inputs of each convolution."""

    keys: Tensor
    """Keys of the attention, (B, S, E)."""
    values: Tensor
    """Values of the attention, (B, S, E)."""
    mask: Tensor
    """True on real source tokens, (B, S)."""
    windows: list[Tensor]
    """The last k - 1 inputs of each layer's convolution, (k - 1, B K, H); zeros at the start."""
    time: int = 0
    """Number of target tokens decoded so far."""

    def select(self, rows: Tensor) -> "ConvolutionalState":
        """Return the state of the hypotheses `rows` (B', K'), as `AnyState.select`."""
        windows = [window.index_select(1, rows.flatten()) for window in self.windows]
        sentences = selected_sentences(rows, len(self.mask), self.windows[0].size(1))
        if sentences is None:
            return replace(self, windows=windows)
        keys, values, mask = (part.index_select(0, sentences) for part in (self.keys, self.values, self.mask))
        return ConvolutionalState(keys, values, mask, windows, self.time)


class ConvolutionalDecoderLayer(nn.Module):
    """A causal convolution and an attention to the source (3.3)."""

    def __init__(self, config: ConvolutionalDecoderConfig, model: ModelConfig) -> None:
        super().__init__()
        embed, hidden = model.embed_size, model.hidden_size
        self.convolution = Convolution(hidden, config.kernel_width, model.dropout)
        self.query = initialise_normal(nn.Linear(hidden, embed), 1.0)
        self.attention = DotAttention()
        self.output = initialise_normal(nn.Linear(embed, hidden), 1.0)

    def forward(self, seen: Tensor, embedded: Tensor, state: ConvolutionalState) -> tuple[Tensor, Tensor]:
        """Decode T positions.

        The token's embedding is added to the query (eq. 1). The context is a mean of m values and is multiplied by
        sqrt(m), so that it has the variance of one of them (3.5).

        Args:
            seen: inputs at T positions and the k - 1 before them, (T + k - 1, B K, H).
            embedded: embeddings of the T tokens, (T, B K, E).
            state: state with keys, values and mask of the source.

        Returns:
            The output (T, B K, H) and the attention weights (B, T K, S).
        """
        x = self.convolution(seen)  # (T, B K, H)
        query = fold_hypotheses((self.query(x) + embedded) * HALF_VARIANCE, state.mask.size(0))
        context, weights = self.attention(query, state.keys, state.values, state.mask)  # (B, T K, E)
        context = context * state.mask.sum(dim=1).sqrt().to(context.dtype).view(-1, 1, 1)
        context = unfold_hypotheses(context, len(embedded))  # (T, B K, E)
        return (self.output(context) + x) * HALF_VARIANCE, weights


class ConvolutionalDecoder(nn.Module):
    """Residual causal convolutions, each with an attention (3)."""

    embedding_exponent = 0.0
    vector_bound = float("inf")

    def __init__(
        self, config: ConvolutionalDecoderConfig, model: ModelConfig, embedding: Embedding, state_size: int | None
    ) -> None:
        """Initialise the decoder; it does not use the encoder's final state of width `state_size`."""
        super().__init__()
        embed, self.hidden_size = model.embed_size, model.hidden_size
        self.memory_size = embed
        self.embedding = embedding
        self.positions = Positions(PositionKind.learned, config.max_positions, embed)
        self.inward = initialise_normal(nn.Linear(embed, self.hidden_size), 1 - model.dropout)
        self.layers = nn.ModuleList(ConvolutionalDecoderLayer(config, model) for _ in range(config.layers))
        self.outward = initialise_normal(nn.Linear(self.hidden_size, embed), 1.0)
        self.past = config.kernel_width - 1
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.word_dropout = WordDropout(model.word_dropout)

    def start(self, encoded: Encoded, mask: Tensor) -> ConvolutionalState:
        """Return the state before the first target token; `mask` is the source mask, (S, B)."""
        keys, values = (tensor.transpose(0, 1).contiguous() for tensor in (encoded.memory, encoded.summed))
        window = keys.new_zeros(self.past, mask.size(1), self.hidden_size)
        return ConvolutionalState(keys, values, mask.t(), [window] * len(self.layers))

    def forward(self, tgt_in: Tensor, state: ConvolutionalState) -> tuple[Tensor, Tensor]:
        """Map target tokens (T, B) to vectors (T, B, E) and the weights averaged over the layers, (B, T, S)."""
        vectors, _, weights = self.decode(tgt_in, state)
        return vectors, weights

    def step(self, tokens: Tensor, state: ConvolutionalState) -> DecoderOutput[ConvolutionalState]:
        """Decode one token per hypothesis, (B K,)."""
        vectors, state, weights = self.decode(tokens.unsqueeze(0), state)
        return DecoderOutput(vectors.squeeze(0), state, weights)

    def decode(self, tokens: Tensor, state: ConvolutionalState) -> tuple[Tensor, ConvolutionalState, Tensor]:
        """Decode T tokens per hypothesis, (T, B K), from a state.

        Returns:
            The vectors (T, B K, E), the state after the last token, and the weights (B, T K, S).
        """
        positions = torch.arange(state.time, state.time + len(tokens), device=tokens.device).unsqueeze(1)  # (T, 1)
        words = self.word_dropout(self.embedding(tokens))
        embedded = self.dropout(self.positions(words, positions))  # (T, B K, E)
        x, windows, weights = self.inward(embedded), [], []
        for layer, window in zip(self.layers, state.windows, strict=True):
            seen = torch.cat([window, self.dropout(x)])  # (T + k - 1, B K, H)
            output, layer_weights = layer(seen, embedded, state)
            x = (output + x) * HALF_VARIANCE
            windows.append(seen[len(tokens) :])
            weights.append(layer_weights)
        vectors = self.dropout(self.outward(x))
        return vectors, replace(state, windows=windows, time=state.time + len(tokens)), torch.stack(weights).mean(0)
