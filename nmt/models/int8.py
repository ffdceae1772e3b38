"""Matrix products of search steps in 8-bit integers, several times faster on processors with AVX-512, VNNI or AMX.

Jacob et al. 2018 (2.2): weights are rounded to 8 bits with one scale per row, inputs with one scale for all, and the
sums are exact integers. The scale of the inputs follows from a bound that the model guarantees (the output of an LSTM
lies in [-1, 1]) and not from the data, so that the translation of a sentence does not depend on the rest of its batch.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

LEVELS = 127
"""Largest magnitude of a rounded input."""
WEIGHT_LEVELS = (127, 64)
"""Largest magnitudes of a rounded weight, in the order of preference; see `exact_weight_levels`."""
AMX_ROWS = 8
"""Smallest number of rows of a product on AMX. For fewer, oneDNN takes kernels that round the last bit differently, and
a translation would depend on the number of hypotheses beside it."""
OFFSET = 128
"""Representation of zero in the unsigned inputs of the kernel."""


class Int8Linear(nn.Module):
    """Approximation of `linear(x, weight, bias)` in 8-bit integers for inputs (..., I) in [-bound, bound].

    With x = s p and w_o = s_o q_o, where p and q are 8-bit integers: y_o = s s_o (p . q_o) + b_o.
    """

    rounding: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, bound: float, weight_levels: int | None = None) -> None:
        """Round the weight (O, I). `weight_levels` is its largest magnitude; None: the best that is exact here."""
        super().__init__()
        self.input_scale = bound / LEVELS
        self.least_rows = AMX_ROWS if torch.cpu._is_amx_tile_supported() else 0
        weight = weight.detach().float()
        weight_levels = weight_levels or exact_weight_levels() or WEIGHT_LEVELS[0]
        scales = weight.abs().amax(dim=1).clamp_min(1e-30) / weight_levels  # (O,)
        rounded = (weight / scales.unsqueeze(1)).round().to(torch.int8)
        self.packed: Any = torch.ops.onednn.qlinear_prepack(rounded, None)  # in the layout of the kernel
        self.register_buffer("rounding", torch.tensor(OFFSET + 0.5), persistent=False)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int32), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(-1)).float()  # (N, I)
        shifted = torch.add(self.rounding, rows, alpha=1 / self.input_scale)  # x / s + OFFSET + 1/2
        unsigned = shifted.clamp_(OFFSET - LEVELS, OFFSET + LEVELS).to(torch.uint8)  # p + OFFSET, p rounded half up
        if missing := max(0, self.least_rows - len(rows)):
            unsigned = pad(unsigned, (0, 0, 0, missing))
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(unsigned, self.input_scale, OFFSET, self.packed, self.scales, self.zeros, self.bias),
            *(1.0, 0, torch.float32, "none", [], ""),  # float32 output, no fused post-operation
        )
        return product[: len(rows)].view(*x.shape[:-1], -1)


@cache
def exact_weight_levels() -> int | None:
    """Return the largest magnitude of weights whose products with the largest inputs are exact on this processor.

    Processors with VNNI or AMX accumulate products in 32 bits: 127 levels. Others add pairs of products in 16 bits,
    which saturate beyond 2 * 255 * 64. None: PyTorch has no kernel, or no number of levels is exact.
    """
    signs = torch.ones(32, 64)
    signs[::2] = -1  # both ends of the range
    for levels in WEIGHT_LEVELS:
        weight, x = signs * levels, torch.full((16, 64), float(LEVELS))
        x[::3] = -LEVELS
        try:
            product: Tensor = Int8Linear(weight, None, float(LEVELS), levels)(x)
        except (AttributeError, RuntimeError):
            return None
        if torch.equal(product, linear(x, weight)):
            return levels
    return None
