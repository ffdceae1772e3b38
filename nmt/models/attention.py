"""Attention mechanisms as pure functions of query, keys, values and mask.

Notation: B batch, T queries, S source length, H width of queries and values, A width of keys, N heads. Keys and values
are computed once per sentence by `project_keys` and `project_values` and passed in. The mask is left-padded, and the
position of a source token is counted from the first real token of its sentence, which has position 0.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config import ATTENTIONS, AttentionKind, RecurrentDecoderConfig


class AttentionHistory(NamedTuple):
    """Information on the decoder steps before the queries."""

    times: Tensor
    """Target position of each query, counted from 0, (T,)."""
    coverage: Tensor | None = None
    """Sum of the weights of all previous steps, (B, T, S); required by a `stepwise` attention."""


class Attention(nn.Module):
    """Base class of attention: a score per query and key, softmax over the keys, weighted sum of the values."""

    stepwise = False
    """True if a query depends on the weights of earlier queries, so that a sequence must be decoded step by step."""
    bounded = True
    """True if no context vector exceeds the largest value in magnitude."""

    def project_keys(self, values: Tensor) -> Tensor:
        """Project encoder states to keys, (B, S, H) -> (B, S, A), once per source sentence."""
        return values

    def project_values(self, values: Tensor) -> Tensor:
        """Project encoder states to the values that are summed, (B, S, H) -> (B, S, H), once per source sentence."""
        return values

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Score each query against each key, (B, T, H) and (B, S, A) -> (B, T, S)."""
        raise NotImplementedError

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        """Return the attention weights (B, T, S), zero on padding."""
        return masked_softmax(self.scores(query, keys), mask.unsqueeze(1))

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, past: AttentionHistory | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend to the source.

        Args:
            query: decoder states, (B, T, H).
            keys: output of `project_keys` for the encoder states, (B, S, A).
            values: output of `project_values` for the encoder states, (B, S, H).
            mask: True on real source tokens, (B, S).
            past: previous steps; required by `local_m` and `coverage`.

        Returns:
            The context vectors (B, T, H) and the weights (B, T, S). The weights are zero on padding and sum to one over
            the real tokens, except with `local_p`.
        """
        weights = self.weights(query, keys, mask, past)
        return torch.bmm(weights, values.to(weights.dtype)), weights


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Apply softmax over the last dimension where `mask` (broadcast) is True, and return zero elsewhere."""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def source_positions(mask: Tensor) -> Tensor:
    """Return the position of each real token of a left-padded mask (B, S), counted from 0; padding gets 0."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)


class AdditiveAttention(Attention):
    """Additive attention, v . tanh(W q + U k): Bahdanau et al. 2015, appendix A.1.2."""

    def __init__(self, hidden_size: int, attention_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, attention_size)
        self.key = nn.Linear(hidden_size, attention_size, bias=False)
        self.energy = nn.Linear(attention_size, 1, bias=False)

    def project_keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        mixed = self.query(query).unsqueeze(2) + keys.unsqueeze(1)  # (B, T, S, A)
        energy: Tensor = self.energy(mixed.tanh())  # (B, T, S, 1)
        return energy.squeeze(-1)


class CoverageAttention(AdditiveAttention):
    """Additive attention with coverage, v . tanh(W q + U k + w c): See et al. 2017, eq. 10 and 11.

    c is the sum of the weights that the key has received so far. Tu et al. 2016 (3.1) call this linguistic coverage;
    their version divides c by a predicted fertility.
    """

    stepwise = True

    def __init__(self, hidden_size: int, attention_size: int) -> None:
        super().__init__(hidden_size, attention_size)
        self.covered = nn.Linear(1, attention_size, bias=False)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        assert past is not None
        assert past.coverage is not None
        mixed = self.query(query).unsqueeze(2) + keys.unsqueeze(1) + self.covered(past.coverage.unsqueeze(-1))
        return masked_softmax(self.energy(mixed.tanh()).squeeze(-1), mask.unsqueeze(1))


class DotAttention(Attention):
    """Dot-product attention, q . k: Luong et al. 2015, 3.1, `dot`."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query, keys.transpose(1, 2))


class ScaledDotAttention(DotAttention):
    """Scaled dot-product attention, q . k / sqrt(H): Vaswani et al. 2017, eq. 1."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().scores(query, keys) / math.sqrt(query.size(-1))


class GeneralAttention(DotAttention):
    """Bilinear attention, q . (W k): Luong et al. 2015, 3.1, `general`."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)

    def project_keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys


class LocationAttention(Attention):
    """Location-based attention, softmax(W q): Luong et al. 2015, eq. 8.

    Each row of W belongs to a source position; the content of the source is not used. As in the paper, a short sentence
    uses the first rows, and tokens beyond the last row get no weight.
    """

    def __init__(self, hidden_size: int, max_positions: int) -> None:
        super().__init__()
        self.place = nn.Linear(hidden_size, max_positions, bias=False)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        positions, rows = source_positions(mask), self.place.out_features
        index = positions.clamp(max=rows - 1).unsqueeze(1).expand(-1, query.size(1), -1)  # (B, T, S)
        scores = self.place(query).gather(2, index)
        return masked_softmax(scores, (mask & (positions < rows)).unsqueeze(1))


class LocalAttention(GeneralAttention):
    """Monotonic local attention (local-m): `general` within the window |s - p| <= D. Luong et al. 2015, 3.2.

    The centre p is the target position t, or the last source token where the source is shorter.
    """

    def __init__(self, hidden_size: int, window: int) -> None:
        super().__init__(hidden_size)
        self.window = window

    def centre(self, query: Tensor, length: Tensor, past: AttentionHistory | None) -> Tensor:
        """Return the window centre p of each query, (B, T), for source lengths (B, 1)."""
        assert past is not None
        return past.times.unsqueeze(0).minimum(length - 1)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        centre = self.centre(query, mask.sum(dim=1, keepdim=True), past)
        distance = source_positions(mask).unsqueeze(1) - centre.unsqueeze(2)  # s - p, (B, T, S)
        window = mask.unsqueeze(1) & (distance.abs() <= self.window)
        weights = masked_softmax(self.scores(query, keys), window)
        return weights * self.nearness(distance).to(weights.dtype)

    def nearness(self, distance: Tensor) -> Tensor:
        """Return the factor applied to the weights at distances s - p, (B, T, S)."""
        return torch.ones_like(distance)


class PredictiveLocalAttention(LocalAttention):
    """Predictive local attention (local-p): Luong et al. 2015, eq. 9 and 10.

    The centre is p = S sigmoid(v . tanh(W q)), and the weights are multiplied by exp(-(s - p)^2 / 2 (D/2)^2). As in the
    paper, the Gaussian is applied after the softmax, so the weights sum to less than one.
    """

    def __init__(self, hidden_size: int, window: int) -> None:
        super().__init__(hidden_size, window)
        self.hidden = nn.Linear(hidden_size, hidden_size, bias=False)
        self.share = nn.Linear(hidden_size, 1, bias=False)

    def centre(self, query: Tensor, length: Tensor, past: AttentionHistory | None) -> Tensor:
        share: Tensor = self.share(self.hidden(query).tanh()).squeeze(-1)  # (B, T)
        return length.float() * share.sigmoid()  # bfloat16 would round large positions

    def nearness(self, distance: Tensor) -> Tensor:
        return (-2 * (distance / self.window).square()).exp()


class MultiHeadAttention(Attention):
    """Multi-head attention: N heads, each on its slice of the projected query, keys and values.

    Vaswani et al. 2017, 3.2.2. The concatenated contexts are projected. The returned weights are the mean over the
    heads, which the plots and the lexicon use.
    """

    bounded = False

    def __init__(self, hidden_size: int, attention_size: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, attention_size, bias=False)
        self.key = nn.Linear(hidden_size, attention_size, bias=False)
        self.value = nn.Linear(hidden_size, hidden_size, bias=False)
        self.output = nn.Linear(hidden_size, hidden_size, bias=False)
        self.heads = heads

    def project_keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys

    def project_values(self, values: Tensor) -> Tensor:
        projected: Tensor = self.value(values)
        return projected

    def slices(self, x: Tensor) -> Tensor:
        """Split features into heads, (B, T, F) -> (B, N, T, F/N)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, past: AttentionHistory | None = None
    ) -> tuple[Tensor, Tensor]:
        weights = masked_softmax(self.scores(self.query(query), keys), mask[:, None, None])  # (B, N, T, S)
        contexts = weights @ self.slices(values).to(weights.dtype)  # (B, N, T, H/N)
        return self.output(contexts.transpose(1, 2).flatten(2)), weights.mean(dim=1)


class MultiHeadDotAttention(MultiHeadAttention):
    """Multi-head attention with the score q . k / sqrt(A/N) per head: Vaswani et al. 2017, eq. 1."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Score each query against each key in each head, (B, T, A) and (B, S, A) -> (B, N, T, S)."""
        query, keys = self.slices(query), self.slices(keys)
        return query @ keys.transpose(2, 3) / math.sqrt(query.size(-1))


class MultiHeadAdditiveAttention(MultiHeadAttention):
    """Multi-head attention with the score v . tanh(q + k) per head.

    Chen et al. 2018, 4.1, with the energy of Bahdanau et al. 2015.
    """

    def __init__(self, hidden_size: int, attention_size: int, heads: int) -> None:
        super().__init__(hidden_size, attention_size, heads)
        self.energy = nn.Parameter(torch.empty(heads, attention_size // heads))
        nn.init.xavier_uniform_(self.energy)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Score each query against each key in each head, (B, T, A) and (B, S, A) -> (B, N, T, S)."""
        mixed = (query.unsqueeze(2) + keys.unsqueeze(1)).tanh()  # (B, T, S, A)
        energy_per_head = torch.block_diag(*self.energy)  # type: ignore[no-untyped-call]  # (N, A)
        return linear(mixed, energy_per_head).permute(0, 3, 1, 2)


def build_attention(config: RecurrentDecoderConfig, hidden: int) -> Attention | None:
    """Build the attention of a recurrent decoder of width `hidden`; return None for a decoder without attention."""
    match config.attention:
        case None:
            return None
        case AttentionKind.additive:
            return AdditiveAttention(hidden, attention_size=hidden // 2)
        case AttentionKind.dot:
            return DotAttention()
        case AttentionKind.scaled_dot:
            return ScaledDotAttention()
        case AttentionKind.general:
            return GeneralAttention(hidden)
        case AttentionKind.location:
            return LocationAttention(hidden, config.max_positions)
        case AttentionKind.local_m:
            return LocalAttention(hidden, config.attention_window)
        case AttentionKind.local_p:
            return PredictiveLocalAttention(hidden, config.attention_window)
        case AttentionKind.multi_head_additive:
            return MultiHeadAdditiveAttention(hidden, hidden // 2, config.heads)
        case AttentionKind.multi_head_dot:
            return MultiHeadDotAttention(hidden, hidden, config.heads)
        case AttentionKind.coverage:
            return CoverageAttention(hidden, attention_size=hidden // 2)
        case name:
            registered: Attention = ATTENTIONS.find(name)(config, hidden)
            return registered
