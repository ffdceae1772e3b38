"""sLSTM against its equations without a stabiliser, at extreme gates, and against its authors' code."""

import pytest
import torch
from torch import Tensor, nn

from nmt.config import CellKind, RecurrentEncoderConfig
from nmt.models.layers.block_diagonal import head_count
from nmt.models.layers.slstm import SLSTM

STEPS, BATCH, INPUT, HIDDEN = 7, 3, 5, 8


def build(hidden: int = HIDDEN) -> SLSTM:
    torch.manual_seed(0)
    layer = SLSTM(INPUT, hidden).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


def sequence() -> Tensor:
    return torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_equations(layer: SLSTM, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs, last c and n by Beck et al. 2024, 2.2, from h, c and n, without stabiliser."""
    h, c, n = state
    recurrent = [torch.block_diag(*layer.state.blocks()[gate::4]) for gate in range(4)]
    outputs = []
    for x_t in x:
        i, f, z, o = (
            x_t @ w.t() + h @ r + b
            for w, r, b in zip(layer.input.weight.chunk(4), recurrent, layer.input.bias.chunk(4), strict=True)
        )
        i, f = torch.exp(i), 1 / (1 + torch.exp(-f))
        c = f * c + i * torch.tanh(z)
        n = f * n + i
        h = 1 / (1 + torch.exp(-o)) * (c / n)
        outputs.append(h)
    return torch.stack(outputs), c, n


@pytest.mark.parametrize("hidden", [8, 6, 5])
@pytest.mark.parametrize("empty", [True, False])
def test_values_and_gradients_of_a_sequence_are_those_of_the_equations(hidden: int, empty: bool) -> None:
    layer, x = build(hidden), sequence().requires_grad_()
    h, c, n, m = (torch.randn(BATCH, hidden, dtype=torch.float64) for _ in range(4))
    n = n.abs() + 1
    state = layer.zero_state(x) if empty else (h, c, n, m)
    start = state[:3] if empty else (h, c * m.exp(), n * m.exp())
    outputs, last = layer(x, state)
    expected, last_c, last_n = by_equations(layer, x, start)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(last[0], expected[-1])
    torch.testing.assert_close(last[1] * last[3].exp(), last_c)
    torch.testing.assert_close(last[2] * last[3].exp(), last_n)
    found, wanted = (torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]) for y in (outputs, expected))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("gate", [-1e4, 1e4])
def test_gates_beyond_the_range_of_exp_are_finite_and_outputs_stay_below_one(gate: float) -> None:
    torch.manual_seed(0)
    layer, x = SLSTM(INPUT, HIDDEN), sequence().float()
    with torch.no_grad():
        layer.input.weight.mul_(20)
        layer.input.bias[:HIDDEN] = gate
    outputs, state = layer(x)
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert outputs.abs().max() <= 1
    assert all(part.isfinite().all() for part in state)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_the_first_output_from_an_empty_cell_does_not_depend_on_its_weight() -> None:
    layer, x = build(), sequence()
    first, _ = layer(x[:1])
    _, _, z, o = layer.input_product(x[:1]).chunk(4, dim=-1)
    torch.testing.assert_close(first, o.sigmoid() * z.tanh())


def test_a_head_reads_the_state_of_its_own_alone() -> None:
    layer, x = build(), sequence()
    _, state = layer(x)
    width = HIDDEN // head_count(HIDDEN)
    changed = state[0].clone()
    changed[:, width : 2 * width] += 1
    difference = layer.step(x[0], state)[0] - layer.step(x[0], (changed, *state[1:]))[0]
    assert difference.any(dim=0).tolist() == [width <= unit < 2 * width for unit in range(HIDDEN)]


def test_a_bridge_carries_the_mean_of_the_cell() -> None:
    layer = build()
    _, state = layer(sequence())
    h, mean = layer.summary(state)
    torch.testing.assert_close(mean, state[1] / state[2])
    torch.testing.assert_close(layer.summary(layer.complete((h, mean))), (h, mean))


def test_zoneout_of_c_is_refused_because_it_is_scaled_by_the_stabiliser() -> None:
    config = RecurrentEncoderConfig(cell=CellKind.slstm, zoneout_c=0.1)
    said = "is 0.1 but the cell slstm has no c to hold; allowed: 0, use zoneout_h"
    assert list(config.problems()) == [("zoneout_c", said)]


@pytest.mark.authors
def test_the_cell_is_that_of_its_authors_in_values_and_gradients() -> None:
    cell = pytest.importorskip("xlstm.blocks.slstm.cell", reason="needs xlstm (make test-authors)")
    layer, x = build(), sequence().requires_grad_()
    heads = head_count(HIDDEN)
    options = {"hidden_size": HIDDEN, "num_heads": heads, "backend": "vanilla", "batch_size": BATCH}
    types = dict.fromkeys(("dtype", "dtype_b", "dtype_r", "dtype_w", "dtype_g", "dtype_s", "dtype_a"), "float32")
    theirs = cell.sLSTMCell(cell.sLSTMCellConfig(**options, **types, enable_automatic_mixed_precision=False)).double()
    blocks = torch.stack(layer.state.blocks()).view(heads, 4, HIDDEN // heads, HIDDEN // heads)
    with torch.no_grad():  # their kernel is (heads, in, gates, out), their bias (heads, gates, out)
        theirs._recurrent_kernel_.copy_(theirs._recurrent_kernel_ext2int(blocks.permute(0, 2, 1, 3)))
        bias = layer.input.bias.view(4, heads, -1).transpose(0, 1)
        theirs._bias_.copy_(theirs._bias_ext2int(bias))
    products = (x @ layer.input.weight.t()).transpose(0, 1)  # (B, T, 4 H)
    expected, _ = theirs(products)
    expected = expected.permute(2, 0, 1, 3).flatten(2) if expected.dim() == 4 else expected
    outputs, _ = layer(x)
    torch.testing.assert_close(outputs, expected)
    own, other = (torch.autograd.grad(y.square().sum(), [x, layer.input.weight]) for y in (outputs, expected))
    torch.testing.assert_close(own, other)
