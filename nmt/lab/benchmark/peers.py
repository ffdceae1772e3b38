"""Measurements of other toolkits, read from a folder and printed beside those of this one.

FOLDER/measurements.jsonl   one JSON object per measurement; docs/peers.md has the keys
FOLDER/machine.json         the machine they were made on, as `benchmark.py ... output=FOLDER/machine.json` writes it
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from nmt.data import read_all, read_json
from nmt.errors import UserError

MEASUREMENTS, MACHINE = "measurements.jsonl", "machine.json"
TRAINING, PIECES, LATENCY = "target_tokens_per_second", "pieces_per_second", "milliseconds_per_piece"
UNITS = {TRAINING: "target pieces/s", PIECES: "target pieces/s", LATENCY: "ms per target piece"}
PEAK = "matmul_peak_flops_float32"
MOST_FOREIGN = 0.05
"""Share of the machine that other processes may have taken; measurements beside more are left out."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkMachine:
    """Machine of measurements."""

    processor: str = ""
    """Name of the processor; empty if it is unknown."""
    peak: float = 0.0
    """Peak of float32 matrix products in FLOP/s; 0 if it is unknown."""

    def __str__(self) -> str:
        peak = f"{self.peak / 1e9:,.0f} GFLOP/s in float32 products" if self.peak else "peak unknown"
        return f"{self.processor or 'processor unknown'}, {peak}"


@dataclass
class PeerFigures:
    """Repeated measurements of one figure of one toolkit."""

    values: list[float] = field(default_factory=list)
    """The figure, one value per measurement."""
    flops_per_piece: float | None = None
    """Useful floating-point operations per target piece; None if the file does not say."""


@dataclass(frozen=True)
class Peers:
    """Measurements of a folder."""

    machine: BenchmarkMachine
    figures: Mapping[str, Mapping[str, PeerFigures]]
    """Values by name of the figure and name of the toolkit."""
    left_out: int
    """Number of measurements that were made beside other busy processes."""


class MeasuredElsewhere(Protocol):
    """Measurements of other toolkits, in any form."""

    @property
    def machine(self) -> BenchmarkMachine:
        """Machine of the measurements."""

    @property
    def left_out(self) -> int:
        """Number of measurements that were made beside other busy processes."""


def read_peers(folder: Path, beam_size: int) -> Peers:
    """Read the measurements of training and of decoding with a beam size.

    Decoding is measured in target pieces, because the toolkits' outputs differ in length.

    Raises:
        UserError: a file is missing, or a line is not a measurement; the error names file, line and key.
    """
    figures: dict[str, dict[str, PeerFigures]] = {name: {} for name in UNITS}
    left_out = 0
    for row in measurement_lines(folder):
        measured = row.figure(beam_size)
        if measured is None:
            continue
        if row.disturbed:
            left_out += 1
            continue
        name, value = measured
        of_peer = figures[name].setdefault(row.label, PeerFigures())
        of_peer.values.append(value)
        if "flops_per_piece" in row.content:
            of_peer.flops_per_piece = row.number("flops_per_piece")
    return Peers(read_machine(folder / MACHINE), figures, left_out)


def measurement_lines(folder: Path) -> Iterator["MeasurementLine"]:
    """Yield the lines of the measurements of a folder.

    Raises:
        UserError: the file is missing, or a line is not a JSON object.
    """
    path = folder / MEASUREMENTS
    if not path.is_file():
        raise UserError(f"peers={folder} has no {MEASUREMENTS}; name the folder that has it (docs/peers.md)")
    for number, line in enumerate(read_all(path), start=1):
        if line.strip():
            yield MeasurementLine.of(line, f"{path}, line {number}")


def read_machine(path: Path) -> BenchmarkMachine:
    """Read the machine of the measurements; an absent file gives an unknown one.

    Raises:
        UserError: the file is not what `benchmark.py` writes.
    """
    if not path.is_file():
        return BenchmarkMachine()
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}; write it with benchmark.py output={path}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a JSON object; write it with benchmark.py output={path}")
    row = MeasurementLine(content, str(path))
    return BenchmarkMachine(row.text("processor", ""), row.number(PEAK, 0.0))


@dataclass(frozen=True)
class MeasurementLine:
    """A JSON object whose values are checked when they are read."""

    content: Mapping[str, Any]
    place: str
    """File and line, for errors."""

    @classmethod
    def of(cls, line: str, place: str) -> "MeasurementLine":
        """Read a line; raise UserError if it is not a JSON object."""
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{place} is not JSON; correct or remove the line") from None
        if not isinstance(content, dict):
            raise UserError(f"{place} is not a JSON object; correct or remove the line")
        return cls(content, place)

    @property
    def label(self) -> str:
        """Name of the toolkit, with the note of the line."""
        note = self.text("note", "")
        return self.text("peer") + (f" ({note})" if note else "")

    @property
    def disturbed(self) -> bool:
        """True if other processes took more than `MOST_FOREIGN` of the machine."""
        return self.number("foreign", 0.0) > MOST_FOREIGN

    def figure(self, beam_size: int) -> tuple[str, float] | None:
        """Return name and value of the measured figure; None if the line has no value, or another beam size."""
        stage = self.text("stage")
        if stage in ("throughput", "train"):
            clean = self.content.get("clean_tok_s")
            key = "tok_s" if clean is None else "clean_tok_s"
            return None if self.content.get(key) is None else (TRAINING, self.positive(key))
        if stage != "decode":
            raise UserError(f"{self.place}: stage is {stage!r:.80}; allowed: throughput, train, decode")
        if self.number("beam") != beam_size:
            return None
        seconds, pieces = self.positive("decode_s"), self.positive("out_pieces")
        return (LATENCY, 1000 * seconds / pieces) if self.number("batch") == 1 else (PIECES, pieces / seconds)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; raise UserError if it is missing without a default, or not a text."""
        value = self.value(key, default)
        if not isinstance(value, str):
            raise UserError(f"{self.place}: {key} is {value!r:.80}; allowed: text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number of at least 0; raise UserError if it is missing without a default, or another value."""
        value = self.value(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise UserError(f"{self.place}: {key} is {value!r:.80}; allowed: numbers from 0")
        return float(value)

    def positive(self, key: str) -> float:
        """Return a number above 0; raise UserError for another value."""
        value = self.number(key)
        if value == 0:
            raise UserError(f"{self.place}: {key} is 0; allowed: numbers above 0")
        return value

    def value(self, key: str, default: object) -> object:
        """Return a value; raise UserError if it is missing and there is no default."""
        if key not in self.content and default is None:
            raise UserError(f"{self.place} has no key {key}; docs/peers.md has the keys of a measurement")
        return self.content.get(key, default)


def peer_rows(
    peers: Peers, name: str, ours: Sequence[float], flops_per_piece: float | None, machine: BenchmarkMachine
) -> list[list[str]]:
    """Return the table of one figure: this toolkit, then the others from best to worst.

    Args:
        peers: the measurements.
        name: name of the figure.
        ours: values of this toolkit.
        flops_per_piece: useful floating-point operations per target piece of this toolkit; None if unknown.
        machine: the machine of `ours`.

    Returns:
        Per row: toolkit, median, number of measurements, ratio (above 1: this toolkit is faster; only on the same
        processor), and utilisation: useful FLOP/s divided by the peak of the machine, where both are known.
    """
    best_first = sorted(peers.figures[name].items(), key=lambda item: median(item[1].values), reverse=name != LATENCY)
    middle = median(ours)
    rows = [["nmt", f"{middle:,.4g}", str(len(ours)), "", utilisation(name, middle, flops_per_piece, machine.peak)]]
    for peer, figures in best_first:
        value = median(figures.values)
        ratio = value / middle if name == LATENCY else middle / value
        shown = "" if differs(peers.machine, machine) else f"{ratio:.2f}"
        used = utilisation(name, value, figures.flops_per_piece, peers.machine.peak)
        rows.append([peer, f"{value:,.4g}", str(len(figures.values)), shown, used])
    return rows


def utilisation(name: str, value: float, flops_per_piece: float | None, peak: float) -> str:
    """Return useful FLOP/s as a share of the peak, or nothing if they are unknown."""
    if flops_per_piece is None or not peak:
        return ""
    return f"{flops_per_piece * (1000 / value if name == LATENCY else value) / peak:.0%}"


def differs(one: BenchmarkMachine, other: BenchmarkMachine) -> bool:
    """Return whether the processors of two machines are known and differ."""
    return bool(one.processor and other.processor) and one.processor != other.processor


def warn_of_machines(peers: MeasuredElsewhere, machine: BenchmarkMachine, folder: Path) -> None:
    """Warn if the peers were measured on another processor or an unknown one, or beside busy processes."""
    if not peers.machine.processor:
        log.warning(
            "%s has no %s with the processor of the peers: ratios hold only if it is this one (%s). Write the file on "
            "that machine with benchmark.py output=FILE",
            folder,
            MACHINE,
            machine.processor or "unknown",
        )
    elif differs(peers.machine, machine):
        log.warning(
            "the peers were measured on another processor (%s) than this one (%s): speeds are not comparable, only "
            "utilisation is",
            peers.machine.processor,
            machine.processor,
        )
    if peers.left_out:
        log.warning(
            "%d measurements of %s are left out, because other processes took over %.0f %% of the machine",
            peers.left_out,
            folder,
            100 * MOST_FOREIGN,
        )
