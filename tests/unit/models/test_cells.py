"""Cells without a PyTorch kernel, against their equations, against PyTorch's cells, and under padding."""

import pytest
import torch
from torch import Tensor, nn

from nmt.config import CellKind, RecurrentEncoderConfig
from nmt.models.layers.cells import DeepTransition, LayerNormLSTM, ReferenceGRU, ReferenceLSTM, build_layer
from nmt.models.layers.fused import LSTM, MaskedLayer
from nmt.models.layers.recurrent import RecurrentLayer

INPUT, HIDDEN = 5, 4
LENGTHS = [3, 6, 1]
STEPS = max(LENGTHS)
MASK = torch.tensor([[t >= STEPS - length for length in LENGTHS] for t in range(STEPS)])
EVERY = pytest.mark.parametrize("cell", list(CellKind))
TRANSITIONS = pytest.mark.parametrize("transitions", [1, 3])


def inputs(steps: int = STEPS) -> Tensor:
    return torch.randn(steps, len(LENGTHS), INPUT, generator=torch.Generator().manual_seed(1))


def build(cell: CellKind, masked: bool = False, transitions: int = 1) -> RecurrentLayer:
    torch.manual_seed(0)
    layer = build_layer(RecurrentEncoderConfig(cell=cell), INPUT, HIDDEN, masked, transitions)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


def assert_close(actual: Tensor | None, expected: Tensor | None, atol: float = 1e-6) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=1e-5)


@EVERY
@TRANSITIONS
def test_a_padded_sentence_is_read_as_if_alone_and_its_padding_is_zero(cell: CellKind, transitions: int) -> None:
    layer = build(cell, masked=True, transitions=transitions)
    x = inputs()
    outputs, last = layer(torch.where(MASK.unsqueeze(-1), x, 1e6), mask=MASK)
    for b, length in enumerate(LENGTHS):
        expected, state = layer(x[STEPS - length :, b : b + 1])
        assert_close(outputs[STEPS - length :, b : b + 1], expected)
        assert (outputs[: STEPS - length, b] == 0).all()
        for actual, part in zip(last, state, strict=True):
            assert_close(actual[b], part[0])


@EVERY
@TRANSITIONS
def test_the_gradient_is_that_of_finite_differences_and_none_on_padding(cell: CellKind, transitions: int) -> None:
    layer = build(cell, masked=True, transitions=transitions).double()
    x = inputs().double().requires_grad_()

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        outputs, last = layer(values[0], mask=MASK)
        return outputs, *last

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()), fast_mode=True)
    torch.cat([part.flatten() for part in run(x)]).square().sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad.any(dim=-1), MASK)


@EVERY
@TRANSITIONS
def test_steps_in_a_row_are_the_sequence(cell: CellKind, transitions: int) -> None:
    layer = build(cell, transitions=transitions)
    x = inputs()
    state = tuple(torch.randn_like(part) for part in layer.zero_state(x))
    outputs, last = layer(x, state)
    for t in range(STEPS):
        state = layer.step(x[t], state)
        assert_close(outputs[t], state[0])
    for actual, expected in zip(last, state, strict=True):
        assert_close(actual, expected)


@EVERY
def test_a_sequence_in_bfloat16_is_near_that_in_float32(cell: CellKind) -> None:
    layer, x = build(cell, masked=True), inputs()
    expected, _ = layer(x, mask=MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = layer(x, mask=MASK)
    assert_close(outputs.float(), expected, atol=0.1)
    assert not outputs[~MASK].any()
    assert (outputs[MASK] != 0).all() or cell in (CellKind.ssru, CellKind.rg_lru)  # relu, and gelu far below zero


def test_the_reference_is_torchs_lstm_in_values_and_gradients() -> None:
    torch.manual_seed(0)
    reference, torchs = ReferenceLSTM(INPUT, HIDDEN), nn.LSTM(INPUT, HIDDEN)
    reference.load_state_dict(torchs.state_dict())
    x = inputs().requires_grad_()
    other = x.detach().clone().requires_grad_()
    weight = torch.randn(STEPS + 2, len(LENGTHS), HIDDEN)
    outputs, (h, c) = reference(x)
    expected, (last_h, last_c) = torchs(other)
    assert_close(outputs, expected)
    assert_close(h, last_h[0])
    assert_close(c, last_c[0])
    (torch.cat([outputs, h[None], c[None]]) * weight).sum().backward()
    (torch.cat([expected, last_h, last_c]) * weight).sum().backward()
    assert_close(x.grad, other.grad)
    for name, parameter in torchs.named_parameters():
        assert_close(reference.get_parameter(name).grad, parameter.grad)


@pytest.mark.parametrize(
    ("cell", "of", "kind"),
    [(CellKind.reference_lstm, CellKind.lstm, ReferenceLSTM), (CellKind.reference_gru, CellKind.gru, ReferenceGRU)],
)
def test_a_reference_reads_the_weights_of_an_encoders_layer(
    cell: CellKind, of: CellKind, kind: type[RecurrentLayer]
) -> None:
    reference, usual = build(cell, masked=True), build(of, masked=True)
    assert isinstance(reference, MaskedLayer)
    assert isinstance(reference.layer, kind)
    assert dict(reference.named_parameters()).keys() == dict(usual.named_parameters()).keys()
    reference.load_state_dict(usual.state_dict())
    assert_close(reference(inputs(), mask=MASK)[0], usual(inputs(), mask=MASK)[0])


def test_recorded_gates_are_those_that_make_the_outputs() -> None:
    layer = build(CellKind.reference_lstm)
    assert isinstance(layer, ReferenceLSTM)
    outputs, x = [], inputs()
    gates = layer.record(lambda: outputs.append(layer(x)[0]))
    c = torch.zeros(len(LENGTHS), HIDDEN)
    for t in range(STEPS):
        c = gates.forget[t] * c + gates.input[t] * gates.candidate[t]
        assert_close(outputs[0][t], gates.output[t] * c.tanh())
    w, bias = layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0  # at the first step h is zero
    rows = [torch.sigmoid, torch.sigmoid, torch.tanh, torch.sigmoid]
    first = [gates.input[0], gates.forget[0], gates.candidate[0], gates.output[0]]
    for gate, (function, actual) in enumerate(zip(rows, first, strict=True)):
        part = slice(gate * HIDDEN, (gate + 1) * HIDDEN)
        assert_close(actual, function(x[0] @ w[part].T + bias[part]))
    layer(x)
    assert layer.recorded is None


def test_a_recording_ends_when_what_it_runs_fails() -> None:
    layer = build(CellKind.reference_lstm)
    assert isinstance(layer, ReferenceLSTM)
    with pytest.raises(ZeroDivisionError):
        layer.record(lambda: 1 // 0)
    assert layer.recorded is None


def test_layer_normalisation_is_its_equations() -> None:
    layer = build(CellKind.layer_norm_lstm).double()
    assert isinstance(layer, LayerNormLSTM)
    random = torch.Generator().manual_seed(2)
    x, h, c = (torch.randn(size, generator=random).double() for size in (INPUT, HIDDEN, HIDDEN))
    actual_h, actual_c = layer.step(x[None], (h[None], c[None]))

    def norm(values: Tensor) -> Tensor:
        mean = values.sum() / HIDDEN
        return (values - mean) / (((values - mean) ** 2).sum() / HIDDEN + 1e-5).sqrt()

    read = []
    for gate in range(4):
        rows = slice(gate * HIDDEN, (gate + 1) * HIDDEN)
        of_x = norm(layer.input.weight[rows] @ x) * layer.input_gain[gate]
        of_h = norm(layer.state.weight[rows] @ h) * layer.state_gain[gate]
        read.append(of_x + of_h + layer.bias[gate])
    i, f, o = (1 / (1 + (-read[gate]).exp()) for gate in (0, 1, 3))
    c = f * c + i * read[2].tanh()
    assert_close(actual_c[0], c, atol=1e-10)
    assert_close(actual_h[0], o * (norm(c) * layer.norm.weight + layer.norm.bias).tanh(), atol=1e-10)


def test_a_new_layer_norm_lstm_remembers() -> None:
    layer = LayerNormLSTM(INPUT, HIDDEN)
    assert layer.bias.tolist() == [[0.0] * HIDDEN, [1.0] * HIDDEN, [0.0] * HIDDEN, [0.0] * HIDDEN]


def test_a_deep_transition_is_torchs_cells_in_a_row() -> None:
    layer = build(CellKind.gru, transitions=3)
    assert isinstance(layer, DeepTransition)
    first = nn.GRUCell(INPUT, HIDDEN)
    first.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.first.state_dict().items()})
    others = []
    for other in layer.others:
        cell = nn.GRUCell(1, HIDDEN)
        with torch.no_grad():
            cell.weight_ih.zero_()
            cell.bias_ih.copy_(other.get_parameter("weight_ih_l0")[:, 0])  # the transition reads nothing but a one
            cell.weight_hh.copy_(other.get_parameter("weight_hh_l0"))
            cell.bias_hh.zero_()
        others.append(cell)
    assert len(others) == 2
    x, h = inputs(), torch.zeros(len(LENGTHS), HIDDEN)
    outputs, _ = layer(x)
    for t in range(STEPS):
        h = first(x[t], h)
        for cell in others:
            h = cell(torch.zeros(len(h), 1), h)
        assert_close(outputs[t], h)


def test_every_cell_is_built_as_itself() -> None:
    kinds = {cell: type(build(cell)).__name__ for cell in CellKind}
    assert kinds[CellKind.lstm] == LSTM.__name__
    assert len(set(kinds.values())) == len(CellKind)


def test_a_deep_transition_has_the_bound_of_its_cells() -> None:
    assert build(CellKind.sru, transitions=2).output_bound == build(CellKind.sru).output_bound == float("inf")
    assert build(CellKind.gru, transitions=2).output_bound == 1.0
