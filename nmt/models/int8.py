"""Matrix products of a search step in 8-bit integers, which processors with VNNI or AMX do several times faster.

Jacob et al. 2018 (2.2): weights are rounded to 8 bits with one scale a row, inputs with one scale for all, sums are
exact integers. The inputs' scale is fixed by a bound that the model guarantees (an LSTM's output lies between -1 and
1) instead of being taken from the data, so that a sentence's translation does not depend on its neighbours'.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

LEVELS = 127
"""Steps from zero to the largest number."""
OFFSET = 128
"""The kernel wants inputs without a sign: zero is at 128."""


class Int8Linear(nn.Module):
    """`linear(x, weight, bias)` for inputs (..., I) between -bound and bound, rounded.

    With x = s p and w_o = s_o q_o, p and q integers of 8 bits: y_o = s s_o (p . q_o) + b_o.
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
        self.packed: Any = torch.ops.onednn.qlinear_prepack(rounded, None)  # in the kernel's own layout
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int32), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(-1)).float()  # (N, I)
        levels = (rows * (1 / self.input_scale)).round_().clamp_(-LEVELS, LEVELS).to(torch.int8)
        unsigned = levels.view(torch.uint8).bitwise_xor_(OFFSET)  # two's complement to an offset: the top bit flips
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(unsigned, self.input_scale, OFFSET, self.packed, self.scales, self.zeros, self.bias),
            *(1.0, 0, torch.float32, "none", [], ""),  # the output stays in float, nothing is fused behind
        )
        return product.view(*x.shape[:-1], -1)


@cache
def int8_products_are_exact() -> bool:
    """Return whether torch has the kernel, and whether this processor sums the largest inputs without overflow.

    Processors with VNNI or AMX add up products in 32 bits. Others add pairs of products in 16 bits, which saturate.
    """
    weight, x = torch.full((32, 64), float(LEVELS)), torch.full((16, 64), float(LEVELS))
    try:
        product: Tensor = Int8Linear(weight, None, float(LEVELS))(x)
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(product, linear(x, weight))
