"""Attention: a pure function of query, keys, values and mask.

B batch, T queries, S source length, H width of queries and of values. Keys are made once a sentence by
`project_keys`, and handed in.
"""

import math

import torch
from torch import Tensor, nn

from nmt.config import AttentionKind


class Attention(nn.Module):
    """What every attention shares: masked softmax over the source, and the weighted sum of the values."""

    def project_keys(self, values: Tensor) -> Tensor:
        """(B, S, H) -> (B, S, A), once for each source sentence."""
        return values

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, T, H) and (B, S, A) -> (B, T, S)."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            query: decoder states, (B, T, H).
            keys: what `project_keys` made of the values, (B, S, A).
            values: encoder states, (B, S, H).
            mask: True on real source tokens, (B, S).

        Returns:
            The contexts (B, T, H) and the weights (B, T, S), which sum to one over the real tokens.
        """
        scores = self.scores(query, keys).masked_fill(~mask.unsqueeze(1), float("-inf"))
        weights = scores.softmax(dim=-1)  # (B, T, S)
        return torch.bmm(weights, values.to(weights.dtype)), weights


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


class DotAttention(Attention):
    """q . k / sqrt(H): Luong et al. 2015, eq. 8 (dot), scaled as in Vaswani et al. 2017, eq. 1."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query, keys.transpose(1, 2)) / math.sqrt(query.size(-1))


class GeneralAttention(Attention):
    """q . (W k): Luong et al. 2015, eq. 8 (general)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)

    def project_keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query, keys.transpose(1, 2))


def build_attention(kind: AttentionKind, hidden_size: int) -> Attention:
    match kind:
        case AttentionKind.additive:
            return AdditiveAttention(hidden_size, attention_size=hidden_size // 2)
        case AttentionKind.dot:
            return DotAttention()
        case AttentionKind.general:
            return GeneralAttention(hidden_size)
