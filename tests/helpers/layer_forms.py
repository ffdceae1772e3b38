"""Comparison of two forms of a recurrent layer in values and gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.models.layers.recurrent import LayerState

Form = tuple[Tensor, LayerState]
"""Outputs (T, B, H) and last state."""


def assert_same_with_gradients(fast: Form, slow: Form, inputs: Sequence[Tensor]) -> None:
    """Compare outputs, last states, and the gradients of a function of both by all inputs."""

    def gradients(form: Form) -> list[Tensor]:
        outputs, state = form
        total = outputs.square().sum() + sum(part.sin().sum() for part in state)
        return list(torch.autograd.grad(total, list(inputs)))

    torch.testing.assert_close(fast[0], slow[0])
    for actual, expected in zip(fast[1], slow[1], strict=True):
        torch.testing.assert_close(actual, expected)
    for actual, expected in zip(gradients(fast), gradients(slow), strict=True):
        torch.testing.assert_close(actual, expected)
