"""RG-LRU against its equations step by step, under padding and in both directions, and against its authors' code."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from nmt.config import CellKind, ModelConfig, RecurrentEncoderConfig
from nmt.models.embedding import Embedding
from nmt.models.encoders import RecurrentEncoder
from nmt.models.layers.block_diagonal import head_count
from nmt.models.layers.rg_lru import RGLRU

STEPS, BATCH, INPUT, HIDDEN = 9, 2, 5, 8


def build(hidden: int = HIDDEN, zoneout: tuple[float, ...] = ()) -> RGLRU:
    torch.manual_seed(0)
    layer = RGLRU(INPUT, hidden, zoneout).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return layer


def sequence() -> Tensor:
    return torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def matrices(layer: RGLRU, gate: int) -> Tensor:
    """Return the whole matrix of a gate, (H, H)."""
    return torch.block_diag(*layer.gates.blocks()[gate::2])


def by_equations(layer: RGLRU, x: Tensor, c: Tensor, history: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return outputs, last c and all u of one sentence (T, I) by De et al. 2024, 2.3 and 2.4, step by step.

    Args:
        layer: layer with the weights.
        x: inputs.
        c: initial state, (H,).
        history: u of the three steps before.
    """
    (w_u, w_g), (b_u, b_g) = layer.input.weight.chunk(2), layer.input.bias.chunk(2)
    b_r, b_i = layer.gate_bias.chunk(2)
    outputs, read = [], list(history)
    for x_t in x:
        read.append(w_u @ x_t + b_u)
        v = layer.kernel_bias + sum(layer.kernel[3 - back] * read[-1 - back] for back in range(4))
        r = 1 / (1 + torch.exp(-(v @ matrices(layer, 0) + b_r)))
        i = 1 / (1 + torch.exp(-(v @ matrices(layer, 1) + b_i)))
        a = torch.exp(-softplus(layer.decay)) ** (8 * r)
        c = a * c + torch.sqrt(1 - a**2) * (i * v)
        outputs.append(gelu(w_g @ x_t + b_g) * c)
    return torch.stack(outputs), c, read


@pytest.mark.parametrize("hidden", [8, 6, 5])
def test_values_and_gradients_of_a_sequence_are_those_of_the_equations(hidden: int) -> None:
    layer, x = build(hidden), sequence().requires_grad_()
    state = tuple(torch.randn(BATCH, hidden, dtype=torch.float64) for _ in range(layer.states))
    outputs, (h, c, *window) = layer(x, state)
    rows = []
    for row in range(BATCH):
        own, last, read = by_equations(layer, x[:, row], state[1][row], [part[row] for part in state[2:]])
        torch.testing.assert_close(c[row], last)
        torch.testing.assert_close([part[row] for part in window], read[-3:])
        rows.append(own)
    expected = torch.stack(rows, dim=1)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(h, expected[-1])
    found, wanted = (torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]) for y in (outputs, expected))
    torch.testing.assert_close(found, wanted)


def test_the_convolution_reads_four_inputs_and_no_more() -> None:
    layer, x = build(), sequence()
    with torch.no_grad():
        layer.decay.fill_(1e9)  # a = 0: only the convolution carries anything over
    changed = x.clone()
    changed[2] += 1
    difference = (layer(x)[0] - layer(changed)[0]).abs().amax(dim=(1, 2))
    assert [t for t in range(STEPS) if difference[t] > 1e-12] == [2, 3, 4, 5]


def test_the_state_of_a_short_sentence_has_zeros_before_its_first_input() -> None:
    layer, x = build(), sequence()
    _, (_, _, *window) = layer(x[:2])
    torch.testing.assert_close(window[0], torch.zeros(BATCH, HIDDEN, dtype=torch.float64))
    torch.testing.assert_close(torch.stack(window[1:]), layer.input_product(x[:2])[..., :HIDDEN])


def test_a_backward_direction_convolves_in_its_own_reading_direction() -> None:
    torch.manual_seed(0)
    config = RecurrentEncoderConfig(cell=CellKind.rg_lru)
    model = ModelConfig(embed_size=INPUT, hidden_size=2 * HIDDEN, encoder=config, dropout=0.0)
    encoder = RecurrentEncoder(config, model, Embedding(20, INPUT)).eval()
    sentence = [5, 6, 7, 8, 9, 10]
    src = torch.tensor([[0, 0, *sentence], [11, 12, 13, 14, 15, 16, 17, 18]]).t()
    mask = src > 0
    memory = encoder(src, mask).memory[2:, 0]
    backward = encoder.backwards[0]
    alone, _ = backward(encoder.embedding(torch.tensor(sentence[::-1]).unsqueeze(1)))
    torch.testing.assert_close(memory[:, HIDDEN:], alone[:, 0].flip(0))


def test_a_closed_recurrence_gate_has_finite_gradients() -> None:
    layer, x = RGLRU(INPUT, HIDDEN), sequence().float()
    with torch.no_grad():
        layer.gate_bias[:HIDDEN] = -300.0  # r = 0 in float32, a = 1 and sqrt(1 - a²) = 0
    outputs, _ = layer(x)
    outputs.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_an_untrained_layer_decays_slowly() -> None:
    torch.manual_seed(0)
    slowest = torch.exp(-8 * softplus(RGLRU(INPUT, 4000).decay))
    assert 0.9 <= slowest.min() < 0.901
    assert 0.998 < slowest.max() <= 0.999


@pytest.mark.authors
def test_the_block_is_that_of_its_authors_in_values_and_gradients() -> None:
    """The authors' block ends in a matrix, which is the unit matrix here, and approximates gelu by a tanh."""
    modules = pytest.importorskip("recurrentgemma.torch.modules", reason="needs recurrentgemma, flax and typeguard<3")
    layer, x = build(), sequence().requires_grad_()
    heads = head_count(HIDDEN)
    theirs = modules.RecurrentBlock(INPUT, heads, lru_width=HIDDEN, dtype=torch.float64)
    (w_u, w_g), (b_u, b_g) = layer.input.weight.chunk(2), layer.input.bias.chunk(2)
    blocks, (b_r, b_i) = layer.gates.blocks(), layer.gate_bias.view(2, heads, -1)
    pairs = {
        "linear_x.weight": w_u,
        "linear_x.bias": b_u,
        "linear_y.weight": w_g,
        "linear_y.bias": b_g,
        "conv_1d.w": layer.kernel,
        "conv_1d.b": layer.kernel_bias,
        "rg_lru.a_param": layer.decay,
        "rg_lru.a_gate.w": torch.stack(blocks[0::2]),
        "rg_lru.a_gate.b": b_r,
        "rg_lru.input_gate.w": torch.stack(blocks[1::2]),
        "rg_lru.input_gate.b": b_i,
    }
    theirs.linear_out = nn.Identity()
    with torch.no_grad():
        for name, value in pairs.items():
            theirs.get_parameter(name).copy_(value)
    # Their first step, at position zero, has no factor sqrt(1 - a²); positions from one leave it out.
    positions = torch.arange(1, STEPS + 1).expand(BATCH, -1)
    given = x.detach().transpose(0, 1).requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "gelu", gelu)
        expected, _ = theirs(given, positions, return_cache=False)
    outputs, _ = layer(x)
    near = {"atol": 1e-4, "rtol": 1e-5}  # their scan is in float32
    torch.testing.assert_close(outputs, expected.transpose(0, 1), **near)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    assert x.grad is not None
    assert given.grad is not None
    torch.testing.assert_close(x.grad, given.grad.transpose(0, 1), **near)
    torch.testing.assert_close(layer.decay.grad, theirs.get_parameter("rg_lru.a_param").grad, **near)
    torch.testing.assert_close(layer.kernel.grad, theirs.get_parameter("conv_1d.w").grad, **near)
