"""Comparison of systems: scores with intervals and tests, breakdowns by length and frequency, differing sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.console import progress_bar
from nmt.data.words import split_units, unspaced
from nmt.errors import UserError
from nmt.evaluation.sets import EvaluationSet
from nmt.lab.comparison.statistics import (
    Breakdown,
    ExtraScore,
    RunStatistics,
    StatisticsComparison,
    scorers_of,
    signatures_of,
)
from nmt.lab.comparison.systems import ScoredRun, System
from nmt.metrics import Scorer

TOLERANCE = 1e-4
"""Largest difference between a recorded score and the score of the recorded translations."""


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


class Comparison(StatisticsComparison):
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
        signatures = signatures_of([run.scores for system in systems for run in system.runs])
        scorers = scorers_of(signatures)
        for name, scorer in scorers.items():
            if scorer.references != len(test.references):
                raise UserError(
                    f"{name} was computed with {scorer.references} references ({signatures[name]}), but the "
                    f"{test.name} set has {len(test.references)}; score it again: {systems[0].runs[0].command}"
                )
        with progress_bar() as bar:
            statistics = [
                [statistics_of(run, scorers, test) for run in system.runs]
                for system in bar.track(systems, description="counting")
            ]
        super().__init__(statistics, metric, extra)

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


def statistics_of(run: ScoredRun, scorers: Mapping[str, Scorer], test: EvaluationSet) -> RunStatistics:
    """Return the scores of a run with the statistics of its sentences.

    Raises:
        UserError: the translations do not have the score that was recorded for them.
    """
    tables = {}
    for name, scorer in scorers.items():
        if name in run.scores:
            tables[name] = scorer.table(run.hypotheses, *test.references)
            score, recorded = scorer.score(tables[name].sum(axis=0)), run.scores[name]["score"]
            if abs(score - recorded) > TOLERANCE:
                raise UserError(
                    f"{run.stem}.hyp has {name} {score:.2f}, but {recorded:.2f} was recorded; score it again: "
                    f"{run.command}"
                )
    return RunStatistics(str(run.run.path), run.scores, tables)


def source_lengths(lines: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    """Return the unit of sentence lengths, character in a script without spaces and word otherwise, and the lengths."""
    if unspaced(lines):
        return "character", np.array([len("".join(line.split())) for line in lines])
    return "word", np.array([len(line.split()) for line in lines])
