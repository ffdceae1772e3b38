"""Mean scores with intervals, and paired tests of every system against the first one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import stdev

import numpy as np

from nmt.metrics import (
    LEVEL,
    Resampled,
    SumScorer,
    Table,
    approximate_randomisation,
    holm,
    minimum_detectable_effect,
    paired_bootstrap,
    resample,
)


class ComparisonVerdict(StrEnum):
    """Result of a comparison with the first system. `undecided` does not mean that the systems are equal."""

    better = "better"
    worse = "worse"
    undecided = "undecided"


@dataclass(frozen=True)
class ScoreCell:
    """Mean score of one system, with its interval and its tests against the first system."""

    mean: float
    """Score, or the mean of the scores over the seeds."""
    deviation: float | None
    """Standard deviation over the seeds; None for a single run."""
    interval: tuple[float, float] | None = None
    """95 % interval over resampled sentences and, with several runs, over seeds."""
    bootstrap_p: float | None = None
    """p of the difference from the first system, by the paired bootstrap (Koehn 2004)."""
    randomisation_p: float | None = None
    """p of the same difference, by approximate randomisation (Riezler and Maxwell 2005)."""
    pairs: int = 0
    """Number of pairs of runs between which approximate randomisation swaps translations."""

    corrected_p: float | None = None
    """The larger p, corrected for the number of tested rows of the table (Holm 1979)."""
    detectable: float | None = None
    """Smallest true difference that is found with a probability of 80 % (`minimum_detectable_effect`)."""
    verdict: ComparisonVerdict | None = None
    """Verdict on the system; None for the first system and for a score without tests."""


def cells_with_tests(
    scorer: SumScorer,
    tables: Iterable[Sequence[Table] | None],
    lower_is_better: bool,
    same_models: Sequence[bool] | None = None,
) -> list[ScoreCell | None]:
    """Return the cells of one score. Every cell but the first has both tests and the verdict.

    Args:
        scorer: metric.
        tables: sentence statistics of each system, one table (N, C) per run; None for a system without this score.
        lower_is_better: True for an error rate.
        same_models: for each system, True if its translations are by the same trained models as the first system's;
            None: False for all.
    """
    systems = [(runs, None if runs is None else resample(scorer, runs)) for runs in tables]
    same_models = same_models or [False] * len(systems)
    cells = [None if resampled is None else interval_cell(resampled) for _, resampled in systems]
    first_runs, first = systems[0]
    if first_runs is None or first is None:
        return cells
    tested = []
    for number, (runs, resampled) in enumerate(systems[1:], start=1):
        if runs is not None and resampled is not None:
            cells[number] = replace(interval_cell(resampled), verdict=ComparisonVerdict.undecided)
            if not equal_statistics(first_runs, runs):
                bootstrap = paired_bootstrap(first, resampled, same_models[number])
                randomisation = approximate_randomisation(scorer, first_runs, runs)
                tested.append((number, runs, resampled, bootstrap, randomisation))
    corrected = holm([max(bootstrap, randomisation) for *_, bootstrap, randomisation in tested])
    for (number, runs, resampled, bootstrap, randomisation), p in zip(tested, corrected, strict=True):
        level = LEVEL / len(tested)
        cells[number] = replace(
            interval_cell(resampled),
            bootstrap_p=bootstrap,
            randomisation_p=randomisation,
            pairs=min(len(first_runs), len(runs)),
            corrected_p=p,
            detectable=minimum_detectable_effect(first, resampled, same_models[number], level),
            verdict=verdict_of(p, first.mean, resampled.mean, lower_is_better),
        )
    return cells


def equal_statistics(first: Sequence[Table], second: Sequence[Table]) -> bool:
    """Return True if two systems have the same statistics for every sentence; no test is made then."""
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def interval_cell(resampled: Resampled) -> ScoreCell:
    deviation = stdev(resampled.scores) if len(resampled.scores) > 1 else None
    return ScoreCell(resampled.mean, deviation, resampled.interval())


def verdict_of(p: float, first: float, other: float, lower_is_better: bool) -> ComparisonVerdict:
    """Return the verdict on a system from its corrected p, the first system's mean score and its own."""
    if p >= LEVEL or first == other:
        return ComparisonVerdict.undecided
    return ComparisonVerdict.better if (other > first) != lower_is_better else ComparisonVerdict.worse
