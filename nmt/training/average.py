"""Exponential moving average of the weights, which validation and translation use in place of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from nmt.models import Seq2Seq


class WeightAverage:
    """average <- d average + (1 - d) weights after each step, with d = min(decay, (1 + t) / (10 + t)) at step t.

    Averages of the last iterates generalise better than the last one (Polyak and Juditsky 1992). The smaller d of the
    first steps discards the random initial weights sooner. A decay of 0 disables the average.
    """

    def __init__(self, model: Seq2Seq, decay: float) -> None:
        self.decay = decay
        self.parameters = dict(model.named_parameters()) if decay else {}
        self.average: dict[str, Tensor] = {}
        self.start()

    def start(self) -> None:
        """Set the average to the current weights."""
        self.average = self.copy_weights()

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after step 1, 2, ... to the average."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, average in self.average.items():
            average.lerp_(self.parameters[name], share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Replace the model's weights by the average while the context is open."""
        weights = self.copy_weights()
        self.set_weights(self.average)
        try:
            yield
        finally:
            self.set_weights(weights)

    def copy_weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights that are averaged."""
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def set_weights(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
