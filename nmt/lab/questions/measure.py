"""Measurements of a question's tables, and checks of the written answer and of published findings against them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from nmt.config import Claim, Literature
from nmt.data import read_json, write_json
from nmt.errors import UserError
from nmt.lab.comparison.cells import ComparisonVerdict, ScoreCell
from nmt.lab.comparison.report import detectable_text
from nmt.lab.comparison.statistics import StatisticsComparison
from nmt.lab.comparison.systems import mean_cost
from nmt.lab.questions.measurement import METRICS, Measurement
from nmt.metrics import RESAMPLES, TRIALS

LENGTHS = 4  # number of groups of sentences by length
FORMAT = 6  # version of the cached records and of the tests
ROUNDING = 0.005 + 1e-6  # rounding error of figures with two decimal places


@dataclass(frozen=True)
class MeasuredRow:
    """Measurements of one system, tested against the first row of its table."""

    seeds: list[int]
    scores: dict[str, ScoreCell]
    cost: dict[str, float]
    lengths: list[ScoreCell]
    """BLEU of each group of sentences by length."""
    valid: ScoreCell | None = None
    """BLEU on the validation set with the search of the row; None until it is measured."""
    trained_on: list[str] = field(default_factory=list)
    """Processors and precisions of the trainings."""
    translated_on: list[str] = field(default_factory=list)
    """Processors on which the speed of translation was measured."""


@dataclass(frozen=True)
class MeasuredTable:
    """Measurements of one table."""

    rows: dict[str, MeasuredRow]
    """Measured rows by label."""
    signatures: dict[str, str]
    sentences: int
    groups: list[str]
    """Ranges of source lengths; empty if the table is not shown by length."""
    sizes: list[int]
    """Number of sentences of each group."""
    unit: str = "word"
    """Unit of the lengths."""
    complete: bool = True
    """False while rows of the table are missing."""

    @property
    def best(self) -> str | None:
        """Label of the row with the highest mean BLEU on the validation set; None without one for all rows."""
        means = {label: row.valid.mean for label, row in self.rows.items() if row.valid is not None}
        return max(means, key=means.__getitem__) if means and self.complete else None

    @property
    def trained_on_one(self) -> bool:
        """True if all rows were trained on one processor in one precision."""
        return len({name for row in self.rows.values() for name in row.trained_on}) <= 1

    @property
    def same_machine(self) -> bool:
        """True if all rows were trained on one processor in one precision, and their speeds measured on one."""
        translated = {name for row in self.rows.values() for name in row.translated_on}
        return self.trained_on_one and len(translated) <= 1


def measure(rows: Mapping[str, Sequence[Measurement]], by_length: bool, cache: Path) -> MeasuredTable:
    """Compare the rows with the first of them.

    The results of the tests are stored in the folder `cache`, because the tests take seconds per row.

    Raises:
        UserError: the measurements cannot be compared.
    """
    inputs = {label: [cache_key(one) for one in measurements] for label, measurements in rows.items()}
    key = [FORMAT, list(inputs), inputs, by_length, LENGTHS, METRICS, RESAMPLES, TRIALS]
    cached = cache / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.json"
    try:
        measured = from_record(read_json(cached))
    except (OSError, ValueError, KeyError, TypeError):
        measured = compare(rows, by_length)
        cache.mkdir(parents=True, exist_ok=True)
        write_json(cached, asdict(measured))
    return replace(measured, rows={label: with_cost(row, rows[label]) for label, row in measured.rows.items()})


def with_cost(row: MeasuredRow, measurements: Sequence[Measurement]) -> MeasuredRow:
    """Return the row with its costs, the machines they were measured on, and its validation scores."""
    speeds = [{key: one.speed[key] for key in ("sentences_per_second",) if key in one.speed} for one in measurements]
    valid = [float(one.valid["bleu"]["score"]) for one in measurements]
    return replace(
        row,
        cost=mean_cost([one.cost | speed for one, speed in zip(measurements, speeds, strict=True)]),
        trained_on=sorted(set[str]().union(*(one.trained_on for one in measurements))),
        translated_on=sorted(set[str]().union(*(one.translated_on for one in measurements))),
        valid=ScoreCell(mean(valid), deviation(valid)),
    )


def deviation(scores: Sequence[float]) -> float | None:
    return stdev(scores) if len(scores) > 1 else None


def cache_key(measurement: Measurement) -> list[Any]:
    """Return everything of a measurement that the tests depend on; it is part of the cache key."""
    digests = [hashlib.sha256(measurement.tables[name].tobytes()).hexdigest() for name in METRICS]
    scores = {name: measurement.test[name] for name in METRICS}
    return [measurement.seed, measurement.key, scores, digests, measurement.lengths.name]


def compare(rows: Mapping[str, Sequence[Measurement]], by_length: bool) -> MeasuredTable:
    """Compare the rows with the first one, without costs and validation scores.

    Raises:
        UserError: the measurements are of different test sets or have scores with different signatures.
    """
    everything = [one for measurements in rows.values() for one in measurements]
    first, lengths = everything[0], everything[0].lengths
    for one in everything[1:]:
        if one.lengths != lengths:
            raise UserError(f"{one.name} and {first.name} are measurements on different test sets; measure both again")
        for name in METRICS:
            texts = [measurement.test[name]["signature"] for measurement in (one, first)]
            if texts[0] != texts[1]:
                raise UserError(
                    f"{name} has the signature {texts[0]} in {one.name} and {texts[1]} in {first.name}; measure both "
                    "again with the same version"
                )
    comparison = StatisticsComparison([[one.statistics() for one in measurements] for measurements in rows.values()])
    cells: list[list[ScoreCell]] = [[] for _ in rows]
    groups: list[str] = []
    sizes: list[int] = []
    if by_length:
        breakdown = comparison.breakdown(f"{lengths.unit}s of the source", np.array(lengths.src), LENGTHS)
        cells, groups, sizes = breakdown.cells, breakdown.groups, breakdown.sizes
    measured = {}
    for at, (label, measurements) in enumerate(rows.items()):
        scores = {name: cell for name, column in comparison.cells.items() if (cell := column[at]) is not None}
        measured[label] = MeasuredRow([one.seed for one in measurements], scores, {}, cells[at])
    return MeasuredTable(measured, comparison.signatures, len(lengths.src), groups, sizes, lengths.unit)


def without_verdicts(measured: MeasuredTable) -> MeasuredTable:
    """Return an incomplete table, whose rows have scores and intervals but neither tests nor verdicts."""

    def untested(cell: ScoreCell) -> ScoreCell:
        return ScoreCell(cell.mean, cell.deviation, cell.interval)

    rows = {
        label: replace(
            row,
            scores={name: untested(cell) for name, cell in row.scores.items()},
            lengths=[untested(cell) for cell in row.lengths],
        )
        for label, row in measured.rows.items()
    }
    return replace(measured, rows=rows, complete=False)


def from_record(record: dict[str, Any]) -> MeasuredTable:
    rows = {label: row_from(row) for label, row in record.pop("rows").items()}
    return MeasuredTable(rows, **record)


def row_from(record: dict[str, Any]) -> MeasuredRow:
    scores = {name: cell_from(cell) for name, cell in record["scores"].items()}
    return MeasuredRow(record["seeds"], scores, record["cost"], [cell_from(cell) for cell in record["lengths"]])


def cell_from(record: dict[str, Any]) -> ScoreCell:
    interval, verdict = record.pop("interval"), record.pop("verdict")
    interval = interval and (interval[0], interval[1])
    return ScoreCell(interval=interval, verdict=verdict and ComparisonVerdict(verdict), **record)


def chosen_rate(valid: Mapping[float, float]) -> float:
    """Return the learning rate with the highest validation BLEU; of equal ones the first."""
    return max(valid, key=valid.__getitem__)


def claim_of(measured: MeasuredTable) -> Claim:
    """Return the claim that the measurements support: best row, verdicts and mean BLEU."""
    verdicts = {
        label: str(cell.verdict)
        for label, row in measured.rows.items()
        if (cell := row.scores["bleu"]).verdict is not None
    }
    means = {label: round(row.scores["bleu"].mean, 2) for label, row in measured.rows.items()}
    return Claim(measured.best, verdicts, means)


def contradictions(claim: Claim, measured: MeasuredTable) -> list[str]:
    """Return the contradictions between a claim and the measurements; empty if the claim holds."""
    now = claim_of(measured)
    texts = []
    if now.best != claim.best:
        before = "not measured" if claim.best is None else claim.best
        texts.append(f"the best row on the validation set was {before} and is now {now.best}")
    for label, verdict in now.verdicts.items():
        if (before := claim.verdicts.get(label, "not compared")) != verdict:
            texts.append(f"{label} was {before} and is now {verdict}")
    return texts


def changed_figures(claim: Claim, measured: MeasuredTable) -> list[str]:
    """Return the rows whose mean BLEU differs from that of the claim; empty if there are none."""
    means = {label: row.scores["bleu"].mean for label, row in measured.rows.items()}
    return [
        f"BLEU of {label} was {claim.bleu[label]:.2f} and is now {mean:.2f}"
        for label, mean in means.items()
        if abs(mean - claim.bleu[label]) > ROUNDING
    ]


def literature_verdict(literature: Literature, measured: MeasuredTable) -> str:
    """Return a sentence that compares a published finding with the measurements; empty if a row is missing.

    Only the direction of the difference is compared, not its size.
    """
    first = next(iter(measured.rows), None)
    if first is None or not measured.complete or not {literature.better, literature.worse} <= set(measured.rows):
        return ""
    better, worse = (measured.rows[label].scores["bleu"] for label in (literature.better, literature.worse))
    tested = worse if literature.better == first else better
    difference = f"{literature.better} {better.mean:.1f}, {literature.worse} {worse.mean:.1f}"
    if tested.verdict not in (ComparisonVerdict.better, ComparisonVerdict.worse):
        detectable = (
            "" if tested.detectable is None else f"; detectable difference {detectable_text(tested.detectable)}"
        )
        return f"Undecided here ({difference}{detectable})."
    direction = "Same direction" if better.mean > worse.mean else "**Opposite direction**"
    return f"{direction} here ({difference})."
