"""What trained runs say to a question: its tables, whether the written answer still holds, and the literature's."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from nmt.config import Claim, Literature
from nmt.data import read_json, write_json
from nmt.lab.comparison.compare import Cell, Comparison, ComparisonVerdict, source_lengths
from nmt.lab.comparison.systems import ScoredRun, System, common_test_set
from nmt.metrics import RESAMPLES, TRIALS

METRICS = ("bleu", "chrf")
LENGTHS = 4  # groups of sentences
FORMAT = 4  # of what is kept, and of how the tests are made
ROUNDING = 0.005 + 1e-6  # of figures with two digits after the point


@dataclass(frozen=True)
class MeasuredRow:
    """One system; its tests are against the table's first row."""

    seeds: list[int]
    scores: dict[str, Cell]
    cost: dict[str, float]
    lengths: list[Cell]
    """BLEU of each group of sentences by length."""
    valid: Cell | None = None
    """BLEU on the validation set by the row's search; None until it is known."""


@dataclass(frozen=True)
class Measured:
    """One table."""

    rows: dict[str, MeasuredRow]
    """By label; what has not been run is not in it."""
    signatures: dict[str, str]
    sentences: int
    groups: list[str]
    """Lengths of the source, where it is shown by length."""
    sizes: list[int]
    """Sentences of each group."""
    unit: str = "word"
    """Unit of the lengths."""

    @property
    def best(self) -> str | None:
        """The row with the highest mean BLEU on the validation set: the test set chooses nothing."""
        means = {label: row.valid.mean for label, row in self.rows.items() if row.valid is not None}
        return max(means, key=means.__getitem__) if means else None


def measure(
    rows: Mapping[str, Sequence[ScoredRun]],
    costs: Mapping[str, dict[str, float]],
    by_length: bool,
    cache: Path,
    valid: Mapping[str, Sequence[float]],
) -> Measured:
    """Compare the rows with the first of them.

    Args:
        rows: the runs of each row, by its label.
        costs: of each row.
        by_length: whether sentences are grouped by length too.
        cache: folder for what was found: the tests take seconds a row, and most tables do not change.
        valid: BLEU on the validation set of each row's runs.

    Raises:
        UserError: the runs cannot be compared.
    """
    marks = {label: [fingerprint(each) for each in runs] for label, runs in rows.items()}
    parts = [FORMAT, list(marks), marks, by_length, LENGTHS, METRICS, RESAMPLES, TRIALS]
    kept = cache / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}.json"
    try:
        found = from_record(read_json(kept))
    except (OSError, ValueError, KeyError, TypeError):
        found = compare(rows, by_length)
        cache.mkdir(parents=True, exist_ok=True)
        write_json(kept, asdict(found))
    known = {
        label: replace(row, cost=costs[label], valid=Cell(mean(valid[label]), deviation(valid[label])))
        for label, row in found.rows.items()
    }
    return replace(found, rows=known)


def deviation(scores: Sequence[float]) -> float | None:
    return stdev(scores) if len(scores) > 1 else None


def fingerprint(scored: ScoredRun) -> list[Any]:
    """Changes with whatever the tests see of a run."""
    texts = scored.run.text("test")  # source and references
    return [scored.seed, {name: scored.scores[name] for name in METRICS}, scored.hypotheses, texts]


def compare(rows: Mapping[str, Sequence[ScoredRun]], by_length: bool) -> Measured:
    runs = {label: [with_metrics(each) for each in scored] for label, scored in rows.items()}
    test = common_test_set([each for scored in runs.values() for each in scored], "test")
    systems = [System(scored, label) for label, scored in runs.items()]
    comparison = Comparison(systems, test)
    lengths: list[list[Cell]] = [[] for _ in systems]
    groups: list[str] = []
    sizes: list[int] = []
    unit, values = source_lengths(test.src)
    if by_length:
        breakdown = comparison.breakdown(f"{unit}s of the source", values, LENGTHS)
        lengths, groups, sizes = breakdown.cells, breakdown.groups, breakdown.sizes
    found = {}
    for at, system in enumerate(systems):
        cells = {name: cell for name, column in comparison.cells.items() if (cell := column[at]) is not None}
        found[system.label] = MeasuredRow(system.seeds, cells, {}, lengths[at])
    return Measured(found, comparison.signatures, len(test.src), groups, sizes, unit)


def with_metrics(scored: ScoredRun) -> ScoredRun:
    return replace(scored, scores={name: scored.scores[name] for name in METRICS})


def from_record(record: dict[str, Any]) -> Measured:
    rows = {label: row_from(row) for label, row in record.pop("rows").items()}
    return Measured(rows, **record)


def row_from(record: dict[str, Any]) -> MeasuredRow:
    scores = {name: cell_from(cell) for name, cell in record["scores"].items()}
    return MeasuredRow(record["seeds"], scores, record["cost"], [cell_from(cell) for cell in record["lengths"]])


def cell_from(record: dict[str, Any]) -> Cell:
    interval, verdict = record.pop("interval"), record.pop("verdict")
    interval = interval and (interval[0], interval[1])
    return Cell(interval=interval, verdict=verdict and ComparisonVerdict(verdict), **record)


def claim_of(measured: Measured) -> Claim:
    """Return what an answer may be written from."""
    verdicts = {
        label: str(cell.verdict)
        for label, row in measured.rows.items()
        if (cell := row.scores["bleu"]).verdict is not None
    }
    means = {label: round(row.scores["bleu"].mean, 2) for label, row in measured.rows.items()}
    return Claim(measured.best, verdicts, means)


def contradictions(claim: Claim, measured: Measured) -> list[str]:
    """Return where the measurements say something else than the claim; empty: it holds."""
    now = claim_of(measured)
    found = []
    if now.best != claim.best:
        was = "not known" if claim.best is None else claim.best
        found.append(f"the best row on the validation set was {was}, and is {now.best}")
    for label, verdict in now.verdicts.items():
        if (then := claim.verdicts.get(label)) != verdict:
            found.append(f"{label} was {then or 'not compared'}, and is {verdict}")
    return found


def moved(claim: Claim, measured: Measured) -> list[str]:
    """Figures of the claim that are others now, in words."""
    means = {label: row.scores["bleu"].mean for label, row in measured.rows.items()}
    return [
        f"{label} {claim.bleu[label]:.2f}, now {mean:.2f}"
        for label, mean in means.items()
        if abs(mean - claim.bleu[label]) > ROUNDING
    ]


def literature_verdict(literature: Literature, measured: Measured) -> str:
    """Return which row is better here, the same or the other, or that it is undecided; empty if not measured.

    Only the direction is tested: not how much better, nor where.
    """
    first = next(iter(measured.rows), None)
    if first is None or literature.better not in measured.rows or literature.worse not in measured.rows:
        return ""
    better, worse = (measured.rows[label].scores["bleu"] for label in (literature.better, literature.worse))
    tested = worse if literature.better == first else better
    difference = f"{literature.better} {better.mean:.1f}, {literature.worse} {worse.mean:.1f}"
    if tested.verdict not in (ComparisonVerdict.better, ComparisonVerdict.worse):
        shown = "" if tested.detectable is None else f"; a difference of {tested.detectable:.1f} could have been shown"
        return f"Undecided here ({difference}{shown})."
    return f"{'The same' if better.mean > worse.mean else '**The opposite**'} direction here ({difference})."
