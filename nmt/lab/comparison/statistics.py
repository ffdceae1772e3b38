"""Comparison of systems from the statistics of their sentences, without texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.console import progress_bar
from nmt.evaluation.table import LOWER_IS_BETTER
from nmt.lab.comparison.cells import ScoreCell, cells_with_tests, interval_cell
from nmt.metrics import Scorer, Table, resample


@dataclass(frozen=True)
class RunStatistics:
    """Scores of one run on a test set of N sentences, and the statistics of each sentence."""

    model: str
    """Identity of the trained model, which translations with several searches share."""
    scores: dict[str, dict[str, Any]]
    """For each metric its `score`, its `signature` and the other recorded values."""
    tables: dict[str, Table] = field(default_factory=dict)
    """Statistics (N, C) of each score that is a function of their sum."""


@dataclass(frozen=True)
class Breakdown:
    """A score by groups of sentences."""

    title: str
    groups: list[str]
    sizes: list[int]
    """Number of sentences of each group."""
    cells: list[list[ScoreCell]]
    """One list per system, one cell per group."""
    missing: str = ""
    """Reason why the breakdown cannot be computed; empty if it was."""


@dataclass(frozen=True)
class ExtraScore:
    """A score that is not computed from the translations, such as judgements by people."""

    signature: str
    cells: list[ScoreCell | None]
    """One cell per system; None for a system without this score."""


class StatisticsComparison:
    """Scores with intervals and tests, and breakdowns, of several systems on one test set."""

    def __init__(
        self,
        statistics: Sequence[Sequence[RunStatistics]],
        metric: str | None = None,
        extra: Mapping[str, ExtraScore] | None = None,
    ) -> None:
        """
        Args:
            statistics: the runs of each system; the other systems are tested against the first.
            metric: score of breakdowns; None: BLEU, or the first score if there is no BLEU.
            extra: further scores by name.
        """
        self.signatures = signatures_of([run.scores for runs in statistics for run in runs])
        self.scorers = scorers_of(self.signatures)
        names = [*self.scorers, *self.signatures]
        self.metric = metric or ("bleu" if "bleu" in names else names[0])
        self.extra = dict(extra or {})
        self.signatures |= {name: score.signature for name, score in self.extra.items()}
        self.recorded = [[run.scores for run in runs] for runs in statistics]
        self.models = [[run.model for run in runs] for runs in statistics]
        self.tables: dict[str, list[list[Table] | None]] = {
            name: [tables_of(name, runs) for runs in statistics] for name in self.scorers
        }

    @cached_property
    def cells(self) -> dict[str, list[ScoreCell | None]]:
        """The cells of each score, one per system; None for a system with a run that lacks the score."""
        same_models = [models == self.models[0] for models in self.models]
        cells: dict[str, list[ScoreCell | None]] = {}
        for name in self.signatures:
            if name in self.extra:
                cells[name] = self.extra[name].cells
            elif name in self.scorers:
                with progress_bar() as bar:
                    tables = bar.track(self.tables[name], description=f"testing {name}")
                    cells[name] = cells_with_tests(self.scorers[name], tables, name in LOWER_IS_BETTER, same_models)
            else:
                cells[name] = [recorded_cell(name, runs) for runs in self.recorded]
        return cells

    def breakdown(self, title: str, values: NDArray[np.int64], buckets: int) -> Breakdown:
        """Return the score by groups of sentences with similar values.

        There are at most `buckets` groups, and `values` has one value per sentence, (N,).
        """
        tables = self.tables.get(self.metric, [])
        if not tables or any(runs is None for runs in tables):
            return Breakdown(title, [], [], [], f"{self.metric} cannot be computed on a subset of the sentences")
        ranges = group_ranges(values, buckets)
        names = [f"{low:,}" if low == high else f"{low:,}–{high:,}" for low, high in ranges]
        members = [(values >= low) & (values <= high) for low, high in ranges]
        scorer = self.scorers[self.metric]
        cells = [
            [interval_cell(resample(scorer, [table[group] for table in runs])) for group in members]
            for runs in tables
            if runs is not None
        ]
        return Breakdown(title, names, [int(group.sum()) for group in members], cells)


def signatures_of(records: Sequence[dict[str, dict[str, Any]]]) -> dict[str, str]:
    """Return the signature of each score that any of the runs has."""
    signatures: dict[str, str] = {}
    for scores in records:
        signatures |= {name: score["signature"] for name, score in scores.items()}
    return signatures


def scorers_of(signatures: dict[str, str]) -> dict[str, Scorer]:
    """Return the scorers of those scores that sacrebleu computes from sums."""
    scorers = {name: Scorer.from_signature(signature) for name, signature in signatures.items()}
    return {name: scorer for name, scorer in scorers.items() if scorer is not None}


def tables_of(name: str, runs: Sequence[RunStatistics]) -> list[Table] | None:
    """Return the statistics of a score, one table (N, C) per run; None if a run lacks the score."""
    tables = [run.tables[name] for run in runs if name in run.tables]
    return tables if len(tables) == len(runs) else None


def recorded_cell(name: str, runs: Sequence[dict[str, dict[str, Any]]]) -> ScoreCell | None:
    """Return a score as it was recorded, without tests. The interval is kept for a single run only."""
    records = [scores[name] for scores in runs if name in scores]
    if len(records) < len(runs):
        return None
    scores = [record["score"] for record in records]
    if len(scores) > 1:
        return ScoreCell(mean(scores), stdev(scores))
    interval = records[0].get("interval")
    return ScoreCell(scores[0], None, interval and (interval[0], interval[1]))


def group_ranges(values: NDArray[np.int64], buckets: int) -> list[tuple[int, int]]:
    """Return the smallest and largest value of groups of about equal size.

    Equal values stay in one group, so there may be fewer than `buckets` groups.
    """
    ordered = np.sort(values)
    ends = sorted({int(ordered[len(ordered) * part // buckets - 1]) for part in range(1, buckets + 1)})
    groups = []
    for end in ends:
        inside = ordered[ordered <= end]
        groups.append((int(inside[0]), int(inside[-1])))
        ordered = ordered[ordered > end]
    return groups
