"""Attention: a pure function of query, keys, values and mask.

B batch, T queries, S source length, H width of queries and of values, A of keys, N heads. Keys and values are made
once a sentence by `project_keys` and `project_values`, and handed in. The mask is padded on the left, and a source
token's place is counted from its sentence's first real token, which has place 0.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config import AttentionKind, ModelConfig


class AttentionHistory(NamedTuple):
    """What lies behind the queries."""

    times: Tensor
    """Target position of each query, 0 for the first, (T,)."""
    coverage: Tensor | None = None
    """Sum of the weights of all steps before, (B, T, S), for a `stepwise` attention."""


class Attention(nn.Module):
    """What most attentions share: a score of each query with each key, softmax, the weighted sum of the values."""

    stepwise = False
    """Whether a query needs the weights of the queries before it, so that a sequence is read one step at a time."""
    bounded = True
    """Whether no context is larger than the largest value."""

    def project_keys(self, values: Tensor) -> Tensor:
        """(B, S, H) -> (B, S, A), once for each source sentence."""
        return values

    def project_values(self, values: Tensor) -> Tensor:
        """(B, S, H) -> (B, S, H), what is summed, once for each source sentence."""
        return values

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, T, H) and (B, S, A) -> (B, T, S)."""
        raise NotImplementedError

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        """(B, T, S), zero on padding."""
        return masked_softmax(self.scores(query, keys), mask.unsqueeze(1))

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, past: AttentionHistory | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Args:
            query: decoder states, (B, T, H).
            keys: what `project_keys` made of the encoder's states, (B, S, A).
            values: what `project_values` made of them, (B, S, H).
            mask: True on real source tokens, (B, S).
            past: for the attentions that look at it, `local_m` and `coverage`.

        Returns:
            The contexts (B, T, H) and the weights (B, T, S). They are zero on padding and sum to one over the real
            tokens, except with `local_p`.
        """
        weights = self.weights(query, keys, mask, past)
        return torch.bmm(weights, values.to(weights.dtype)), weights


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where the mask, which broadcasts, is True; zero elsewhere."""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def places(mask: Tensor) -> Tensor:
    """Each real token's number within its sentence, counted from 0, of a left-padded mask (B, S); 0 on padding."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


class AdditiveAttention(Attention):
    """v . tanh(W q + U k): Bahdanau et al. 2015, appendix A.1.2."""

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
    """v . tanh(W q + U k + w c), c the sum of the key's weights so far: See et al. 2017, eq. 10 and 11.

    Tu et al. 2016 (3.1) call it linguistic coverage; theirs is divided by a fertility that is predicted.
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
    """q . k: Luong et al. 2015, 3.1, `dot`."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query, keys.transpose(1, 2))


class ScaledDotAttention(DotAttention):
    """q . k / sqrt(H): Vaswani et al. 2017, eq. 1."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().scores(query, keys) / math.sqrt(query.size(-1))


class GeneralAttention(DotAttention):
    """q . (W k): Luong et al. 2015, 3.1, `general`."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)

    def project_keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys


class LocationAttention(Attention):
    """softmax(W q): Luong et al. 2015, eq. 8. A row of W is a place in the source; what stands there is not asked.

    A short sentence uses the first rows, and of a long one the words beyond the last row are ignored, as there.
    """

    def __init__(self, hidden_size: int, max_positions: int) -> None:
        super().__init__()
        self.place = nn.Linear(hidden_size, max_positions, bias=False)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        place, rows = places(mask), self.place.out_features
        index = place.clamp(max=rows - 1).unsqueeze(1).expand(-1, query.size(1), -1)  # (B, T, S)
        scores = self.place(query).gather(2, index)
        return masked_softmax(scores, (mask & (place < rows)).unsqueeze(1))


class LocalAttention(GeneralAttention):
    """`general` within the window |s - p| <= D around a place p in the source: Luong et al. 2015, 3.2, local-m.

    The monotonic p is the target position t; where the source is shorter, its last token.
    """

    def __init__(self, hidden_size: int, window: int) -> None:
        super().__init__(hidden_size)
        self.window = window

    def centre(self, query: Tensor, length: Tensor, past: AttentionHistory | None) -> Tensor:
        """p of each query, (B, T), for sources of this length, (B, 1)."""
        assert past is not None
        return past.times.unsqueeze(0).minimum(length - 1)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor, past: AttentionHistory | None) -> Tensor:
        centre = self.centre(query, mask.sum(dim=1, keepdim=True), past)
        distance = places(mask).unsqueeze(1) - centre.unsqueeze(2)  # s - p, (B, T, S)
        window = mask.unsqueeze(1) & (distance.abs() <= self.window)
        weights = masked_softmax(self.scores(query, keys), window)
        return weights * self.nearness(distance).to(weights.dtype)

    def nearness(self, distance: Tensor) -> Tensor:
        """What the weights are multiplied by, at a distance s - p, (B, T, S)."""
        return torch.ones_like(distance)


class PredictiveLocalAttention(LocalAttention):
    """local-p: p = S sigmoid(v . tanh(W q)), weights times exp(-(s - p)^2 / 2 (D/2)^2): Luong et al. 2015, eq. 9, 10.

    The weights sum to less than one, as in the paper: the Gaussian comes after the softmax.
    """

    def __init__(self, hidden_size: int, window: int) -> None:
        super().__init__(hidden_size, window)
        self.hidden = nn.Linear(hidden_size, hidden_size, bias=False)
        self.share = nn.Linear(hidden_size, 1, bias=False)

    def centre(self, query: Tensor, length: Tensor, past: AttentionHistory | None) -> Tensor:
        share: Tensor = self.share(self.hidden(query).tanh()).squeeze(-1)  # (B, T)
        return length.float() * share.sigmoid()  # bfloat16 would round far places

    def nearness(self, distance: Tensor) -> Tensor:
        return (-2 * (distance / self.window).square()).exp()


class MultiHeadAttention(Attention):
    """N attentions, each on its slice of projected query, keys and values; their contexts side by side, projected.

    Vaswani et al. 2017, 3.2.2. The weights are the mean over the heads: what is drawn, and by what the lexicon reads.
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
        """(B, T, F) -> (B, N, T, F/N)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, past: AttentionHistory | None = None
    ) -> tuple[Tensor, Tensor]:
        weights = masked_softmax(self.scores(self.query(query), keys), mask[:, None, None])  # (B, N, T, S)
        contexts = weights @ self.slices(values).to(weights.dtype)  # (B, N, T, H/N)
        return self.output(contexts.transpose(1, 2).flatten(2)), weights.mean(dim=1)


class MultiHeadDotAttention(MultiHeadAttention):
    """q . k / sqrt(A/N) in each head: Vaswani et al. 2017, eq. 1."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, T, A) and (B, S, A) -> (B, N, T, S)."""
        query, keys = self.slices(query), self.slices(keys)
        return query @ keys.transpose(2, 3) / math.sqrt(query.size(-1))


class MultiHeadAdditiveAttention(MultiHeadAttention):
    """v . tanh(q + k) in each head: Chen et al. 2018, 4.1, with the energy of Bahdanau et al. 2015."""

    def __init__(self, hidden_size: int, attention_size: int, heads: int) -> None:
        super().__init__(hidden_size, attention_size, heads)
        self.energy = nn.Parameter(torch.empty(heads, attention_size // heads))
        nn.init.xavier_uniform_(self.energy)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, T, A) and (B, S, A) -> (B, N, T, S)."""
        mixed = (query.unsqueeze(2) + keys.unsqueeze(1)).tanh()  # (B, T, S, A)
        each_its_slice = torch.block_diag(*self.energy)  # type: ignore[no-untyped-call]  # (N, A)
        return linear(mixed, each_its_slice).permute(0, 3, 1, 2)


def build_attention(config: ModelConfig) -> Attention | None:
    """The recurrent decoder's attention, freshly initialised; None for a decoder without."""
    hidden = config.hidden_size
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
