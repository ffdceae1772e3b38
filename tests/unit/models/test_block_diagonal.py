"""Block-diagonal products against PyTorch's block-diagonal matrix."""

import pytest
import torch
from torch import nn

from nmt.models.layers.block_diagonal import BlockDiagonal, head_count


@pytest.mark.parametrize(("width", "heads"), [(8, 4), (4, 4), (6, 2), (7, 1), (512, 4)])
def test_heads_divide_the_width(width: int, heads: int) -> None:
    assert head_count(width) == heads


@pytest.mark.parametrize("width", [8, 6, 5])
def test_each_gate_is_a_product_with_a_block_diagonal_matrix(width: int) -> None:
    torch.manual_seed(0)
    product, x = BlockDiagonal(width, 3).double(), torch.randn(7, 2, width, dtype=torch.float64)
    nn.init.normal_(product.weight)
    blocks, heads = product.blocks(), head_count(width)
    for gate, found in enumerate(product(x).chunk(3, dim=-1)):
        matrix = torch.block_diag(*(blocks[head * 3 + gate] for head in range(heads)))
        assert matrix.count_nonzero() == width * width // heads
        torch.testing.assert_close(found, x @ matrix)
