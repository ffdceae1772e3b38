"""Configuration of the command `benchmark`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.machine import MachineConfig, Precision
from nmt.config.side import CELLS, CellKind

TRANSFORMER = "transformer"
"""Name of the Transformer among the decoders to measure."""
COMPARED_DECODERS = (
    *(CellKind.lstm, CellKind.gru, CellKind.ssru, CellKind.sru, CellKind.min_lstm, CellKind.min_gru, CellKind.rg_lru),
    *(CellKind.slstm, CellKind.mlstm, CellKind.gated_delta, TRANSFORMER),
)
MOST_TOKENS = 100_000
"""Largest length of a target to measure."""


class BenchmarkTask(StrEnum):
    """Quantities to measure."""

    train = "train"
    decode = "decode"
    prepare = "prepare"
    startup = "startup"
    checkpoint = "checkpoint"
    recurrences = "recurrences"


class Variant(StrEnum):
    """Decoders to measure."""

    default = "default"
    input_feeding = "input_feeding"


@dataclass
class BenchmarkConfig:
    """`benchmark`: measure speed, reported in base units."""

    task: BenchmarkTask
    """Quantity to measure; the first word on the command line."""
    data: DataConfig = field(default_factory=DataConfig)
    """Corpus to train on, decode and preprocess."""
    run: str | None = None
    """decode, startup: run to translate with, for decode also a folder of `nmt-export`; null: decode with an untrained
    model."""
    variant: Variant = Variant.default
    """Decoder: default, which processes the whole sequence at once, or input_feeding, which runs step by step."""
    precision: Precision = Precision.auto
    """Precision, as `machine.precision`; auto selects the fastest for decode as well: int8 on processors that support
    it."""
    threads: int | None = None
    """Number of threads, as `machine.threads`."""
    batch_size: int | None = None
    """Sentences per batch; null: 128 for training, the value of the run or the default for decoding."""
    beam_size: int = 5
    """decode: beam size; 1 is greedy search."""
    shortlist: int | None = None
    """decode: number of target pieces per sentence, as `search.shortlist`; null: all, also if the run has one."""
    steps: int = 20
    """Training steps per repetition."""
    repeats: int = 5
    """Number of repetitions after a warm-up; the median is reported."""
    neighbours: int = 0
    """Number of other processes that each keep one core busy while the first configuration is measured. Without `vs`,
    the second configuration is the same without neighbours, so that the ratio is the share of the speed that
    remains."""
    versus: list[str] = field(default_factory=list)
    """Settings of a second configuration, measured in alternation with the first: the words after `vs`."""
    peers: str | None = None
    """train, decode: folder with measurements of other toolkits (docs/peers.md). They are printed beside the figures of
    the first configuration, in target pieces/s."""
    decoders: list[str] = field(default_factory=lambda: [str(name) for name in COMPARED_DECODERS])
    """recurrences: decoders to measure, by their cell, or transformer."""
    lengths: list[int] = field(default_factory=lambda: [16, 64, 256, 1024])
    """recurrences: numbers of source and target tokens."""
    output: str | None = None
    """JSON file for the results, in addition to the table."""
    picture: str | None = None
    """recurrences: PNG file for the figures by length."""

    def machine(self) -> MachineConfig:
        """Return the machine configuration for the measurement."""
        return MachineConfig(device="cpu", precision=self.precision, threads=self.threads)

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("threads", "batch_size", "beam_size", "steps", "repeats"):
            yield from number(self, name, 1)
        yield from number(self, "shortlist", 32, 10_000_000)
        yield from number(self, "neighbours", 0, 1024)
        for name in self.decoders:
            if name != TRANSFORMER and name not in CELLS.names:
                yield "decoders", f"has {name!r}; allowed: {', '.join(CELLS.names)}, {TRANSFORMER}"
        if not self.decoders or not self.lengths:
            yield "decoders" if not self.decoders else "lengths", "is empty; give at least one"
        for length in self.lengths:
            if not 1 <= length <= MOST_TOKENS:
                yield "lengths", f"has {length}; allowed: from 1 to {MOST_TOKENS:,}"
        if self.picture is not None and self.task != BenchmarkTask.recurrences:
            yield "picture", f"is given, but the task {self.task} draws none; leave it out"
        if any(setting.startswith("threads=") for setting in self.versus):
            yield "versus", "sets threads, which apply to the whole process; run one benchmark per number of threads"
        if self.precision == Precision.int8 and self.task != BenchmarkTask.decode:
            yield "precision", f"is int8, which the task {self.task} does not support; allowed: auto, float32, bfloat16"
        if self.peers is not None and self.task not in (BenchmarkTask.train, BenchmarkTask.decode):
            yield "peers", f"is given for the task {self.task}; allowed with train and decode"
        if self.task == BenchmarkTask.startup and self.run is None:
            yield "run", "is missing; the task startup needs a trained run: run=RUN"
