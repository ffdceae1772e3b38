"""Rounded products against exact ones, within the error bound of the rounding."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from family import MEMBERS
from shapes import model_config
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config import AttentionKind, Precision
from nmt.models import Vocabulary, build_model
from nmt.models.int8 import WEIGHT_LEVELS, Int8Linear, exact_weight_levels
from nmt.models.layers.fused import FusedLayer

pytestmark = pytest.mark.skipif(exact_weight_levels() is None, reason="needs a processor with exact 8-bit products")


@pytest.mark.parametrize("rows", [1, 5, 33, 200])
@pytest.mark.parametrize("bound", [1.0, 3.0])
def test_the_error_is_no_larger_than_the_rounding(bound: float, rows: int) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.rand(rows, 48) * 2 - 1) * bound, torch.randn(30, 48), torch.randn(30)
    half_x = bound / 254  # half a step
    half_w = weight.abs().amax(dim=1) / (2 * (exact_weight_levels() or 0))  # (30,)
    allowed = half_x * weight.abs().sum(dim=1) + x.abs().sum(dim=1, keepdim=True) * half_w + 48 * half_x * half_w
    error = (Int8Linear(weight, bias, bound)(x) - linear(x, weight, bias)).abs()
    assert (error <= 1.001 * allowed).all()
    assert error.max() > 0


@pytest.mark.parametrize("inputs", [7, 64, 513])
def test_integer_products_within_the_levels_are_exact(inputs: int) -> None:
    random = torch.Generator().manual_seed(inputs)
    levels = exact_weight_levels()
    assert levels in WEIGHT_LEVELS
    weight = torch.randint(-levels, levels + 1, (40, inputs), generator=random).float()
    weight[:, 0], weight[7] = levels, levels  # the scale is 1, and one row has the largest sum
    x = torch.randint(-127, 128, (9, inputs), generator=random).float()
    x[4] = 127
    expected = (x.long() @ weight.long().t()).float()
    assert torch.equal(Int8Linear(weight, None, 127.0)(x), expected)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates another x86-64 processor")
@pytest.mark.parametrize(("instructions", "expected"), [("AVX2", "64"), ("AVX512_CORE", "64")])
def test_levels_of_processors_without_8_bit_instructions(instructions: str, expected: str) -> None:
    if instructions == "AVX512_CORE" and "avx512bw" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512")
    code = "from nmt.models.int8 import exact_weight_levels; print(exact_weight_levels())"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(("outputs", "inputs"), [(64, 32), (100, 33), (1024, 256)])
def test_a_row_does_not_depend_on_its_neighbours(outputs: int, inputs: int) -> None:
    torch.manual_seed(0)
    layer = Int8Linear(torch.randn(outputs, inputs), torch.randn(outputs), 1.0)
    x = torch.rand(100, inputs) - 0.5
    x[50:] *= 0.01  # a scale derived from these rows would be finer
    whole = layer(x)
    for rows in (*(slice(0, size) for size in range(1, 18)), slice(20, 27), slice(60, 64), slice(40, 73)):
        assert torch.equal(layer(x[rows]), whole[rows])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("settings", [{}, {"input_feeding": True}, {"lexicon": True}], ids=str)
@torch.inference_mode()
def test_a_rounded_model_says_nearly_what_the_exact_one_says(settings: dict[str, Any], layers: int) -> None:
    torch.manual_seed(0)
    config = model_config(
        embed_size=32,
        hidden_size=64,
        encoder_layers=layers,
        decoder_layers=layers,
        attention=AttentionKind.general,
        **settings,
    )
    model = build_model(config, Vocabulary(90, 90)).eval()
    src, mask = torch.randint(4, 90, (7, 6)), torch.ones(7, 6, dtype=torch.bool)
    tokens = torch.randint(4, 90, (5, 6))
    exact, state = [], model.encode(src, mask)
    for row in tokens:
        log_probs, state, _ = model.step(row, state)
        exact.append(log_probs)
    model.prepare_search(Precision.int8)
    state = model.encode(src, mask)
    for row, expected in zip(tokens, exact, strict=True):
        log_probs, state, _ = model.step(row, state)
        error = (log_probs - expected).abs()
        assert 0 < error.pow(2).mean().sqrt() < 0.08 * expected.std()


OTHERS = [{"kind": "transformer"}, {"kind": "convolutional"}]


@pytest.mark.parametrize("settings", [*MEMBERS, *OTHERS], ids=str)
@torch.inference_mode()
def test_what_a_product_reads_keeps_within_its_bound_and_what_has_none_is_not_rounded(settings: dict[str, Any]) -> None:
    """Use weights so large that every layer is near its limits."""
    torch.manual_seed(0)
    usual = {"embed_size": 8, "hidden_size": 8, "decoder_layers": 2}
    model = build_model(model_config(**{**usual, **settings}), Vocabulary(20, 20)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=4.0)
    model.prepare_search(Precision.int8)
    products = [part for layer in model.modules() if isinstance(layer, FusedLayer) for part in layer.products or ()]
    rounded = [module for module in (*model.modules(), *products) if isinstance(module, Int8Linear)]
    shares: list[float] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        shares.append(inputs[0].abs().max().item() / (127 * module.input_scale))

    for module in rounded:
        module.register_forward_hook(look)
    tokens, mask = torch.randint(4, 20, (9, 6)), torch.ones(9, 6, dtype=torch.bool)
    state = model.encode(tokens, mask)
    for row in tokens:
        log_probs, state, _ = model.step(row, state)
        assert log_probs.isfinite().all()
    assert all(share <= 1.0001 for share in shares)
    assert (model.precision == Precision.int8) == bool(rounded)
