"""What trained runs say to a question: its tables, whether the written answer still holds, and the literature's."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nmt.config import Claim, Literature
from nmt.data import read_json, write_json
from nmt.evaluation.comparison import Cell, Comparison
from nmt.evaluation.systems import ScoredRun, System, common_test_set
from nmt.metrics import RESAMPLES, TRIALS

METRICS = ("bleu", "chrf")
LENGTHS = 4  # groups of sentences
FORMAT = 3  # of what is kept, and of how the tests are made
ROUNDING = 0.005 + 1e-6  # of figures with two digits after the point


@dataclass(frozen=True)
class MeasuredRow:
    """One system; its tests are against the table's first row."""

    seeds: list[int]
    scores: dict[str, Cell]
    cost: dict[str, float]
    lengths: list[Cell]
    """BLEU of each group of sentences by length."""


@dataclass(frozen=True)
class Measured:
    """One table."""

    rows: dict[str, MeasuredRow]
    """By label; what has not been run is not in it."""
    signatures: dict[str, str]
    sentences: int
    groups: list[str]
    """Words of the source, where it is shown by length."""
    sizes: list[int]
    """Sentences of each group."""


def measure(
    rows: Mapping[str, Sequence[ScoredRun]], costs: Mapping[str, dict[str, float]], by_length: bool, cache: Path
) -> Measured:
    """Compares the rows with the first of them.

    Args:
        rows: the runs of each row, by its label.
        costs: of each row.
        by_length: whether sentences are grouped by length too.
        cache: folder for what was found: the tests take seconds a row, and most tables do not change.

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
    return replace(found, rows={label: replace(row, cost=costs[label]) for label, row in found.rows.items()})


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
    if by_length:
        values = np.array([len(line.split()) for line in test.src])
        breakdown = comparison.breakdown("words of the source", values, LENGTHS)
        lengths, groups, sizes = breakdown.cells, breakdown.groups, breakdown.sizes
    found = {}
    for at, system in enumerate(systems):
        cells = {name: cell for name, column in comparison.cells.items() if (cell := column[at]) is not None}
        found[system.label] = MeasuredRow(system.seeds, cells, {}, lengths[at])
    return Measured(found, comparison.signatures, len(test.src), groups, sizes)


def with_metrics(scored: ScoredRun) -> ScoredRun:
    return replace(scored, scores={name: scored.scores[name] for name in METRICS})


def from_record(record: dict[str, Any]) -> Measured:
    rows = {label: row_from(row) for label, row in record.pop("rows").items()}
    return Measured(rows, **record)


def row_from(record: dict[str, Any]) -> MeasuredRow:
    scores = {name: cell_from(cell) for name, cell in record["scores"].items()}
    return MeasuredRow(record["seeds"], scores, record["cost"], [cell_from(cell) for cell in record["lengths"]])


def cell_from(record: dict[str, Any]) -> Cell:
    interval = record.pop("interval")
    return Cell(interval=interval and (interval[0], interval[1]), **record)


def claim_of(measured: Measured) -> Claim:
    """What an answer may be written from."""
    means = {label: row.scores["bleu"].mean for label, row in measured.rows.items()}
    significant = [label for label, row in measured.rows.items() if row.scores["bleu"].significant]
    return Claim(max(means, key=means.__getitem__), significant, {label: round(v, 2) for label, v in means.items()})


def contradictions(claim: Claim, measured: Measured) -> list[str]:
    """Where the measurements say something else than the claim; empty: it holds."""
    now, first = claim_of(measured), next(iter(measured.rows))
    found = []
    if now.best != claim.best:
        found.append(f"the best row was {claim.best}, and is {now.best}")
    for label in now.bleu:
        then = label in claim.significant
        if then != (label in now.significant):
            found.append(f"{label} {'differed' if then else 'did not differ'} significantly from the first row before")
        elif then and (claim.bleu[label] - claim.bleu[first]) * (now.bleu[label] - now.bleu[first]) < 0:
            was, has_become = ("worse", "better") if now.bleu[label] > now.bleu[first] else ("better", "worse")
            found.append(f"{label} was significantly {was} than the first row, and is {has_become}")
    return found


def moved(claim: Claim, measured: Measured) -> list[str]:
    """Figures of the claim that are others now, in words."""
    means = {label: row.scores["bleu"].mean for label, row in measured.rows.items()}
    return [
        f"{label} {claim.bleu[label]:.2f}, now {mean:.2f}"
        for label, mean in means.items()
        if abs(mean - claim.bleu[label]) > ROUNDING
    ]


def verdict(literature: Literature, measured: Measured) -> str:
    """Which is better here, the same one or the other, or that nothing but chance was found; empty if not measured.

    No more than the direction is tested: not how much better, nor where.
    """
    first = next(iter(measured.rows), None)
    if first is None or literature.better not in measured.rows or literature.worse not in measured.rows:
        return ""
    better, worse = (measured.rows[label].scores["bleu"] for label in (literature.better, literature.worse))
    tested = worse if literature.better == first else better
    difference = f"{literature.better} {better.mean:.1f}, {literature.worse} {worse.mean:.1f}"
    if not tested.significant:
        return f"Not confirmed here: no difference that could be told from chance ({difference})."
    return f"{'The same' if better.mean > worse.mean else '**The opposite**'} direction here ({difference})."
