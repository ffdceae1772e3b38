"""Comparison of systems: scores with intervals and tests, breakdowns by length and frequency, differing sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from nmt.console import progress_bar
from nmt.data.words import split_units, unspaced
from nmt.errors import UserError
from nmt.evaluation.sets import EvaluationSet
from nmt.evaluation.table import LOWER_IS_BETTER
from nmt.lab.comparison.cells import ScoreCell, cells_with_tests, interval_cell
from nmt.lab.comparison.systems import System
from nmt.metrics import Scorer, Table, resample


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
class Difference:
    """A sentence that one of two systems translates better than the other."""

    line: int
    """Line number in the test set, from 1."""
    scores: tuple[float, float]
    """Sentence scores of both systems, means over their seeds."""
    src: str
    reference: str
    translations: tuple[str, str]
    """Translations by the first seed of each system."""


@dataclass(frozen=True)
class ExtraScore:
    """A score that is not computed from the translations, such as judgements by people."""

    signature: str
    cells: list[ScoreCell | None]
    """One cell per system; None for a system without this score."""


class Comparison:
    """Scores, breakdowns and differing sentences of several systems on one test set."""

    def __init__(
        self,
        systems: Sequence[System],
        test: EvaluationSet,
        metric: str | None = None,
        extra: Mapping[str, ExtraScore] | None = None,
    ) -> None:
        """
        Args:
            systems: systems to compare; the others are tested against the first.
            test: test set that all of them translated.
            metric: score of breakdowns and sentences; None: BLEU, or the first score if there is no BLEU.
            extra: further scores by name.

        Raises:
            UserError: a score used another number of references, or its recorded value is not that of the translations.
        """
        self.systems = systems
        self.test = test
        self.extra = dict(extra or {})
        self.signatures: dict[str, str] = {}
        for system in systems:
            for run in system.runs:
                self.signatures |= {name: score["signature"] for name, score in run.scores.items()}
        scorers = {name: Scorer.from_signature(signature) for name, signature in self.signatures.items()}
        self.scorers = {name: scorer for name, scorer in scorers.items() if scorer is not None}
        for name, scorer in self.scorers.items():
            if scorer.references != len(test.references):
                raise UserError(
                    f"{name} was computed with {scorer.references} references ({self.signatures[name]}), but the "
                    f"{test.name} set has {len(test.references)}; score it again: {systems[0].runs[0].command}"
                )
        names = [*self.scorers, *self.signatures]
        self.metric = metric or ("bleu" if "bleu" in names else names[0])
        self.signatures |= {name: score.signature for name, score in self.extra.items()}
        pairs = [(name, system) for name in self.scorers for system in systems]
        self.tables: dict[str, list[list[Table] | None]] = {name: [] for name in self.scorers}
        with progress_bar() as bar:
            for name, system in bar.track(pairs, description="counting"):
                self.tables[name].append(self.statistics(name, system))

    def statistics(self, name: str, system: System) -> list[Table] | None:
        """Return the sentence statistics of a score, one table (N, C) per run; None if a run lacks the score.

        Raises:
            UserError: the translations do not have the score that was recorded for them.
        """
        tables = []
        for run in system.runs:
            if name not in run.scores:
                return None
            scorer = self.scorers[name]
            tables.append(scorer.table(run.hypotheses, *self.test.references))
            score, recorded = scorer.score(tables[-1].sum(axis=0)), run.scores[name]["score"]
            if abs(score - recorded) > 1e-4:
                raise UserError(
                    f"{run.stem}.hyp has {name} {score:.2f}, but {recorded:.2f} was recorded; score it again: "
                    f"{run.command}"
                )
        return tables

    @cached_property
    def cells(self) -> dict[str, list[ScoreCell | None]]:
        """The cells of each score, one per system; None for a system with a run that lacks the score."""
        same_models = [self.same_models(number) for number in range(len(self.systems))]
        cells: dict[str, list[ScoreCell | None]] = {}
        for name in self.signatures:
            if name in self.extra:
                cells[name] = self.extra[name].cells
            elif name in self.scorers:
                with progress_bar() as bar:
                    tables = bar.track(self.tables[name], description=f"testing {name}")
                    cells[name] = cells_with_tests(self.scorers[name], tables, name in LOWER_IS_BETTER, same_models)
            else:
                cells[name] = [recorded_cell(name, system) for system in self.systems]
        return cells

    def same_models(self, number: int) -> bool:
        """Return True if a system's translations are by the same trained models as the first system's."""
        first, other = ([run.run.path for run in self.systems[index].runs] for index in (0, number))
        return first == other

    def breakdowns(self, buckets: int) -> list[Breakdown]:
        """Return the score by source length, by rarest source word and by rarest reference word.

        In a script without spaces the units are characters, and the titles say so.

        Args:
            buckets: number of groups, which have about the same number of sentences.
        """
        unit, lengths = source_lengths(self.test.src)
        breakdowns = [self.breakdown(f"{unit}s of the source", lengths, buckets)]
        for side, lines, side_name in (("src", self.test.src, "source"), ("tgt", self.test.references[0], "reference")):
            characters = unspaced(lines)
            unit = "character" if characters else "word"
            title = f"training frequency of the rarest {side_name} {unit}"
            run = self.systems[0].runs[0].run
            counts = run.word_counts(side)
            units = [split_units(line, characters) for line in lines]
            if counts is None:
                why = f"{run.path} has no data/words.json (written by an older version); train it again"
                breakdowns.append(Breakdown(title, [], [], [], why))
                continue
            if characters and not any(character in counts for line in units for character in line):
                why = f"{run.path}/data/words.json has no characters (written by an older version); train it again"
                breakdowns.append(Breakdown(title, [], [], [], why))
                continue
            rarest = [min((counts.get(unit, 0) for unit in line), default=0) for line in units]
            breakdowns.append(self.breakdown(title, np.array(rarest), buckets))
        return breakdowns

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

    def differences(self, count: int) -> list[Difference]:
        """Return at most `count` sentences whose scores differ most between two systems, the largest difference first.

        Raises:
            UserError: the number of systems is not two, or the metric has no sentence scores.
        """
        if len(self.systems) != 2:
            raise UserError(f"sentences={count} needs exactly two systems, not {len(self.systems)}")
        tables = self.tables.get(self.metric, [])
        scorer = self.scorers.get(self.metric)
        if scorer is None or any(runs is None for runs in tables):
            raise UserError(f"sentences={count}: {self.metric} has no sentence scores; choose metric=chrf")
        one, other = (np.mean([scorer.sentence_scores(table) for table in runs or []], axis=0) for runs in tables)
        a, b = (system.runs[0].hypotheses for system in self.systems)
        order = np.argsort(-np.abs(one - other), kind="stable")[:count]
        return [
            Difference(at + 1, (one[at], other[at]), self.test.src[at], self.test.references[0][at], (a[at], b[at]))
            for at in order.tolist()
            if one[at] != other[at]
        ]


def recorded_cell(name: str, system: System) -> ScoreCell | None:
    """Return a score as it was recorded, without tests. The interval is kept for a single run only."""
    records = [run.scores[name] for run in system.runs if name in run.scores]
    if len(records) < len(system.runs):
        return None
    scores = [record["score"] for record in records]
    if len(scores) > 1:
        return ScoreCell(mean(scores), stdev(scores))
    interval = records[0].get("interval")
    return ScoreCell(scores[0], None, interval and (interval[0], interval[1]))


def source_lengths(lines: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    """Return the unit of sentence lengths, character in a script without spaces and word otherwise, and the lengths."""
    if unspaced(lines):
        return "character", np.array([len("".join(line.split())) for line in lines])
    return "word", np.array([len(line.split()) for line in lines])


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
