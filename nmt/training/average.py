"""An exponential moving average of the weights, which validates and translates in place of the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from nmt.models import Seq2Seq


class WeightAverage:
    """average <- d average + (1 - d) weights after each step, with d = min(decay, (1 + t) / (10 + t)) at step t.

    Averages of the last iterates generalise better than the last one (Polyak and Juditsky 1992); the smaller d of the
    first steps lets it forget the random start. A decay of 0 is no average: nothing is kept and nothing happens.
    """

    def __init__(self, model: Seq2Seq, decay: float) -> None:
        self.decay = decay
        self.parameters = dict(model.named_parameters()) if decay else {}
        self.average: dict[str, Tensor] = {}
        self.start()

    def start(self) -> None:
        """Begins with the weights that the model has now."""
        self.average = self.weights()

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after step 1, 2, ..."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, average in self.average.items():
            average.lerp_(self.parameters[name], share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While entered, the model has the average for its weights."""
        weights = self.weights()
        self.load(self.average)
        try:
            yield
        finally:
            self.load(weights)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights that are averaged."""
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def load(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
