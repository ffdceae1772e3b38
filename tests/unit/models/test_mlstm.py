"""The mLSTM against its written equations, without a stabiliser, and its parallel form against its steps."""

import math

import pytest
import torch
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
