"""Matrix products of a search step in 8-bit integers, which processors with VNNI or AMX do several times faster.

Jacob et al. 2018 (2.2): weights are rounded to 8 bits with one scale a row, inputs with one scale for all, sums are
exact integers. The inputs' scale is fixed by a bound that the model guarantees (an LSTM's output lies between -1 and
1) instead of being taken from the data, so that a sentence's translation does not depend on its neighbours'.
"""

from typing import Any

import torch
from torch import Tensor, nn

FEW_ROWS = 32
"""Up to here FBGEMM's kernel is the faster one, above oneDNN's."""


class Int8Linear(nn.Module):
    """`linear(x, weight, bias)` for inputs (N, I) between -bound and bound, rounded."""

    ends: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None, bound: float) -> None:
        super().__init__()
        outputs, _ = weight.shape
        # The kernels take their scale from the smallest and largest input: two more inputs, of weight zero, fix them.
        wide = torch.cat([weight.detach().float(), weight.new_zeros(outputs, 2)], dim=1)
        scales = wide.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny).double() / 127
        zeros = torch.zeros(outputs, dtype=torch.long)
        rounded = torch.quantize_per_channel(wide, scales, zeros, axis=0, dtype=torch.qint8)
        self.few = pack("fbgemm", rounded, bias)
        self.many = pack("onednn", rounded, bias)
        self.register_buffer("ends", torch.tensor([[-bound, bound]]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.cat([x.float(), self.ends.expand(len(x), 2)], dim=1)
        packed = self.few if len(x) <= FEW_ROWS else self.many
        product: Tensor = torch.ops.quantized.linear_dynamic(wide, packed, reduce_range=False)
        return product


def pack(engine: str, rounded: Tensor, bias: Tensor | None) -> Any:
    """A weight in the layout that a kernel wants."""
    torch.backends.quantized.engine = engine
    return torch.ops.quantized.linear_prepack(rounded, None if bias is None else bias.detach().float())


class StepLinear(nn.Linear):
    """A linear layer of a search step: in float, or in 8-bit integers once it was rounded."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self.int8: Int8Linear | None = None

    def round_to_int8(self, bound: float) -> None:
        """Inputs lie between -bound and bound."""
        self.int8 = Int8Linear(self.weight, self.bias, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        if self.int8 is None:
            return super().forward(x)
        product: Tensor = self.int8(x.reshape(-1, x.size(-1)))
        return product.view(*x.shape[:-1], -1)
