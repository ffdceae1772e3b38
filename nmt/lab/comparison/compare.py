"""Systems side by side: scores with intervals and tests, by length and by frequency, and where they differ most."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from nmt.console import progress_bar
from nmt.data.words import units_of, unspaced
from nmt.errors import UserError
from nmt.evaluation.table import LOWER_IS_BETTER
from nmt.lab.comparison.systems import System, TestSet
from nmt.metrics import (
    LEVEL,
    Resampled,
    Scorer,
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

    corrected_p: float | None = None
    """The larger of the two, corrected for the number of tested rows of the table (Holm 1979)."""
    detectable: float | None = None
    """Smallest true difference that would be found with a probability of 80 % (`minimum_detectable_effect`)."""
    verdict: ComparisonVerdict | None = None
    """None for the first system, and for a score without tests."""


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
        scorers = {name: Scorer.from_signature(signature) for name, signature in self.signatures.items()}
        self.scorers = {name: scorer for name, scorer in scorers.items() if scorer is not None}
        for name, scorer in self.scorers.items():
            if scorer.references != len(test.all_references):
                raise UserError(
                    f"{name} was computed with {scorer.references} references ({self.signatures[name]}), and the "
                    f"{test.split} set has {len(test.all_references)}; score it again: {systems[0].runs[0].command}"
                )
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
            tables.append(scorer.table(run.hypotheses, *self.test.all_references))
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
                    found[name] = self.tested(name, tables)
            else:
                found[name] = [recorded_cell(name, system) for system in self.systems]
        return found

    def tested(self, name: str, tables: Iterable[list[Table] | None]) -> list[Cell | None]:
        """Return the cells of a score, each but the first with both tests and the verdict."""
        scorer = self.scorers[name]
        own = [(each, None if each is None else resample(scorer, each)) for each in tables]
        cells = [None if resampled is None else interval_cell(resampled) for _, resampled in own]
        first_tables, first = own[0]
        if first_tables is None or first is None:
            return cells
        rows = [
            (at, each, resampled)
            for at, (each, resampled) in enumerate(own)
            if at and each is not None and resampled is not None
        ]
        different = [row for row in rows if not same(first_tables, row[1])]
        p_values = []
        for at, each, resampled in different:
            bootstrap = paired_bootstrap(first, resampled, self.same_models(at))
            p_values.append((bootstrap, approximate_randomisation(scorer, first_tables, each)))
        corrected = holm([max(pair) for pair in p_values])
        for at, _, resampled in rows:
            cells[at] = replace(interval_cell(resampled), verdict=ComparisonVerdict.undecided)
        for (at, each, resampled), pair, p in zip(different, p_values, corrected, strict=True):
            level = LEVEL / len(different)
            cells[at] = replace(
                interval_cell(resampled),
                bootstrap_p=pair[0],
                randomisation_p=pair[1],
                pairs=min(len(first_tables), len(each)),
                corrected_p=p,
                detectable=minimum_detectable_effect(first, resampled, self.same_models(at), level),
                verdict=verdict_of(p, first.mean, resampled.mean, name in LOWER_IS_BETTER),
            )
        return cells

    def same_models(self, at: int) -> bool:
        """Return whether a system's translations are by the same trained models as the first system's."""
        one, other = ([each.run.path for each in self.systems[number].runs] for number in (0, at))
        return one == other

    def breakdowns(self, buckets: int) -> list[Breakdown]:
        """Return the scores by length, by rarest source word and by rarest reference word, in groups of like size.

        In a script without spaces the units are characters, and the titles say so.
        """
        unit, by_length = source_lengths(self.test.src)
        found = [self.breakdown(f"{unit}s of the source", by_length, buckets)]
        for side, lines, what in (
            ("src", self.test.src, "source"),
            ("tgt", self.test.references, "reference"),
        ):
            characters = unspaced(lines)
            unit = "character" if characters else "word"
            title = f"the rarest {unit} of the {what}, times in the training data"
            run = self.systems[0].runs[0].run
            counts = run.word_counts(side)
            units = [units_of(line, characters) for line in lines]
            if counts is None:
                why = f"{run.path} has no data/words.json, which a version before it did not write; train it again"
                found.append(Breakdown(title, [], [], [], why))
                continue
            if characters and not any(sign in counts for line in units for sign in line):
                why = f"{run.path}/data/words.json has no characters, which a version before did not count"
                found.append(Breakdown(title, [], [], [], f"{why}; train it again"))
                continue
            rarest = [min((counts.get(each, 0) for each in line), default=0) for line in units]
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


def interval_cell(resampled: Resampled) -> Cell:
    deviation = stdev(resampled.scores) if len(resampled.scores) > 1 else None
    return Cell(resampled.mean, deviation, resampled.interval())


def verdict_of(p: float, first: float, other: float, lower_is_better: bool) -> ComparisonVerdict:
    """Return the verdict on a system from its corrected p and the mean scores of the first system and of it."""
    if p >= LEVEL or first == other:
        return ComparisonVerdict.undecided
    return ComparisonVerdict.better if (other > first) != lower_is_better else ComparisonVerdict.worse


def source_lengths(lines: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    """Return the unit of sentence lengths, character in a script without spaces and word otherwise, and the lengths."""
    if unspaced(lines):
        return "character", np.array([len("".join(line.split())) for line in lines])
    return "word", np.array([len(line.split()) for line in lines])


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
