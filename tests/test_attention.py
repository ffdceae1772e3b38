"""Attention: each kind against a loop over its formula, masks, and sentences that do not see each other."""

import math

import pytest
import torch
from torch import Tensor

from nmt.config import AttentionKind
from nmt.models.attention import AdditiveAttention, Attention, GeneralAttention, build_attention

HIDDEN = 4
LENGTHS = [2, 5, 1]
BATCH, QUERIES, STEPS = len(LENGTHS), 3, max(LENGTHS)
MASK = torch.tensor([[s >= STEPS - length for s in range(STEPS)] for length in LENGTHS])  # (B, S)
KINDS = pytest.mark.parametrize("kind", list(AttentionKind))


def random_attention(kind: AttentionKind) -> tuple[Attention, Tensor, Tensor]:
    """Attention in float64, queries (B, T, H) and values (B, S, H)."""
    torch.manual_seed(3)
    query, values = torch.randn(BATCH, QUERIES, HIDDEN), torch.randn(BATCH, STEPS, HIDDEN)
    return build_attention(kind, HIDDEN).double(), query.double(), values.double()


def score(attention: Attention, query: list[float], value: list[float]) -> float:
    """Bahdanau et al. 2015, A.1.2; Luong et al. 2015, eq. 8."""
    if isinstance(attention, AdditiveAttention):
        w, b, u = (p.tolist() for p in (attention.query.weight, attention.query.bias, attention.key.weight))
        return sum(
            v * math.tanh(sum(w[a][i] * query[i] + u[a][i] * value[i] for i in range(HIDDEN)) + b[a])
            for a, v in enumerate(attention.energy.weight[0].tolist())
        )
    if isinstance(attention, GeneralAttention):
        w = attention.key.weight.tolist()
        return sum(query[i] * w[i][j] * value[j] for i in range(HIDDEN) for j in range(HIDDEN))
    return sum(query[i] * value[i] for i in range(HIDDEN)) / math.sqrt(HIDDEN)


@KINDS
def test_attention_is_its_formula_in_a_loop(kind: AttentionKind) -> None:
    attention, query, values = random_attention(kind)
    contexts, weights = attention(query, attention.project_keys(values), values, MASK)
    for b in range(BATCH):
        real = [s for s in range(STEPS) if MASK[b, s]]
        for t in range(QUERIES):
            exps = {s: math.exp(score(attention, query[b, t].tolist(), values[b, s].tolist())) for s in real}
            expected = [exps.get(s, 0.0) / sum(exps.values()) for s in range(STEPS)]
            assert weights[b, t].tolist() == pytest.approx(expected, abs=1e-12)
            context = [sum(expected[s] * values[b, s, i].item() for s in real) for i in range(HIDDEN)]
            assert contexts[b, t].tolist() == pytest.approx(context, abs=1e-12)


@KINDS
def test_weights_sum_to_one_and_are_zero_on_padding(kind: AttentionKind) -> None:
    attention, query, values = random_attention(kind)
    _, weights = attention(100 * query, attention.project_keys(values), values, MASK)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(BATCH, QUERIES).double())
    assert (weights.masked_select(~MASK.unsqueeze(1)) == 0).all()


@KINDS
def test_a_sentence_is_attended_to_as_if_it_were_alone_without_padding(kind: AttentionKind) -> None:
    attention, query, values = random_attention(kind)
    values[~MASK] = 1e3  # must not be looked at
    contexts, weights = attention(query, attention.project_keys(values), values, MASK)
    for b, length in enumerate(LENGTHS):
        alone = values[b : b + 1, STEPS - length :]
        mask = torch.ones(1, length, dtype=torch.bool)
        context, weight = attention(query[b : b + 1], attention.project_keys(alone), alone, mask)
        torch.testing.assert_close(contexts[b], context[0])
        torch.testing.assert_close(weights[b, :, STEPS - length :], weight[0])


@KINDS
def test_gradients_are_those_of_finite_differences(kind: AttentionKind) -> None:
    attention, query, values = random_attention(kind)

    def run(query: Tensor, values: Tensor) -> Tensor:
        context, _ = attention(query, attention.project_keys(values), values, MASK)
        return context

    assert torch.autograd.gradcheck(run, (query.requires_grad_(), values.requires_grad_()))
