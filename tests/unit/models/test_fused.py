"""Fused layers against PyTorch's layers on each sentence alone, against their equations, and their initialisation."""

import math

import pytest
import torch
from torch import Tensor, nn

from nmt.models.layers.fused import GRU, LSTM, RNN, FusedLayer, MaskedLayer, bfloat16_kernel_works

INPUT, HIDDEN = 5, 4
LENGTHS = [3, 7, 1, 5]
STEPS = max(LENGTHS)
KINDS = pytest.mark.parametrize("kind", [LSTM, GRU, RNN])


def left_padded(garbage: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return random inputs (T, B, I), filled with `garbage` on the padding, and their mask."""
    x = torch.randn(STEPS, len(LENGTHS), INPUT, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[t >= STEPS - length for length in LENGTHS] for t in range(STEPS)])
    return torch.where(mask.unsqueeze(-1), x, garbage), mask


def masked(kind: type[FusedLayer]) -> MaskedLayer:
    """Return a layer with random bias."""
    torch.manual_seed(0)
    layer = MaskedLayer(kind(INPUT + 1, HIDDEN, bias=False))
    nn.init.normal_(layer.layer.weight_ih_l0)
    return layer


def torchs(layer: MaskedLayer) -> nn.RNNBase:
    """Return PyTorch's layer with the same weights; the column of the mask is the bias."""
    plain = layer.layer.torch_layer(INPUT, HIDDEN)
    with torch.no_grad():
        plain.weight_ih_l0.copy_(layer.layer.weight_ih_l0[:, :-1])
        plain.bias_ih_l0.copy_(layer.layer.weight_ih_l0[:, -1])
        plain.weight_hh_l0.copy_(layer.layer.weight_hh_l0)
        plain.bias_hh_l0.zero_()
    return plain


def parts(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return PyTorch's last state as a tuple, also for cells without c."""
    return state if isinstance(state, tuple) else (state,)


def assert_close(actual: Tensor | None, expected: Tensor | None, atol: float = 1e-6) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=1e-5)


@KINDS
def test_a_left_padded_batch_is_read_as_each_sentence_alone_by_torch(kind: type[FusedLayer]) -> None:
    layer = masked(kind)
    plain = torchs(layer)
    x, mask = left_padded(garbage=7.0)
    outputs, last = layer(x, mask=mask)
    for b, length in enumerate(LENGTHS):
        expected, state = plain(x[STEPS - length :, b])
        assert_close(outputs[STEPS - length :, b], expected)
        for actual, part in zip(last, parts(state), strict=True):
            assert_close(actual[b], part[0])


@KINDS
def test_gradients_of_a_padded_batch_are_those_of_each_sentence_alone(kind: type[FusedLayer]) -> None:
    layer = masked(kind)
    plain = torchs(layer)
    x, mask = left_padded(garbage=7.0)
    x.requires_grad_()
    alone = x.detach().clone().requires_grad_()
    weight = torch.randn(STEPS + layer.states, len(LENGTHS), HIDDEN, generator=torch.Generator().manual_seed(2))

    outputs, last = layer(x, mask=mask)
    (torch.cat([outputs, torch.stack(last)]) * weight).sum().backward()
    for b, length in enumerate(LENGTHS):
        outputs, state = plain(alone[STEPS - length :, b])
        (torch.cat([outputs, *parts(state)]) * weight[STEPS - length :, b]).sum().backward()

    assert_close(x.grad, alone.grad)  # both zero on the padding
    assert layer.layer.weight_ih_l0.grad is not None
    assert_close(layer.layer.weight_ih_l0.grad[:, :-1], plain.weight_ih_l0.grad)
    assert_close(layer.layer.weight_ih_l0.grad[:, -1], plain.bias_ih_l0.grad)
    assert_close(layer.layer.weight_hh_l0.grad, plain.weight_hh_l0.grad)


@KINDS
def test_what_stands_on_the_padding_changes_nothing(kind: type[FusedLayer]) -> None:
    layer = masked(kind)
    clean, clean_state = layer(left_padded()[0], mask=left_padded()[1])
    outputs, state = layer(left_padded(garbage=1e6)[0], mask=left_padded()[1])
    assert torch.equal(outputs, clean)
    assert all(torch.equal(actual, expected) for actual, expected in zip(state, clean_state, strict=True))


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_on_padding_are_exactly_zero_and_on_words_are_not(kind: type[FusedLayer], dtype: torch.dtype) -> None:
    x, mask = left_padded(garbage=7.0)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        outputs, _ = masked(kind)(x, mask=mask)
    assert torch.equal(outputs != 0, mask.unsqueeze(-1).expand_as(outputs))


@KINDS
def test_without_a_kernel_in_bfloat16_it_computes_in_float32(
    kind: type[FusedLayer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulate a processor without AVX-512: the same values rounded, the same gradients."""
    x, mask = left_padded()

    def run(autocast: bool) -> tuple[Tensor, Tensor]:
        layer = masked(kind)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            outputs, state = layer(x, mask=mask)
        assert {part.dtype for part in (outputs, *state)} == {torch.bfloat16 if autocast else torch.float32}
        outputs.float().square().sum().backward()
        gradient = layer.layer.weight_hh_l0.grad
        assert gradient is not None
        return outputs.detach(), gradient

    expected, expected_gradient = run(autocast=False)
    real = kind.kernel

    def without_bfloat16(x: Tensor, state: list[Tensor], weights: list[Tensor], training: bool) -> tuple[Tensor, ...]:
        lowered = torch.is_autocast_enabled("cpu") or torch.bfloat16 in {x.dtype, *(w.dtype for w in weights)}
        if lowered:
            raise RuntimeError("could not create a primitive descriptor for the forward propagation primitive")
        return real(x, state, weights, training)

    monkeypatch.setattr(kind, "kernel", staticmethod(without_bfloat16))
    bfloat16_kernel_works.cache_clear()
    try:
        outputs, gradient = run(autocast=True)
        layer = masked(kind).eval().bfloat16()
        with torch.no_grad():
            lowered, _ = layer(x.bfloat16(), mask=mask)
    finally:
        bfloat16_kernel_works.cache_clear()
    assert torch.equal(outputs, expected.bfloat16())
    torch.testing.assert_close(gradient, expected_gradient, rtol=0.02, atol=0.02)
    torch.testing.assert_close(lowered.float(), expected, rtol=0.05, atol=0.05)


@KINDS
def test_looking_for_the_kernel_draws_no_random_numbers(kind: type[FusedLayer]) -> None:
    before = torch.get_rng_state()
    bfloat16_kernel_works.cache_clear()
    for autocast in (True, False):
        bfloat16_kernel_works(kind, "cpu", autocast)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), before)


def by_hand(kind: type[FusedLayer], x: list[float], u: list[float], h: float, c: float) -> tuple[float, ...]:
    """Compute the state of one unit after a step from the gate inputs of x and of the state u."""

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    if kind is RNN:
        return (math.tanh(x[0] + u[0]),)
    if kind is GRU:
        r, z = sigmoid(x[0] + u[0]), sigmoid(x[1] + u[1])
        return ((1 - z) * math.tanh(x[2] + r * u[2]) + z * h,)
    i, f, o = (sigmoid(x[gate] + u[gate]) for gate in (0, 1, 3))
    c = f * c + i * math.tanh(x[2] + u[2])
    return o * math.tanh(c), c


@KINDS
@pytest.mark.parametrize("with_mask", [True, False])
def test_a_step_is_the_written_equations(kind: type[FusedLayer], with_mask: bool) -> None:
    torch.manual_seed(0)
    layer = masked(kind).double() if with_mask else kind(INPUT, HIDDEN).double()
    fused = layer.layer if isinstance(layer, MaskedLayer) else layer
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, INPUT).double()
    state = tuple(torch.randn(2, HIDDEN).double() for _ in range(layer.states))
    after = layer.step(x, state)

    w, u = fused.weight_ih_l0.tolist(), fused.weight_hh_l0.tolist()
    b_h = [0.0] * len(u) if fused.bias_hh_l0 is None else fused.bias_hh_l0.tolist()
    b_x = [row[-1] for row in w] if fused.bias_ih_l0 is None else fused.bias_ih_l0.tolist()
    for b in range(2):
        for unit in range(HIDDEN):
            rows = range(unit, len(u), HIDDEN)
            of_x = [b_x[row] + sum(w[row][k] * x[b, k].item() for k in range(INPUT)) for row in rows]
            of_h = [b_h[row] + sum(u[row][k] * state[0][b, k].item() for k in range(HIDDEN)) for row in rows]
            expected = by_hand(kind, of_x, of_h, state[0][b, unit].item(), state[-1][b, unit].item())
            assert [part[b, unit].item() for part in after] == pytest.approx(expected, abs=1e-12)


@KINDS
@pytest.mark.parametrize("with_mask", [True, False])
def test_steps_in_a_row_are_the_kernel_over_the_sequence(kind: type[FusedLayer], with_mask: bool) -> None:
    torch.manual_seed(0)
    layer = masked(kind) if with_mask else kind(INPUT, HIDDEN)
    x = torch.randn(6, 3, INPUT)
    state = tuple(torch.randn(3, HIDDEN) for _ in range(layer.states))
    expected, last = layer(x, state)
    for t in range(6):
        state = layer.step(x[t], state)
        assert_close(state[0], expected[t])
    for actual, part in zip(state, last, strict=True):
        assert_close(actual, part)


@KINDS
def test_a_layer_without_a_mask_column_can_be_given_a_mask_too(kind: type[FusedLayer]) -> None:
    torch.manual_seed(0)
    layer = kind(INPUT, HIDDEN)
    x, mask = left_padded(garbage=7.0)
    outputs, _ = layer(x, mask=mask)
    for b, length in enumerate(LENGTHS):
        assert_close(outputs[STEPS - length :, b], layer(x[STEPS - length :, b : b + 1])[0][:, 0])
        assert (outputs[: STEPS - length, b] == 0).all()


@KINDS
@pytest.mark.parametrize("with_mask", [True, False])
def test_recurrent_weights_start_orthogonal_and_a_new_lstm_remembers(kind: type[FusedLayer], with_mask: bool) -> None:
    torch.manual_seed(0)
    layer = kind(INPUT + with_mask, HIDDEN, bias=not with_mask)
    weights = layer.weight_ih_l0[:, :INPUT]
    bias = layer.weight_ih_l0[:, -1] if with_mask else layer.bias_ih_l0 + layer.bias_hh_l0
    ones = HIDDEN if kind is LSTM else 0
    assert bias.tolist() == [0.0] * HIDDEN + [1.0] * ones + [0.0] * (len(bias) - HIDDEN - ones)
    for gate in range(layer.gates):
        recurrent = layer.weight_hh_l0[gate * HIDDEN : (gate + 1) * HIDDEN]
        assert_close(recurrent @ recurrent.T, torch.eye(HIDDEN))
        assert 0 < weights[gate * HIDDEN : (gate + 1) * HIDDEN].abs().max() <= math.sqrt(6 / (INPUT + HIDDEN))
