"""Attention kinds against loops over their formulas, masking, and independence of the sentences of a batch."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nmt.config import AttentionKind, GnmtDecoderConfig
from nmt.models.attention import Attention, AttentionHistory, MultiHeadAttention, build_attention

HIDDEN, HEADS, WINDOW, ROWS = 4, 2, 1, 4
LENGTHS = [2, 5, 1]
BATCH, QUERIES, STEPS = len(LENGTHS), 3, max(LENGTHS)
MASK = torch.tensor([[s >= STEPS - length for s in range(STEPS)] for length in LENGTHS])  # (B, S)
KINDS = pytest.mark.parametrize("kind", list(AttentionKind))
CONFIG = GnmtDecoderConfig(heads=HEADS, attention_window=WINDOW, max_positions=ROWS)


def past() -> AttentionHistory:
    """Return a history with queries at target positions 1, 2 and 3 and varied coverage."""
    coverage = torch.rand(BATCH, QUERIES, STEPS, generator=torch.Generator().manual_seed(4)).double()
    return AttentionHistory(torch.tensor([1, 2, 3]), coverage * MASK.unsqueeze(1))


def random_attention(kind: AttentionKind) -> tuple[Attention, Tensor, Tensor]:
    """Return an attention in float64, queries (B, T, H) and encoder states (B, S, H)."""
    torch.manual_seed(3)
    query, states = torch.randn(BATCH, QUERIES, HIDDEN), torch.randn(BATCH, STEPS, HIDDEN)
    attention = build_attention(replace(CONFIG, attention=kind), HIDDEN)
    assert attention is not None
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    return attention.double(), query.double(), states.double()


def run(
    attention: Attention, query: Tensor, states: Tensor, mask: Tensor, past: AttentionHistory
) -> tuple[Tensor, Tensor]:
    contexts, weights = attention(query, attention.project_keys(states), attention.project_values(states), mask, past)
    return contexts, weights


def times(matrix: Tensor, vector: list[float]) -> list[float]:
    return [sum(row[i] * vector[i] for i in range(len(vector))) for row in matrix.tolist()]


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def softmax(scores: dict[int, float], steps: int) -> list[float]:
    exps = {s: math.exp(score) for s, score in scores.items()}
    return [exps.get(s, 0.0) / sum(exps.values()) for s in range(steps)]


def expected_weights(
    attention: Attention,
    kind: AttentionKind,
    q: list[float],
    states: list[list[float]],
    time: int,
    covered: list[float],
) -> list[float]:
    """Compute the weights of one query over one unpadded sentence, for one head."""
    length = len(states)
    scores = {}
    for s, state in enumerate(states):
        match kind:
            case (
                AttentionKind.additive | AttentionKind.coverage
            ):  # Bahdanau et al. 2015, A.1.2; See et al. 2017, eq. 11
                mixed = zip(
                    times(attention.query.weight, q),
                    attention.query.bias.tolist(),
                    times(attention.key.weight, state),
                    times(attention.covered.weight, [covered[s]]) if kind == AttentionKind.coverage else [0.0, 0.0],
                    strict=True,
                )
                scores[s] = dot(attention.energy.weight[0].tolist(), [math.tanh(sum(parts)) for parts in mixed])
            case AttentionKind.dot:
                scores[s] = dot(q, state)
            case AttentionKind.scaled_dot:
                scores[s] = dot(q, state) / math.sqrt(HIDDEN)
            case AttentionKind.location:  # Luong et al. 2015, eq. 8
                if s < ROWS:
                    scores[s] = dot(attention.place.weight[s].tolist(), q)
            case AttentionKind.general | AttentionKind.local_m | AttentionKind.local_p:
                scores[s] = dot(q, times(attention.key.weight, state))
            case _:
                raise AssertionError(kind)
    if kind not in (AttentionKind.local_m, AttentionKind.local_p):
        return softmax(scores, length)
    centre = float(min(time, length - 1))
    if kind == AttentionKind.local_p:  # eq. 9
        inner = dot(attention.share.weight[0].tolist(), [math.tanh(x) for x in times(attention.hidden.weight, q)])
        centre = length / (1 + math.exp(-inner))
    weights = softmax({s: score for s, score in scores.items() if abs(s - centre) <= WINDOW}, length)
    if kind == AttentionKind.local_m:
        return weights
    sigma = WINDOW / 2
    return [weight * math.exp(-((s - centre) ** 2) / (2 * sigma**2)) for s, weight in enumerate(weights)]  # eq. 10


def expected(
    attention: Attention,
    kind: AttentionKind,
    q: list[float],
    states: list[list[float]],
    time: int,
    covered: list[float],
) -> tuple[list[float], list[float]]:
    """Compute context and weights of one query over one unpadded sentence."""
    if not isinstance(attention, MultiHeadAttention):
        weights = expected_weights(attention, kind, q, states, time, covered)
        return [sum(w * state[i] for w, state in zip(weights, states, strict=True)) for i in range(HIDDEN)], weights
    joined, all_weights = [], []
    query, keys = times(attention.query.weight, q), [times(attention.key.weight, state) for state in states]
    values = [times(attention.value.weight, state) for state in states]
    width, out = len(query) // HEADS, HIDDEN // HEADS
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        if kind == AttentionKind.multi_head_dot:
            scores = [dot(query[part], key[part]) / math.sqrt(width) for key in keys]
        else:
            energy = attention.energy[head].tolist()
            pairs = [zip(query[part], key[part], strict=True) for key in keys]
            scores = [dot(energy, [math.tanh(a + b) for a, b in pair]) for pair in pairs]
        weights = softmax(dict(enumerate(scores)), len(states))
        for i in range(head * out, (head + 1) * out):
            joined.append(sum(w * value[i] for w, value in zip(weights, values, strict=True)))
        all_weights.append(weights)
    return times(attention.output.weight, joined), [sum(column) / HEADS for column in zip(*all_weights, strict=True)]


@KINDS
def test_attention_is_its_formula_in_a_loop(kind: AttentionKind) -> None:
    attention, query, states = random_attention(kind)
    before = past()
    assert before.coverage is not None
    contexts, weights = run(attention, query, states, MASK, before)
    for b, length in enumerate(LENGTHS):
        padding = STEPS - length
        for t in range(QUERIES):
            context, weight = expected(
                attention,
                kind,
                query[b, t].tolist(),
                states[b, padding:].tolist(),
                int(before.times[t]),
                before.coverage[b, t, padding:].tolist(),
            )
            assert weights[b, t].tolist() == pytest.approx([0.0] * padding + weight, abs=1e-12)
            assert contexts[b, t].tolist() == pytest.approx(context, abs=1e-12)


@KINDS
def test_weights_are_zero_on_padding_and_sum_to_one(kind: AttentionKind) -> None:
    attention, query, states = random_attention(kind)
    _, weights = run(attention, 100 * query, states, MASK, past())
    assert (weights.masked_select(~MASK.unsqueeze(1)) == 0).all()
    sums = weights.sum(dim=-1)
    if kind == AttentionKind.local_p:  # the Gaussian comes after the softmax
        assert ((sums > 0) & (sums <= 1)).all()
    else:
        torch.testing.assert_close(sums, torch.ones(BATCH, QUERIES).double())


@KINDS
def test_a_sentence_is_attended_to_as_if_it_were_alone_without_padding(kind: AttentionKind) -> None:
    attention, query, states = random_attention(kind)
    states[~MASK] = 1e3  # must not be attended to
    before = past()
    assert before.coverage is not None
    contexts, weights = run(attention, query, states, MASK, before)
    for b, length in enumerate(LENGTHS):
        history = AttentionHistory(before.times, before.coverage[b : b + 1, :, STEPS - length :])
        mask = torch.ones(1, length, dtype=torch.bool)
        context, weight = run(attention, query[b : b + 1], states[b : b + 1, STEPS - length :], mask, history)
        torch.testing.assert_close(contexts[b], context[0])
        torch.testing.assert_close(weights[b, :, STEPS - length :], weight[0])


@KINDS
def test_gradients_are_those_of_finite_differences(kind: AttentionKind) -> None:
    attention, query, states = random_attention(kind)

    def context(query: Tensor, states: Tensor) -> Tensor:
        return run(attention, query, states, MASK, past())[0]

    assert torch.autograd.gradcheck(context, (query.requires_grad_(), states.requires_grad_()))


@KINDS
def test_every_parameter_has_a_gradient(kind: AttentionKind) -> None:
    attention, query, states = random_attention(kind)
    contexts, _ = run(attention, query.requires_grad_(), states, MASK, past())
    contexts.square().sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", [AttentionKind.multi_head_additive, AttentionKind.multi_head_dot])
def test_a_single_head_with_projections_that_change_nothing_is_the_plain_attention(kind: AttentionKind) -> None:
    _, query, states = random_attention(kind)
    single = build_attention(replace(CONFIG, attention=kind, heads=1), HIDDEN)
    assert isinstance(single, MultiHeadAttention)
    single.double()
    identity = torch.eye(HIDDEN).double()
    plain_kind = AttentionKind.scaled_dot if kind == AttentionKind.multi_head_dot else AttentionKind.additive
    plain, _, _ = random_attention(plain_kind)
    with torch.no_grad():
        single.value.weight.copy_(identity)
        single.output.weight.copy_(identity)
        if kind == AttentionKind.multi_head_dot:
            single.query.weight.copy_(identity)
            single.key.weight.copy_(identity)
        else:
            plain.query.bias.zero_()
            single.query.weight.copy_(plain.query.weight)
            single.key.weight.copy_(plain.key.weight)
            single.energy.copy_(plain.energy.weight)
    torch.testing.assert_close(
        run(single, query, states, MASK, past()), run(plain, query, states, MASK, past()), atol=1e-12, rtol=1e-12
    )
