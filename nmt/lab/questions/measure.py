"""Measurements of a question's tables, and checks of the written answer and of published findings against them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from nmt.config import Claim, Literature
from nmt.data import read_json, write_json
from nmt.lab.comparison.cells import ComparisonVerdict, ScoreCell
from nmt.lab.comparison.compare import Comparison, source_lengths
from nmt.lab.comparison.systems import ScoredRun, System, common_test_set
from nmt.metrics import RESAMPLES, TRIALS

METRICS = ("bleu", "chrf")
LENGTHS = 4  # number of groups of sentences by length
FORMAT = 4  # version of the cached records and of the tests
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

    @property
    def best(self) -> str | None:
        """Label of the row with the highest mean BLEU on the validation set; None if no row has one."""
        means = {label: row.valid.mean for label, row in self.rows.items() if row.valid is not None}
        return max(means, key=means.__getitem__) if means else None


def measure(
    rows: Mapping[str, Sequence[ScoredRun]],
    costs: Mapping[str, dict[str, float]],
    by_length: bool,
    cache: Path,
    valid: Mapping[str, Sequence[float]],
) -> MeasuredTable:
    """Compare the rows with the first of them.

    `valid` has the validation BLEU of the runs of each row. The measurements are stored in the folder `cache`, because
    the tests take seconds per row.

    Raises:
        UserError: the runs cannot be compared.
    """
    inputs = {label: [cache_key(run) for run in runs] for label, runs in rows.items()}
    key = [FORMAT, list(inputs), inputs, by_length, LENGTHS, METRICS, RESAMPLES, TRIALS]
    cached = cache / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.json"
    try:
        measured = from_record(read_json(cached))
    except (OSError, ValueError, KeyError, TypeError):
        measured = compare(rows, by_length)
        cache.mkdir(parents=True, exist_ok=True)
        write_json(cached, asdict(measured))
    complete = {
        label: replace(row, cost=costs[label], valid=ScoreCell(mean(valid[label]), deviation(valid[label])))
        for label, row in measured.rows.items()
    }
    return replace(measured, rows=complete)


def deviation(scores: Sequence[float]) -> float | None:
    return stdev(scores) if len(scores) > 1 else None


def cache_key(scored: ScoredRun) -> list[Any]:
    """Return everything of a run that the tests depend on; it is part of the cache key."""
    texts = scored.run.text("test")  # source and references
    return [scored.seed, {name: scored.scores[name] for name in METRICS}, scored.hypotheses, texts]


def compare(rows: Mapping[str, Sequence[ScoredRun]], by_length: bool) -> MeasuredTable:
    """Compare the rows with the first one, without costs and validation scores."""
    runs = {
        label: [replace(run, scores={name: run.scores[name] for name in METRICS}) for run in scored]
        for label, scored in rows.items()
    }
    test = common_test_set([run for scored in runs.values() for run in scored], "test")
    systems = [System(scored, label) for label, scored in runs.items()]
    comparison = Comparison(systems, test)
    lengths: list[list[ScoreCell]] = [[] for _ in systems]
    groups: list[str] = []
    sizes: list[int] = []
    unit, values = source_lengths(test.src)
    if by_length:
        breakdown = comparison.breakdown(f"{unit}s of the source", values, LENGTHS)
        lengths, groups, sizes = breakdown.cells, breakdown.groups, breakdown.sizes
    measured = {}
    for at, system in enumerate(systems):
        cells = {name: cell for name, column in comparison.cells.items() if (cell := column[at]) is not None}
        measured[system.label] = MeasuredRow(system.seeds, cells, {}, lengths[at])
    return MeasuredTable(measured, comparison.signatures, len(test.src), groups, sizes, unit)


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
    """Return the mean BLEU scores that differ from those of the claim, as text."""
    means = {label: row.scores["bleu"].mean for label, row in measured.rows.items()}
    return [
        f"{label} {claim.bleu[label]:.2f}, now {mean:.2f}"
        for label, mean in means.items()
        if abs(mean - claim.bleu[label]) > ROUNDING
    ]


def literature_verdict(literature: Literature, measured: MeasuredTable) -> str:
    """Return a sentence that compares a published finding with the measurements; empty if a row is not measured.

    Only the direction of the difference is compared, not its size.
    """
    first = next(iter(measured.rows), None)
    if first is None or literature.better not in measured.rows or literature.worse not in measured.rows:
        return ""
    better, worse = (measured.rows[label].scores["bleu"] for label in (literature.better, literature.worse))
    tested = worse if literature.better == first else better
    difference = f"{literature.better} {better.mean:.1f}, {literature.worse} {worse.mean:.1f}"
    if tested.verdict not in (ComparisonVerdict.better, ComparisonVerdict.worse):
        detectable = "" if tested.detectable is None else f"; detectable difference {tested.detectable:.1f}"
        return f"Undecided here ({difference}{detectable})."
    direction = "Same direction" if better.mean > worse.mean else "**Opposite direction**"
    return f"{direction} here ({difference})."
