"""The coverage penalty: source pieces that the attention passed over cost a hypothesis some of its score."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from nmt.decoding.ensemble import TranslationModel
from nmt.decoding.search import S, Step
from nmt.errors import UserError

LEAST = torch.finfo(torch.float32).tiny
"""Coverage counts as this much at least: a piece that was never looked at costs 87 beta, and not infinity."""


@dataclass
class Covered(Generic[S]):
    """A model's state, and what its attention has added up to."""

    state: S
    coverage: Tensor
    """Sum of the attention's weights so far, (B K, S); 1 at padding, which then costs nothing."""

    def select(self, rows: Tensor) -> "Covered[S]":
        return Covered(self.state.select(rows), self.coverage[rows.flatten()])


def covered_step(model: TranslationModel) -> Step[Covered[S]]:
    """The model's step, which also adds up its attention's weights.

    Raises:
        UserError: at the first step, where the model has no attention.
    """

    def step(tokens: Tensor, state: Covered[S]) -> tuple[Tensor, Covered[S]]:
        log_probs, following, weights = model.step_with_attention(tokens, state.state)
        if weights is None:
            raise UserError("search.coverage_penalty is on, and this model has no attention; set it to 0")
        return log_probs, Covered(following, state.coverage + weights.flatten(0, 1).float())

    return step


def coverage_bonus(beta: float) -> Callable[[Covered[S]], Tensor]:
    """cp(X; Y) = beta sum_i log min(sum_j p_ij, 1) over source pieces i and target tokens j, eos counted, (B K,).

    Wu et al. 2016, eq. 14, where it is added to the log-probability over the length penalty.
    """

    def bonus(state: Covered[S]) -> Tensor:
        return beta * state.coverage.clamp(LEAST, 1.0).log().sum(dim=1)

    return bonus
