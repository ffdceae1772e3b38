"""Matrix products of search steps in float32, with weights in the layout of oneDNN's kernels.

A search step multiplies few rows. `linear` calls MKL, which on processors that are not Intel's computes such products
at a third of the speed of oneDNN's kernels. oneDNN reads weights in blocks. Arranging them takes longer than the
product, so it is done once before search.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class PackedLinear(nn.Linear):
    """Linear layer that uses packed weights where no gradient is needed; the packed copy does not follow changes."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Pack the weight (O, I)."""
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.bias = bias  # type: ignore[assignment]
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
        self.packed_bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return linear(x, self.weight, self.bias)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.packed_bias, "none", [], "")
        return product


def pack_linear_layers(module: nn.Module) -> None:
    """Replace every `nn.Linear` within a module; the parameters and their names stay the same."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child.weight, child.bias))


@cache
def packing_works() -> bool:
    """Return whether this build of PyTorch has the kernel, by running it once."""
    weight, x = torch.eye(4), torch.ones(2, 4)
    try:
        with torch.no_grad():
            return torch.equal(PackedLinear(weight, None)(x), x)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
