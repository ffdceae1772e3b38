"""Gated convolution (Gehring et al. 2017) of the convolutional encoder and decoder, and the one before recurrences."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import glu

HALF_VARIANCE = math.sqrt(0.5)
"""Factor on the sum of two terms, so that the sum has the variance of one of them (3.5)."""


class Convolution(nn.Module):
    """GLU(W [x_t; ...; x_t+k-1] + b), the gated linear unit of Dauphin et al. 2017 (3.2); k is the kernel width."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(kernel * width, 2 * width)
        self.kernel = kernel
        initialise_normal(self.linear, 4 * (1 - dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Map (T + k - 1, B, H) to (T, B, H)."""
        steps = x.size(0) - self.kernel + 1
        return glu(self.linear(torch.cat([x[i : i + steps] for i in range(self.kernel)], dim=-1)))


def depthwise_convolution(kernel: Tensor, bias: Tensor, reads: Sequence[Tensor]) -> Tensor:
    """Return bias + sum_k K_k x_{t-k}, (..., H), for the kernel (W, H) and x at the W steps, oldest first, (..., H)."""
    total = bias
    for weight, read in zip(kernel, reads, strict=True):
        total = torch.addcmul(total, weight, read)
    return total


def initialise_normal(layer: nn.Linear, gain: float) -> nn.Linear:
    """Initialise normal weights of variance gain / inputs and zero biases, in place, and return the layer.

    The gain is 4 before a gated linear unit, times the share of inputs that dropout keeps (3.5).
    """
    nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.in_features))
    nn.init.zeros_(layer.bias)
    return layer
