"""Rounded products against exact ones, within the error that the rounding allows."""

import pytest
import torch
from torch.nn.functional import linear

from nmt.config import Precision
from nmt.config.model import AttentionKind, ModelConfig
from nmt.models import Vocabulary, build_model
from nmt.models.int8 import Int8Linear, StepLinear, int8_is_fast

pytestmark = pytest.mark.skipif(not int8_is_fast(), reason="needs a processor with VNNI")


@pytest.mark.parametrize("rows", [1, 5, 33, 200])
@pytest.mark.parametrize("bound", [1.0, 3.0])
def test_the_error_is_no_larger_than_the_rounding(bound: float, rows: int) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.rand(rows, 48) * 2 - 1) * bound, torch.randn(30, 48), torch.randn(30)
    half_x = bound / 254  # half a step
    half_w = weight.abs().amax(dim=1) / 254  # (30,)
    allowed = half_x * weight.abs().sum(dim=1) + x.abs().sum(dim=1, keepdim=True) * half_w + 48 * half_x * half_w
    error = (Int8Linear(weight, bias, bound)(x) - linear(x, weight, bias)).abs()
    assert (error <= 1.001 * allowed).all()
    assert error.max() > 0


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    layer = Int8Linear(torch.randn(64, 32), None, 1.0)
    x = torch.rand(100, 32) - 0.5
    x[50:] *= 0.01  # a scale taken from these would be finer
    whole = layer(x)
    for rows in (slice(0, 1), slice(20, 27), slice(60, 64)):
        assert torch.equal(layer(x[rows]), whole[rows])


def test_a_linear_layer_is_exact_until_it_is_rounded() -> None:
    torch.manual_seed(0)
    layer, x = StepLinear(16, 8), torch.rand(3, 4, 16) * 2 - 1
    exact = linear(x, layer.weight, layer.bias)
    assert torch.equal(layer(x), exact)
    layer.round_to_int8(1.0)
    rounded = layer(x)
    assert rounded.shape == exact.shape
    assert 0 < (rounded - exact).abs().max() < 0.02


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("input_feeding", [False, True])
@torch.inference_mode()
def test_a_rounded_model_says_nearly_what_the_exact_one_says(input_feeding: bool, layers: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        embed_size=32,
        hidden_size=64,
        encoder_layers=layers,
        decoder_layers=layers,
        attention=AttentionKind.general,
        input_feeding=input_feeding,
    )
    model = build_model(config, Vocabulary(90, 90, pad_id=0, bos_id=2)).eval()
    src, mask = torch.randint(4, 90, (7, 6)), torch.ones(7, 6, dtype=torch.bool)
    tokens = torch.randint(4, 90, (5, 6))
    exact, state = [], model.encode(src, mask)
    for row in tokens:
        log_probs, state = model.step(row, state)
        exact.append(log_probs)
    model.lower_precision(Precision.int8)
    state = model.encode(src, mask)
    for row, expected in zip(tokens, exact, strict=True):
        log_probs, state = model.step(row, state)
        error = (log_probs - expected).abs()
        assert 0 < error.pow(2).mean().sqrt() < 0.08 * expected.std()


@torch.inference_mode()
def test_a_model_in_bfloat16_runs() -> None:
    torch.manual_seed(0)
    config = ModelConfig(embed_size=16, hidden_size=16)
    model = build_model(config, Vocabulary(20, 20, pad_id=0, bos_id=2)).eval()
    src, mask = torch.randint(4, 20, (3, 2)), torch.ones(3, 2, dtype=torch.bool)
    expected, _ = model.step(torch.tensor([2, 2]), model.encode(src, mask))
    model.lower_precision(Precision.bfloat16)
    found, _ = model.step(torch.tensor([2, 2]), model.encode(src, mask))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.05)
