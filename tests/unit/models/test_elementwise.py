"""Recurrences without a recurrent matrix: against their equations, unit by unit, and the loop's gradient."""

import importlib
import math

import pytest
import torch
from torch import Tensor

from nmt.config import CellKind, RecurrentEncoderConfig
from nmt.config.side import ELEMENTWISE_CELLS
from nmt.models.layers.cells import build_layer
from nmt.models.layers.elementwise import LinearRecurrence, positive

STEPS, BATCH, INPUT, HIDDEN = 6, 3, 5, 4
BY_HAND = [cell for cell in ELEMENTWISE_CELLS if cell != CellKind.rg_lru]  # has a test file of its own


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def candidate(x: float) -> float:
    return x + 0.5 if x >= 0 else sigmoid(x)


def by_hand(cell: CellKind, products: list[float], c: float, gates: list[float]) -> tuple[float, float]:
    """Return h and c of one unit after a step, from its products and the state c before."""
    if cell == CellKind.ssru:
        f = sigmoid(products[0])
        c = f * c + (1 - f) * products[1]
        return max(c, 0.0), c
    if cell == CellKind.min_gru:
        z = sigmoid(products[0])
        c = (1 - z) * c + z * candidate(products[1])
        return c, c
    if cell == CellKind.min_lstm:
        f, i = sigmoid(products[0]), sigmoid(products[1])
        c = f / (f + i) * c + i / (f + i) * candidate(products[2])
        return c, c
    f, r = sigmoid(products[1] + gates[0] * c), sigmoid(products[2] + gates[1] * c)
    c = f * c + (1 - f) * products[0]
    return r * c + (1 - r) * products[3], c


@pytest.mark.parametrize("cell", BY_HAND)
def test_a_sequence_is_the_written_equations_unit_by_unit(cell: CellKind) -> None:
    torch.manual_seed(0)
    layer = build_layer(RecurrentEncoderConfig(cell=cell), INPUT, HIDDEN).double()
    weight, bias = layer.input_weights()
    assert bias is not None
    torch.nn.init.normal_(bias)
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64)
    start = torch.rand(BATCH, HIDDEN, dtype=torch.float64)
    outputs, last = layer(x, (start,) * layer.states)
    scale = layer.get_parameter("gate_state") if cell == CellKind.sru else torch.zeros(2, HIDDEN)
    for row in range(BATCH):
        for unit in range(HIDDEN):
            c = start[row, unit].item()
            for t in range(STEPS):
                values = (weight @ x[t, row] + bias).view(-1, HIDDEN)[:, unit].tolist()
                h, c = by_hand(cell, values, c, scale[:, unit].tolist())
                assert outputs[t, row, unit].item() == pytest.approx(h, abs=1e-10)
            assert last[-1][row, unit].item() == pytest.approx(c, abs=1e-10)


def test_the_gradient_of_the_loop_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    inputs = random(STEPS, BATCH, HIDDEN), random(STEPS, BATCH, HIDDEN), random(BATCH, HIDDEN)
    assert torch.autograd.gradcheck(LinearRecurrence.apply, inputs)


@pytest.mark.parametrize("cell", [CellKind.ssru, CellKind.min_gru, CellKind.min_lstm, CellKind.rg_lru])
def test_the_loop_and_its_gradients_are_those_of_single_steps(cell: CellKind) -> None:
    torch.manual_seed(0)
    layer = build_layer(RecurrentEncoderConfig(cell=cell), INPUT, HIDDEN).double()
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[t >= row for row in range(BATCH)] for t in range(STEPS)])

    def gradients(outputs: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(outputs.square().sum(), [x, *layer.parameters()]))

    fast, last = layer(x, mask=mask)
    state = (x.new_zeros(BATCH, HIDDEN),) * layer.states
    steps = []
    for t in range(STEPS):
        real = mask[t].unsqueeze(-1)
        state = tuple(part * real for part in layer.step(x[t], state))
        steps.append(state[0])
    slow = torch.stack(steps)
    torch.testing.assert_close(fast, slow)
    for part, wanted in zip(last, state, strict=True):
        torch.testing.assert_close(part, wanted)
    for fast_gradient, slow_gradient in zip(gradients(fast), gradients(slow), strict=True):
        torch.testing.assert_close(fast_gradient, slow_gradient)


def test_the_candidate_of_minimal_cells_is_continuous_and_positive() -> None:
    x = torch.tensor([-30.0, -1e-6, 0.0, 1e-6, 3.0], dtype=torch.float64)
    expected = torch.tensor([candidate(value) for value in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(positive(x), expected)
    assert (positive(x) > 0).all()


@pytest.mark.parametrize("cell", ELEMENTWISE_CELLS)
@pytest.mark.parametrize("key", ["weight_drop", "recurrent_dropout"])
def test_what_needs_a_recurrent_matrix_is_refused(cell: CellKind, key: str) -> None:
    config = RecurrentEncoderConfig(cell=cell)
    setattr(config, key, 0.2)
    assert (key, f"is 0.2 but the cell {cell} has no recurrent matrix; set it to 0") in list(config.problems())


@pytest.mark.authors
@pytest.mark.parametrize("cell", [CellKind.min_gru, CellKind.min_lstm])
def test_minimal_cells_are_those_of_a_public_implementation(cell: CellKind) -> None:
    name = {CellKind.min_gru: "minGRU", CellKind.min_lstm: "minLSTM"}[cell]
    reason = "needs minGRU-pytorch (make test-authors)"
    module = pytest.importorskip(f"minGRU_pytorch.{name}", reason=reason)
    torch.manual_seed(1)
    layer = build_layer(RecurrentEncoderConfig(cell=cell), INPUT, INPUT).double()
    theirs = getattr(module, name)(INPUT).double()
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    (projection,) = theirs.parameters()
    with torch.no_grad():
        layer.get_parameter("input.bias").zero_()  # they have none
        *gates, value = layer.get_parameter("input.weight").chunk(len(projection) // INPUT)
        projection.copy_(torch.cat([value, *gates]))
    outputs, expected = layer(x)[0], theirs(x.transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(outputs, expected)
    own, other = (torch.autograd.grad(y.square().sum(), x)[0] for y in (outputs, expected))
    torch.testing.assert_close(own, other)


@pytest.mark.authors
def test_the_simple_recurrent_unit_is_that_of_its_authors_in_values_and_gradients() -> None:
    try:
        ops = importlib.import_module("sru.ops")  # compiles its kernels, so that the error can be of any kind
    except Exception as error:
        pytest.skip(
            f"needs sru, ninja and a C++ compiler (pip install --no-deps sru; pip install ninja): {error!r:.80}"
        )
    torch.manual_seed(2)
    layer = build_layer(RecurrentEncoderConfig(cell=CellKind.sru), INPUT, HIDDEN).double()
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    products = layer.input_product(x).unflatten(-1, (4, HIDDEN)).transpose(-1, -2)  # (T, B, H, 4), as theirs
    start, no_bias = x.new_zeros(BATCH, HIDDEN), x.new_zeros(2 * HIDDEN)
    expected, last = ops.elementwise_recurrence_naive(
        products.flatten(2), x, layer.get_parameter("gate_state").flatten(), no_bias, start, 0, HIDDEN, False, True
    )[:2]
    outputs, (_, c) = layer(x)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(c, last)
    weights = [x, layer.get_parameter("input.weight"), layer.get_parameter("gate_state")]
    own, other = (torch.autograd.grad(y.square().sum(), weights) for y in (outputs, expected))
    torch.testing.assert_close(own, other)
