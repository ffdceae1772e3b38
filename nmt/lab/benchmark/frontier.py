"""Efficiency frontier of translation: BLEU against sentences/s, and against the time of a single sentence."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from nmt.config import FrontierPoint
from nmt.console import counted
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.benchmark.decoding import DecodingBenchmark
from nmt.lab.benchmark.figures import spread, summary
from nmt.lab.benchmark.peer_points import PeerPoints
from nmt.lab.benchmark.peers import BenchmarkMachine, differs
from nmt.lab.benchmark.turns import measure_in_turns
from nmt.lab.comparison.report import UNKNOWN, TitledTable, interval_text, markdown
from nmt.metrics import Score

SPEED, LATENCY = "sentences_per_second", "milliseconds_per_sentence"
MACHINE_KEYS = ("time", "nmt", "commit", "python", "platform", "processor", "threads")
"""Entries of the provenance that frontier.json has."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MeasuredPoint:
    """Point with its measurements."""

    point: FrontierPoint
    """Settings; the precision is the one that was measured."""
    bleu: Score
    figures: Mapping[str, list[float]]
    """Figures of `DecodingBenchmark`, one value per repetition."""

    def median(self, name: str) -> float:
        """Return the median of a figure."""
        return median(self.figures[name])


@dataclass(frozen=True)
class Frontier:
    """Measured points, with those of other toolkits."""

    test: EvaluationSet
    points: Sequence[MeasuredPoint]
    repeats: int
    provenance: Mapping[str, Any]
    """Time, versions, commit, processor and number of threads, as a run records them."""
    peers: PeerPoints | None = None
    bleu_from: float | None = None
    """Lowest BLEU of the points to draw; None: all are drawn."""

    @property
    def machine(self) -> BenchmarkMachine:
        """Machine of the points."""
        return BenchmarkMachine(str(self.provenance["processor"]))

    def on_frontier(self, name: str) -> set[str]:
        """Return the labels of the points that no other point beats in speed and BLEU; other toolkits do not count.

        Args:
            name: SPEED or LATENCY.
        """
        sign = -1 if name == LATENCY else 1
        values = {one.point.label: (sign * one.median(name), one.bleu.score) for one in self.points}
        return {
            label
            for label, (speed, bleu) in values.items()
            if not any(other != (speed, bleu) and other[0] >= speed and other[1] >= bleu for other in values.values())
        }

    def machines(self) -> list[str]:
        """Return sentences that name the machine of the points, and that of the other toolkits."""
        threads = int(self.provenance["threads"])
        processor = self.machine.processor or "processor unknown"
        lines = [f"{processor}, {counted(threads, 'thread')}, torch {self.provenance['libraries']['torch']}."]
        if self.peers is None or not self.peers.points:
            return lines
        theirs = self.peers.machine
        if not theirs.processor:
            return [
                *lines,
                "Other toolkits: the processor is unknown; their speeds are comparable only if it is this one.",
            ]
        if differs(theirs, self.machine):
            return [
                *lines,
                f"Other toolkits: measured on another processor ({theirs.processor}); their speeds are not comparable.",
            ]
        return [*lines, "Other toolkits: measured on the same type of processor."]


def measure_points(
    points: Sequence[FrontierPoint], benchmarks: Sequence[DecodingBenchmark], repeats: int
) -> list[MeasuredPoint]:
    """Score the translations of each point, and then measure the speeds of all points in turns.

    Raises:
        UserError: the points have different references or settings of BLEU.
    """
    check_comparable(points, benchmarks)
    scores = []
    for point, benchmark in zip(points, benchmarks, strict=True):
        scores.append(benchmark.bleu())
        log.info("%s: BLEU = %.2f", point.label, scores[-1].score)
    figures = measure_in_turns(benchmarks, [f", {point.label}" for point in points], repeats)
    for measured in figures:
        del measured["peak_rss_bytes"]  # of the process, which has the models of all points
    return [MeasuredPoint(*one) for one in zip(points, scores, figures, strict=True)]


def check_comparable(points: Sequence[FrontierPoint], benchmarks: Sequence[DecodingBenchmark]) -> None:
    """Check that all points are scored on the same references with the same tokenizer of BLEU.

    Raises:
        UserError: they are not.
    """
    first = benchmarks[0]
    for point, other in zip(points[1:], benchmarks[1:], strict=True):
        if other.test.references != first.test.references:
            raise UserError(
                f"points: {point.label} has other references in its {other.test.name} set than {points[0].label}, so "
                "that BLEU is not comparable; name runs of one corpus, and for exported folders this corpus with data="
            )
        if other.bleu_tokenize != first.bleu_tokenize:
            raise UserError(
                f"points: {point.label} has data.bleu_tokenize={other.bleu_tokenize} and {points[0].label} "
                f"{first.bleu_tokenize}, so that BLEU is not comparable; name runs with the same tokenizer"
            )


def frontier_table(frontier: Frontier) -> TitledTable:
    """Return the table of all points, in their order, and below them the other toolkits."""
    headings = ["point", "precision", "beam", "shortlist", "BLEU", "95 % interval", "sentences/s", "ms per sentence"]
    best = {name: frontier.on_frontier(name) for name in (SPEED, LATENCY)}
    rows = []
    for one in frontier.points:
        point = one.point
        speeds = [figure_text(one.figures[name]) + " *" * (point.label in best[name]) for name in (SPEED, LATENCY)]
        shortlist = UNKNOWN if point.shortlist is None else f"{point.shortlist:,}"
        interval = "" if one.bleu.interval is None else interval_text(one.bleu.interval)
        settings = [str(point.precision), str(point.beam_size), shortlist]
        rows.append([point.label, *settings, f"{one.bleu.score:.2f}", interval, *speeds])
    peers = () if frontier.peers is None else frontier.peers.points
    for peer in peers:
        speeds = [figure_text(values) for values in (peer.sentences_per_second, peer.milliseconds_per_sentence)]
        rows.append([peer.label, UNKNOWN, str(peer.beam_size), UNKNOWN, f"{peer.bleu:.2f}", "", *speeds])
    title = f"{frontier.test.name} set, {len(frontier.test.src):,} sentences"
    return TitledTable(title, [*headings], rows, table_notes(frontier))


def figure_text(values: Sequence[float]) -> str:
    """Return the median with its spread, which a single value does not have."""
    if not values:
        return UNKNOWN
    return f"{median(values):,.4g}" + (f" ± {spread(list(values)):,.2g}" if len(values) > 1 else "")


def table_notes(frontier: Frontier) -> list[str]:
    """Return the notes that explain the table."""
    notes = [
        f"Medians of {counted(frontier.repeats, 'turn')} after a warm-up, each with every point once. "
        "±: half of the interquartile range.",
        "ms per sentence: median time of a sentence that is translated alone.",
        "*: on the frontier. No other point has at least this BLEU and this speed, except an equal one.",
    ]
    peers = () if frontier.peers is None else frontier.peers.points
    if peers:
        names = "; ".join(peer.label for peer in peers)
        notes.append(
            f"Other toolkits: {names}. Their BLEU is that of their file, and their ms per sentence are means over the "
            "sentences. The mark * does not take them into account."
        )
    signatures: dict[str, list[str]] = {}
    for one in frontier.points:
        signatures.setdefault(one.bleu.signature, []).append(one.point.label)
    for peer in peers:
        signatures.setdefault(peer.signature or "signature not recorded", []).append(peer.label)
    for signature, labels in signatures.items():
        notes.append("BLEU" + (f" of {'; '.join(labels)}" if len(signatures) > 1 else "") + f": {signature}")
    return notes + frontier.machines()


def frontier_record(frontier: Frontier) -> dict[str, Any]:
    """Return the content of frontier.json."""
    best = {name: frontier.on_frontier(name) for name in (SPEED, LATENCY)}
    points = [
        {
            **asdict(one.point),
            "bleu": one.bleu.record(),
            **summary(one.figures),
            "on_frontier": {name: one.point.label in labels for name, labels in best.items()},
        }
        for one in frontier.points
    ]
    record: dict[str, Any] = {
        "test_set": {"sentences": len(frontier.test.src), **frontier.test.identity()},
        "repeats": frontier.repeats,
        "made_by": {key: frontier.provenance[key] for key in MACHINE_KEYS}
        | {"torch": frontier.provenance["libraries"]["torch"]},
        "points": points,
    }
    if frontier.peers is not None:
        record["peers"] = {
            "processor": frontier.peers.machine.processor,
            "other_processor": differs(frontier.peers.machine, frontier.machine),
            "left_out": frontier.peers.left_out,
            "points": [
                {
                    **{key: getattr(peer, key) for key in ("label", "beam_size", "bleu", "signature", "sentences")},
                    **summary({name: getattr(peer, name) for name in (SPEED, LATENCY) if getattr(peer, name)}),
                }
                for peer in frontier.peers.points
            ],
        }
    return record


def write_frontier(frontier: Frontier, folder: Path) -> None:
    """Write frontier.json and frontier.md into a folder."""
    content = json.dumps(frontier_record(frontier), indent=1, ensure_ascii=False)
    (folder / "frontier.json").write_text(content + "\n", encoding="utf-8")
    text = f"# Efficiency frontier\n\n![BLEU against speed](frontier.png)\n\n{markdown(frontier_table(frontier))}"
    (folder / "frontier.md").write_text(text, encoding="utf-8")
