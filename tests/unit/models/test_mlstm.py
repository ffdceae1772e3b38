"""The mLSTM against its written equations, without a stabiliser, and its parallel form against its steps."""

import math

import pytest
import torch
from authors_code import load_file
from layer_forms import assert_same_with_gradients
from torch import Tensor

from nmt.models.layers.matrix_memory import memory_heads
from nmt.models.layers.mlstm import MLSTM
from nmt.models.layers.recurrent import LayerState

STEPS, BATCH, INPUT, HIDDEN = 7, 3, 5, 8
HEADS, UNITS = 4, 2


def build() -> MLSTM:
    torch.manual_seed(0)
    layer = MLSTM(INPUT, HIDDEN).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def inputs(steps: int = STEPS) -> Tensor:
    return torch.randn(steps, BATCH, INPUT, generator=torch.Generator().manual_seed(1)).double()


def started(layer: MLSTM) -> LayerState:
    random = torch.Generator().manual_seed(2)
    h, value = (torch.randn(BATCH, HIDDEN, generator=random).double() for _ in range(2))
    return layer.complete((h, value))


def written(layer: MLSTM, x: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the outputs (T, H), C and n of one sentence by Beck et al. 2024, eq. 19 to 27, in loops over units."""
    weight, bias = layer.input.weight, layer.input.bias
    c = [torch.outer(key[h], value[h]) for h in range(HEADS)]
    n = [key[h].clone() for h in range(HEADS)]
    outputs = []
    for step in x:
        p = weight @ step + bias
        output = []
        for h in range(HEADS):
            rows = slice(h * UNITS, (h + 1) * UNITS)
            q, v = p[:HIDDEN][rows], p[2 * HIDDEN : 3 * HIDDEN][rows]
            k = p[HIDDEN : 2 * HIDDEN][rows] / math.sqrt(UNITS)
            o = 1 / (1 + (-p[3 * HIDDEN : 4 * HIDDEN][rows]).exp())
            i, f = p[4 * HIDDEN + h].exp(), 1 / (1 + (-p[4 * HIDDEN + HEADS + h]).exp())
            c[h] = f * c[h] + i * torch.outer(k, v)
            n[h] = f * n[h] + i * k
            read = c[h].T @ q / max((n[h] @ q).abs().item(), 1.0)
            scale = math.sqrt((read @ read).item() / UNITS + layer.norm.epsilon)
            output.append(o * read / scale * layer.norm.weight[rows])
        outputs.append(torch.cat(output))
    return torch.stack(outputs), torch.stack(c), torch.stack(n)


@pytest.mark.parametrize("empty", [True, False])
@torch.no_grad()
def test_both_forms_are_the_written_equations(empty: bool) -> None:
    layer, x = build(), inputs()
    state = layer.zero_state(x) if empty else started(layer)
    keys, values = torch.zeros(2, BATCH, HEADS, UNITS).double()
    if not empty:
        (_, c, keys, _) = state
        values = (c / keys.unsqueeze(-1))[:, :, 0]
    outputs, (_, c, n, m) = layer(x, None if empty else state)
    stepped = state
    for t in range(STEPS):
        stepped = layer.step(x[t], stepped)
        torch.testing.assert_close(stepped[0], outputs[t])
    for b in range(BATCH):
        expected, last_c, last_n = written(layer, x[:, b], keys[b], values[b])
        torch.testing.assert_close(outputs[:, b], expected)
        for memory, by, normaliser in ((c, m, n), (stepped[1], stepped[3], stepped[2])):
            torch.testing.assert_close(memory[b] * by[b].exp()[:, None, None], last_c)
            torch.testing.assert_close(normaliser[b] * by[b].exp()[:, None], last_n)


@pytest.mark.parametrize("empty", [True, False])
def test_the_parallel_form_has_the_gradients_of_the_steps_under_padding(empty: bool) -> None:
    layer, x = build(), inputs().requires_grad_()
    mask = torch.tensor([[t >= row for row in range(BATCH)] for t in range(STEPS)])
    first = layer.zero_state(x) if empty else started(layer)
    outputs, last = layer(x, None if empty else first, mask if empty else None)
    state, steps = first, []
    for t in range(STEPS):
        state = layer.step(x[t], state)
        if empty:
            real = mask[t].double()
            state = tuple(part * real.view(-1, *[1] * (part.dim() - 1)) for part in state)
        steps.append(state[0])

    assert_same_with_gradients((outputs, last), (torch.stack(steps), state), [x, *layer.parameters()])


@torch.no_grad()
def test_a_state_on_padding_is_zero_to_the_bit() -> None:
    layer, x = build().float(), inputs().float()
    mask = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    outputs, state = layer(x * 1e6, mask=mask)
    assert not outputs.any()
    assert not any(part.any() for part in state)


@pytest.mark.parametrize("gate", [-300.0, 300.0])
def test_extreme_gates_stay_finite_in_float32(gate: float) -> None:
    layer, x = build().float(), inputs(60).float().requires_grad_()
    with torch.no_grad():
        layer.input.weight[4 * HIDDEN :].zero_()
        layer.input.bias[4 * HIDDEN :] = gate
    outputs, state = layer(x)
    outputs.square().sum().backward()
    stepped = layer.zero_state(x)
    for t in range(len(x)):
        stepped = layer.step(x[t], stepped)
        torch.testing.assert_close(stepped[0], outputs[t], atol=1e-4, rtol=1e-3)
    assert all(part.isfinite().all() for part in (outputs, x.grad, *state) if part is not None)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_heads_have_at_least_two_units() -> None:
    assert [memory_heads(width) for width in (512, 8, 6, 4, 2, 7, 1)] == [4, 4, 2, 2, 1, 1, 1]


def test_an_untrained_layer_forgets_at_four_speeds() -> None:
    bias = MLSTM(INPUT, HIDDEN).input.bias
    assert bias[-HEADS:].tolist() == pytest.approx([3.0, 4.0, 5.0, 6.0])
    assert not bias[:-HEADS].any()


@pytest.mark.authors
@pytest.mark.parametrize("form", ["parallel", "steps"])
def test_the_memory_is_that_of_its_authors_in_values_and_gradients(form: str) -> None:
    theirs = load_file("xlstm", "blocks/mlstm/backends.py")
    layer, x = build(), inputs(23).requires_grad_()
    q, k, v, o, gates = torch.split(layer.input(x), layer.sizes, dim=-1)
    q, k, v = (layer.by_head(part) for part in (q, k, v))
    i, f = (gate.unsqueeze(-1) for gate in gates.permute(1, 2, 0).chunk(2, dim=1))  # each (B, N, T, 1)
    if form == "parallel":
        read = theirs.parallel_stabilized_simple(q, k, v, i, f, eps=0.0)
        outputs, _ = layer(x)
    else:
        c, n, m = q.new_zeros(BATCH, HEADS, UNITS, UNITS), q.new_zeros(BATCH, HEADS, UNITS, 1), q.new_zeros(1)
        reads, own, state = [], [], layer.zero_state(x)
        for t in range(len(x)):
            at = (part[:, :, t : t + 1].clone() for part in (q, k, v, i, f))  # they change q, k and v
            h, (c, n, m) = theirs.recurrent_step_stabilized_simple(c, n, m, *at, eps=0.0)
            reads.append(h)
            state = layer.cell(layer.input_product(x[t]), state)
            own.append(state[0])
        read, outputs = torch.cat(reads, dim=2), torch.stack(own)
    expected = o.sigmoid() * layer.norm(read.permute(2, 0, 1, 3))
    torch.testing.assert_close(outputs, expected, atol=1e-10, rtol=1e-10)
    weights = [x, layer.input.weight, layer.input.bias]
    own_gradients, their_gradients = (torch.autograd.grad(y.square().sum(), weights) for y in (outputs, expected))
    torch.testing.assert_close(own_gradients, their_gradients, atol=1e-8, rtol=1e-8)
