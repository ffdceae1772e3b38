"""Systems side by side: scores with intervals and tests, by length and by frequency, and where they differ most."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from nmt.console import progress_bar
from nmt.data.words import words_of
from nmt.errors import UserError
from nmt.evaluation.systems import System, TestSet
from nmt.metrics import Resampled, Scorer, Table, approximate_randomisation, paired_bootstrap, resample


@dataclass(frozen=True)
class Cell:
    """One score of one system."""

    mean: float
    deviation: float | None
    """Standard deviation over the seeds; None of a single run."""
    interval: tuple[float, float] | None = None
    """95 %, over resampled sentences, and the spread of the seeds if there are several."""
    bootstrap_p: float | None = None
    """Of the difference from the first system (Koehn 2004)."""
    randomisation_p: float | None = None
    """The same by approximate randomisation (Riezler and Maxwell 2005)."""
    pairs: int = 0
    """Of runs, that the latter swaps translations between."""

    @property
    def significant(self) -> bool:
        """Whether both tests say so at 0.05."""
        return max(self.bootstrap_p or 1.0, self.randomisation_p or 1.0) < 0.05


@dataclass(frozen=True)
class Breakdown:
    """A score in groups of sentences."""

    title: str
    groups: list[str]
    sizes: list[int]
    """Sentences of each group."""
    cells: list[list[Cell]]
    """A list for each system, a cell for each group."""
    missing: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class Difference:
    """A sentence that one system translates better than the other."""

    line: int
    """From 1, in the test set."""
    scores: tuple[float, float]
    """Sentence scores of both, means over their seeds."""
    src: str
    reference: str
    translations: tuple[str, str]
    """Of the first seed of each."""


class Comparison:
    """Computes what is asked for, each thing once."""

    def __init__(self, systems: Sequence[System], test: TestSet, metric: str | None = None) -> None:
        """
        Args:
            systems: the first is what the others are tested against.
            test: what all of them translated.
            metric: what groups and sentences are scored by; None: BLEU, or the first there is.
        """
        self.systems = systems
        self.test = test
        self.signatures: dict[str, str] = {}
        for system in systems:
            for run in system.runs:
                self.signatures |= {name: score["signature"] for name, score in run.scores.items()}
        scorers = {name: Scorer.of(signature) for name, signature in self.signatures.items()}
        self.scorers = {name: scorer for name, scorer in scorers.items() if scorer is not None}
        names = [*self.scorers, *self.signatures]
        self.metric = metric or ("bleu" if "bleu" in names else names[0])
        wanted = [(name, system) for name in self.scorers for system in systems]
        self.tables: dict[str, list[list[Table] | None]] = {name: [] for name in self.scorers}
        with progress_bar() as bar:
            for name, system in bar.track(wanted, description="counting"):
                self.tables[name].append(self.statistics(name, system))

    def statistics(self, name: str, system: System) -> list[Table] | None:
        """What each sentence adds to a score, a table for each run; None if a run was not scored so.

        Raises:
            UserError: the translations do not have the score that was recorded for them.
        """
        tables = []
        for run in system.runs:
            if name not in run.scores:
                return None
            scorer = self.scorers[name]
            tables.append(scorer.table(run.hypotheses, self.test.references))
            found, recorded = scorer.score(tables[-1].sum(axis=0)), run.scores[name]["score"]
            if abs(found - recorded) > 1e-4:
                raise UserError(
                    f"{run.stem}.hyp has {name} {found:.2f}, and {recorded:.2f} was recorded; score it again: "
                    f"{run.command}"
                )
        return tables

    @cached_property
    def cells(self) -> dict[str, list[Cell | None]]:
        """Of each metric a cell for each system, None where a run was not scored so."""
        found: dict[str, list[Cell | None]] = {}
        for name in self.signatures:
            if name in self.scorers:
                with progress_bar() as bar:
                    tables = bar.track(self.tables[name], description=f"testing {name}")
                    found[name] = self.tested(self.scorers[name], tables)
            else:
                found[name] = [recorded_cell(name, system) for system in self.systems]
        return found

    def tested(self, scorer: Scorer, tables: Iterable[list[Table] | None]) -> list[Cell | None]:
        first: tuple[Resampled, list[Table]] | None = None
        cells: list[Cell | None] = []
        for number, own in enumerate(tables):
            if own is None:
                cells.append(None)
                continue
            resampled = resample(scorer, own)
            if number == 0:
                first = (resampled, own)
            if number == 0 or first is None or same(first[1], own):
                cells.append(interval_cell(resampled))
                continue
            paths = [[each.run.path for each in self.systems[at].runs] for at in (0, number)]
            bootstrap = paired_bootstrap(first[0], resampled, same_models=paths[0] == paths[1])
            randomisation = approximate_randomisation(scorer, first[1], own)
            pairs = min(len(first[1]), len(own))
            cells.append(interval_cell(resampled, bootstrap, randomisation, pairs))
        return cells

    def breakdowns(self, buckets: int) -> list[Breakdown]:
        """By length, by the rarest source word, by the rarest word of the reference; in groups of like size."""
        by_length = np.array([len(line.split()) for line in self.test.src])
        found = [self.breakdown("words of the source", by_length, buckets)]
        for side, lines, what in (
            ("src", self.test.src, "source"),
            ("tgt", self.test.references, "reference"),
        ):
            title = f"the rarest word of the {what}, times in the training data"
            run = self.systems[0].runs[0].run
            counts = run.word_counts(side)
            if counts is None:
                why = f"{run.path} has no data/words.json, which a version before it did not write; train it again"
                found.append(Breakdown(title, [], [], [], why))
                continue
            rarest = [min((counts.get(word, 0) for word in words_of(line)), default=0) for line in lines]
            found.append(self.breakdown(title, np.array(rarest), buckets))
        return found

    def breakdown(self, title: str, values: NDArray[np.int64], buckets: int) -> Breakdown:
        tables = self.tables.get(self.metric, [])
        if not tables or any(own is None for own in tables):
            return Breakdown(title, [], [], [], f"{self.metric} cannot be computed of some sentences alone")
        groups = alike(values, buckets)
        names = [f"{low:,}" if low == high else f"{low:,}–{high:,}" for low, high in groups]
        members = [(values >= low) & (values <= high) for low, high in groups]
        scorer = self.scorers[self.metric]
        cells = [
            [interval_cell(resample(scorer, [table[which] for table in own])) for which in members]
            for own in tables
            if own is not None
        ]
        return Breakdown(title, names, [int(which.sum()) for which in members], cells)

    def differences(self, count: int) -> list[Difference]:
        """The sentences that the two systems translate most differently well, the largest difference first.

        Raises:
            UserError: there are not two systems, or the metric is none of single sentences.
        """
        if len(self.systems) != 2:
            raise UserError(f"sentences={count} shows two systems side by side, and here are {len(self.systems)}")
        tables = self.tables.get(self.metric, [])
        scorer = self.scorers.get(self.metric)
        if scorer is None or any(own is None for own in tables):
            raise UserError(f"sentences={count}: {self.metric} is not known sentence by sentence; choose metric=chrf")
        one, other = (np.mean([scorer.sentence_scores(table) for table in own or []], axis=0) for own in tables)
        a, b = (system.runs[0].hypotheses for system in self.systems)
        order = np.argsort(-np.abs(one - other), kind="stable")[:count]
        return [
            Difference(at + 1, (one[at], other[at]), self.test.src[at], self.test.references[at], (a[at], b[at]))
            for at in order.tolist()
            if one[at] != other[at]
        ]


def same(first: Sequence[Table], second: Sequence[Table]) -> bool:
    """Whether two systems made the same of every sentence; chance has no part in it, and no test is made."""
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def recorded_cell(name: str, system: System) -> Cell | None:
    """Of a score that is not computed here, as it was recorded; the interval only of a single run."""
    records = [run.scores[name] for run in system.runs if name in run.scores]
    if len(records) < len(system.runs):
        return None
    scores = [record["score"] for record in records]
    if len(scores) > 1:
        return Cell(mean(scores), stdev(scores))
    interval = records[0].get("interval")
    return Cell(scores[0], None, interval and (interval[0], interval[1]))


def interval_cell(
    resampled: Resampled, bootstrap: float | None = None, randomisation: float | None = None, pairs: int = 0
) -> Cell:
    deviation = stdev(resampled.scores) if len(resampled.scores) > 1 else None
    return Cell(resampled.mean, deviation, resampled.interval(), bootstrap, randomisation, pairs)


def alike(values: NDArray[np.int64], buckets: int) -> list[tuple[int, int]]:
    """Least and greatest value of groups of about as many members; like values stay together, so there may be fewer."""
    ordered = np.sort(values)
    ends = sorted({int(ordered[len(ordered) * part // buckets - 1]) for part in range(1, buckets + 1)})
    groups = []
    for end in ends:
        inside = ordered[ordered <= end]
        groups.append((int(inside[0]), int(inside[-1])))
        ordered = ordered[ordered > end]
    return groups
