"""How far a score could have come out otherwise on other sentences of the same kind: the bootstrap over sentences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 12345
"""sacrebleu's own, so that its `--confidence` finds the same intervals."""


@dataclass(frozen=True)
class Score:
    """A score that can be repeated."""

    score: float
    signature: str
    """What it was computed with, in sacrebleu's form (Post 2018). Scores of unlike signatures are not comparable."""
    interval: tuple[float, float] | None = None
    """Between these it lies with a probability of 95 %, if the sentences are a sample of all that could be asked."""


def score_with_interval(
    statistics: Sequence[Sequence[float]], compute: Callable[[list[float]], float], signature: str
) -> Score:
    """The score of a test set and its 95 % interval by percentiles (Efron and Tibshirani 1993, 13; Koehn 2004).

    Args:
        statistics: what each of N sentences adds to the sums that the score is made of, (N, K).
        compute: the score from K sums.
        signature: the score's.

    sacrebleu's bootstrap holds all resampled statistics at once, a gigabyte for 10,000 sentences. This makes the same
    draws one after the other.
    """
    table = np.array(statistics, dtype=np.float64)
    scores = sorted(compute(sums.tolist()) for sums in resampled_sums(table))
    outside = RESAMPLES // 40
    return Score(compute(table.sum(axis=0).tolist()), signature, (scores[outside], scores[-outside - 1]))


def resampled_sums(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over as many sentences as there are, drawn with replacement, RESAMPLES times, (RESAMPLES, K)."""
    random = np.random.default_rng(SEED)
    size = len(table)
    return np.stack([np.bincount(random.choice(size, size), minlength=size) @ table for _ in range(RESAMPLES)])
