"""Coverage penalty on source pieces that received too little attention (Wu et al. 2016, eq. 14)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from nmt.decoding.search import S, Step
from nmt.errors import UserError
from nmt.models import StepOutput

LEAST = torch.finfo(torch.float32).tiny
"""Lower bound on the coverage of a piece: one without attention costs 87 beta instead of infinity."""


@dataclass
class Covered(Generic[S]):
    """A model's state with the sum of its attention weights."""

    state: S
    """State of the model."""
    coverage: Tensor
    """Sum of the attention weights so far, (B K, S); at least 1 at padding, which adds no penalty."""

    def select(self, rows: Tensor) -> "Covered[S]":
        """Return the state of the hypotheses `rows`."""
        return Covered(self.state.select(rows), self.coverage[rows.flatten()])


def covered_step(model_step: Step[S]) -> Step[Covered[S]]:
    """Return the step of a model, extended to sum up the attention weights.

    The step raises a UserError if the model has no attention.
    """

    def step(tokens: Tensor, state: Covered[S]) -> StepOutput[Covered[S]]:
        log_probs, following, weights = model_step(tokens, state.state)
        if weights is None:
            raise UserError("search.coverage_penalty is on, and this model has no attention; set it to 0")
        return StepOutput(log_probs, Covered(following, state.coverage + weights.flatten(0, 1).float()), weights)

    return step


def coverage_bonus(beta: float) -> Callable[[Covered[S]], Tensor]:
    """Return the function of the state to cp(X; Y), (B K,), which is added to the length-normalised log-probability.

    cp(X; Y) = beta sum_i log min(sum_j p_ij, 1) over source pieces i and target tokens j, eos included.
    """

    def bonus(state: Covered[S]) -> Tensor:
        return beta * state.coverage.clamp(LEAST, 1.0).log().sum(dim=1)

    return bonus
