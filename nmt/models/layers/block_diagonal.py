"""Block-diagonal matrices: each head of a layer has a matrix of its own."""

from math import gcd

import torch
from torch import Tensor, nn

HEADS = 4
"""Number of heads of a layer whose width is a multiple of it."""


def head_count(width: int) -> int:
    """Return the number of heads of a layer: 4, or 2 or 1 where 4 does not divide the width."""
    return gcd(width, HEADS)


class BlockDiagonal(nn.Module):
    """`gates` products of a vector (..., H) with block-diagonal matrices, one block of (H / heads)² per head."""

    def __init__(self, width: int, gates: int) -> None:
        super().__init__()
        self.heads, self.gates = head_count(width), gates
        self.weight = nn.Parameter(torch.empty(self.heads, width // self.heads, gates * (width // self.heads)))

    def blocks(self) -> list[Tensor]:
        """Return views of all blocks, each (H / heads, H / heads), heads in the outer order and gates in the inner."""
        return [block for head in self.weight for block in head.chunk(self.gates, dim=-1)]

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, (..., H) -> (..., gates H), with the products of a gate beside one another."""
        rows = x.reshape(-1, self.heads, self.weight.size(1)).transpose(0, 1)  # (heads, N, H / heads)
        products = torch.bmm(rows, self.weight)  # (heads, N, gates H / heads)
        products = products.reshape(self.heads, rows.size(1), self.gates, self.weight.size(1))
        return products.permute(1, 2, 0, 3).reshape(*x.shape[:-1], -1)
