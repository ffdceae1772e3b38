"""Matrix products of search steps in 8-bit integers, several times faster on processors with VNNI or AMX.

Jacob et al. 2018 (2.2): weights are rounded to 8 bits with one scale per row, inputs with one scale for all, and the
sums are exact integers. The scale of the inputs follows from a bound that the model guarantees (the output of an LSTM
lies in [-1, 1]) and not from the data, so that the translation of a sentence does not depend on the rest of its batch.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

LEVELS = 127
"""Largest magnitude of a rounded value."""
OFFSET = 128
"""Representation of zero in the unsigned inputs of the kernel."""


class Int8Linear(nn.Module):
    """Approximation of `linear(x, weight, bias)` in 8-bit integers for inputs (..., I) in [-bound, bound].

    With x = s p and w_o = s_o q_o, where p and q are 8-bit integers: y_o = s s_o (p . q_o) + b_o.
    """

    scales: Tensor
    zeros: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, bound: float) -> None:
        super().__init__()
        self.input_scale = bound / LEVELS
        weight = weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp_min(1e-30) / LEVELS  # (O,)
        rounded = (weight / scales.unsqueeze(1)).round().to(torch.int8)
        self.packed: Any = torch.ops.onednn.qlinear_prepack(rounded, None)  # in the layout of the kernel
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int32), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(-1)).float()  # (N, I)
        levels = (rows * (1 / self.input_scale)).round_().clamp_(-LEVELS, LEVELS).to(torch.int8)
        unsigned = levels.view(torch.uint8).bitwise_xor_(OFFSET)  # signed to offset representation: flip the top bit
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(unsigned, self.input_scale, OFFSET, self.packed, self.scales, self.zeros, self.bias),
            *(1.0, 0, torch.float32, "none", [], ""),  # float32 output, no fused post-operation
        )
        return product.view(*x.shape[:-1], -1)


@cache
def int8_products_are_exact() -> bool:
    """Return whether PyTorch has the kernel and this processor sums the largest inputs without overflow.

    Processors with VNNI or AMX accumulate products in 32 bits. Others add pairs of products in 16 bits, which saturate.
    """
    weight, x = torch.full((32, 64), float(LEVELS)), torch.full((16, 64), float(LEVELS))
    try:
        product: Tensor = Int8Linear(weight, None, float(LEVELS))(x)
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(product, linear(x, weight))
