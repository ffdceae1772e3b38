"""Products with packed weights against products in double precision."""

import pytest
import torch
from torch.nn.functional import linear

from nmt.models.packed import PackedLinear, packing_works

pytestmark = pytest.mark.skipif(not packing_works(), reason="PyTorch has no packed products here")
SIZES = pytest.mark.parametrize("sizes", [(1, 8), (12, 48), (256, 1000), (513, 77)], ids=str)


@SIZES
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_equal_those_in_double_precision(sizes: tuple[int, int], with_bias: bool) -> None:
    torch.manual_seed(1)
    inputs, outputs = sizes
    weight, x = torch.randn(outputs, inputs), torch.randn(3, 5, inputs)
    bias = torch.randn(outputs) if with_bias else None
    exact = linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.no_grad():
        product = PackedLinear(weight, bias)(x)
    error = (product.double() - exact).abs()
    assert (error <= 1e-6 * (1 + x.double().abs() @ weight.double().abs().t())).all()


@SIZES
@torch.inference_mode()
def test_a_row_hardly_depends_on_the_number_of_rows(sizes: tuple[int, int]) -> None:
    torch.manual_seed(2)
    layer, x = PackedLinear(torch.randn(sizes[1], sizes[0]), torch.randn(sizes[1])), torch.randn(320, sizes[0])
    for rows in (1, 2, 5, 63, 64, 65):
        torch.testing.assert_close(layer(x[:rows]), layer(x)[:rows], atol=1e-4, rtol=1e-5)


def test_gradients_are_those_of_the_plain_product() -> None:
    torch.manual_seed(3)
    weight, bias = torch.nn.Parameter(torch.randn(7, 4)), torch.nn.Parameter(torch.randn(7))
    x = torch.randn(3, 4, requires_grad=True)
    PackedLinear(weight, bias)(x).square().sum().backward()
    product = x @ weight.t() + bias
    expected = torch.autograd.grad(product.square().sum(), [x, weight, bias])
    torch.testing.assert_close([x.grad, weight.grad, bias.grad], list(expected))
