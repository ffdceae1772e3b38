"""Gated DeltaNet, DeltaNet, Mamba-2 and GLA against their written equations, and chunks against steps."""

import math
from typing import Any

import pytest
import torch
from authors_code import load_file
from layer_forms import assert_same_with_gradients
from torch import Tensor
from torch.nn.functional import silu

from nmt.config import CellKind
from nmt.models.layers.cells import cell_type
from nmt.models.layers.gated_delta import EPSILON, GLA, GatedDelta, Mamba2
from nmt.models.layers.recurrent import LayerState

STEPS, BATCH, INPUT, HIDDEN = 7, 3, 5, 8
HEADS, UNITS = 4, 2
CELLS = [CellKind.gated_delta, CellKind.delta_net, CellKind.mamba2, CellKind.gla]
EVERY = pytest.mark.parametrize("cell", CELLS)


def build(cell: CellKind) -> Any:
    torch.manual_seed(0)
    layer = cell_type(cell)(INPUT, HIDDEN).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def inputs(steps: int = STEPS) -> Tensor:
    return torch.randn(steps, BATCH, INPUT, generator=torch.Generator().manual_seed(1)).double()


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def softplus(x: Tensor) -> Tensor:
    return (1 + x.exp()).log()


def unit(x: Tensor) -> Tensor:
    return x / math.sqrt((x @ x).item() + EPSILON)


def gates(cell: CellKind, layer: Any, rest: Tensor, h: int) -> tuple[Tensor, Tensor | float]:
    """Return the decay, a vector over the units of keys, and the share written, of head h."""
    rows = slice(h * UNITS, (h + 1) * UNITS)
    if cell == CellKind.gla:
        return sigmoid(rest[rows]) ** (1 / 16), 1.0
    if cell == CellKind.delta_net:
        return torch.ones(UNITS).double(), sigmoid(rest[h])
    step = softplus(rest[h])
    decay = (-layer.decay_rate[h].exp() * step).exp() * torch.ones(UNITS).double()
    return decay, step if cell == CellKind.mamba2 else sigmoid(rest[HEADS + h])


def written(cell: CellKind, layer: Any, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs (T, H) and the last S of one sentence by Yang et al. 2025, eq. 10, head by head."""
    s, outputs = list(memory), []
    for step in x:
        p = layer.input.weight @ step + layer.input.bias
        output = []
        for h in range(HEADS):
            rows = slice(h * UNITS, (h + 1) * UNITS)
            q, k, v, g = (p[at * HIDDEN : (at + 1) * HIDDEN][rows] for at in range(4))
            q, k, v, g = (value * sigmoid(value) for value in (q, k, v, g))
            q, k = unit(q), unit(k)
            a, b = gates(cell, layer, p[4 * HIDDEN :], h)
            s[h] = a[:, None] * s[h]
            if cell in (CellKind.gated_delta, CellKind.delta_net):
                s[h] = (torch.eye(UNITS).double() - b * torch.outer(k, k)) @ s[h]
            s[h] = s[h] + b * torch.outer(k, v)
            read = s[h].T @ q
            scale = math.sqrt((read @ read).item() / UNITS + layer.norm.epsilon)
            output.append(read / scale * layer.norm.weight[rows] * g)
        outputs.append(torch.cat(output))
    return torch.stack(outputs), torch.stack(s)


@EVERY
@pytest.mark.parametrize("empty", [True, False])
@torch.no_grad()
def test_both_forms_are_the_written_equations(cell: CellKind, empty: bool) -> None:
    layer, x = build(cell), inputs()
    state = layer.zero_state(x)
    if not empty:
        state = (state[0], torch.randn(state[1].shape, generator=torch.Generator().manual_seed(2)).double())
    outputs, (_, s) = layer(x, None if empty else state)
    stepped = state
    for t in range(STEPS):
        stepped = layer.step(x[t], stepped)
        torch.testing.assert_close(stepped[0], outputs[t])
    for b in range(BATCH):
        expected, last = written(cell, layer, x[:, b], state[1][b])
        torch.testing.assert_close(outputs[:, b], expected)
        torch.testing.assert_close(s[b], last)
        torch.testing.assert_close(stepped[1][b], last)


@EVERY
@pytest.mark.parametrize("chunk", [2, 3, 64])
def test_chunks_have_the_gradients_of_the_steps_under_padding(cell: CellKind, chunk: int) -> None:
    layer, x = build(cell), inputs().requires_grad_()
    layer.chunk = chunk
    mask = torch.tensor([[t >= 2 * row for row in range(BATCH)] for t in range(STEPS)])
    outputs, last = layer(x, mask=mask)
    state: LayerState = layer.zero_state(x)
    steps = []
    for t in range(STEPS):
        real = mask[t].double()
        state = tuple(part * real.view(-1, *[1] * (part.dim() - 1)) for part in layer.step(x[t], state))
        steps.append(state[0])

    assert_same_with_gradients((outputs, last), (torch.stack(steps), state), [x, *layer.parameters()])


@EVERY
@torch.no_grad()
def test_a_state_on_padding_is_zero_to_the_bit(cell: CellKind) -> None:
    layer, x = build(cell).float(), inputs().float()
    outputs, state = layer(x * 1e6, mask=torch.zeros(STEPS, BATCH, dtype=torch.bool))
    assert not outputs.any()
    assert not any(part.any() for part in state)


@EVERY
@pytest.mark.parametrize("gate", [-40.0, 40.0])
def test_extreme_gates_stay_finite_in_float32(cell: CellKind, gate: float) -> None:
    layer, x = build(cell).float(), inputs(70).float().requires_grad_()
    with torch.no_grad():
        layer.input.weight[4 * HIDDEN :].zero_()
        layer.input.bias[4 * HIDDEN :] = gate
    outputs, (_, s) = layer(x)
    outputs.square().sum().backward()
    assert all(part.isfinite().all() for part in (outputs, s, x.grad))
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())
    stepped = layer.zero_state(x)
    for t in range(len(x)):
        stepped = layer.step(x[t], stepped)
    torch.testing.assert_close(stepped[1], s, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_delta_rule_replaces_the_value_of_a_key() -> None:
    """Write two values for one key with b = 1: the memory returns the second; without the rule, their sum."""
    layer = build(CellKind.delta_net)
    layer.input.weight[HIDDEN : 2 * HIDDEN].zero_()  # the same key at every step
    layer.input.bias[HIDDEN : 2 * HIDDEN] = 3.0
    layer.input.weight[4 * HIDDEN :].zero_()
    layer.input.bias[4 * HIDDEN :] = 40.0
    x = inputs(2)
    _, (_, both) = layer(x)
    _, (_, second) = layer(x[1:])
    torch.testing.assert_close(both, second, atol=1e-5, rtol=1e-5)
    layer.delta_rule = False
    _, (_, first) = layer(x[:1])
    torch.testing.assert_close(layer(x)[1][1], first + second)


def test_an_untrained_decay_is_in_the_range_of_mamba2() -> None:
    torch.manual_seed(0)
    layers = [GatedDelta(INPUT, 64) for _ in range(50)] + [Mamba2(INPUT, 64) for _ in range(50)]
    rates = torch.cat([layer.decay_rate.exp() for layer in layers])
    steps = torch.cat([softplus(layer.input.bias[256 : 256 + HEADS]) for layer in layers])
    assert 1 <= rates.min() < 2
    assert 15 < rates.max() <= 16
    assert 0.00099 < steps.min() < 0.0012
    assert 0.08 < steps.max() < 0.101
    assert not GLA(INPUT, 64).input.bias.any()


def written_by_authors(cell: CellKind, q: Tensor, k: Tensor, v: Tensor, log_a: Tensor, b: Tensor) -> Tensor:
    """Return what the authors' code reads from the memory, (B, T, N, D), from the same, the gates (B, T, N, 1 or D).

    Where they divide by the root of D, q is multiplied by it.
    """
    larger = q * math.sqrt(UNITS)
    match cell:
        case CellKind.gla:
            return load_file("fla", "ops/gla/naive.py").naive_recurrent_gla(larger, k, v, log_a)[0]
        case CellKind.mamba2:
            naive = load_file("fla", "ops/simple_gla/naive.py").naive_recurrent_simple_gla
            return naive(q, b * k, v, log_a.squeeze(-1), scale=1.0)[0]
        case CellKind.delta_net:
            naive = load_file("fla", "ops/delta_rule/naive.py").delta_rule_recurrence
            return naive(*(part.transpose(1, 2) for part in (larger, k, v, b.squeeze(-1))))[0].transpose(1, 2)
        case _:
            naive = load_file("fla", "ops/gated_delta_rule/naive.py").naive_recurrent_gated_delta_rule
            return naive(q, k, v, b.squeeze(-1), log_a.squeeze(-1), scale=1.0)[0]


@pytest.mark.authors
@EVERY
def test_the_memory_is_that_of_its_authors_in_values_and_gradients(cell: CellKind) -> None:
    """Their reference forms compute in float32."""
    pytest.importorskip("einops", reason="needs einops (make test-authors)")
    layer, x = build(cell), inputs(150).requires_grad_()
    q, k, v, g, *rest = torch.split(layer.input(x), layer.sizes, dim=-1)
    q, k, v = (layer.split(silu(part)).transpose(0, 1) for part in (q, k, v))  # (B, T, N, D)
    q, k = (part / (part.square().sum(dim=-1, keepdim=True) + EPSILON).sqrt() for part in (q, k))
    log_a, b = (gate.transpose(0, 1) for gate in layer.gates(rest[0]))
    read = written_by_authors(cell, q, k, v, log_a, b)
    expected = layer.norm(read.transpose(0, 1).double()) * silu(g)
    outputs, _ = layer(x)
    torch.testing.assert_close(outputs, expected, atol=2e-4, rtol=2e-4)
    weights = [x, layer.input.weight, layer.input.bias]
    own_gradients, their_gradients = (torch.autograd.grad(y.square().sum(), weights) for y in (outputs, expected))
    for own, their in zip(own_gradients, their_gradients, strict=True):
        assert (own - their).norm() < 1e-3 * their.norm()
