"""What `scripts/benchmark.py` measures, and on what."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.root import MachineConfig, Precision


class Task(StrEnum):
    train = "train"
    decode = "decode"
    prepare = "prepare"
    startup = "startup"
    checkpoint = "checkpoint"


class Variant(StrEnum):
    default = "default"
    input_feeding = "input_feeding"


@dataclass
class BenchmarkConfig:
    """`benchmark`: figures of speed, in base units."""

    task: Task
    """What to measure; the first word on the command line."""
    data: DataConfig = field(default_factory=DataConfig)
    run: str | None = None
    """decode, startup: the run to translate with; decode without one takes an untrained model."""
    variant: Variant = Variant.default
    """The decoder: the whole sequence at once, or with input feeding, step by step."""
    precision: Precision = Precision.auto
    """As in `machine.precision`, but that auto is the fastest for decode too: int8 where the processor has it."""
    threads: int | None = None
    """As in `machine.threads`."""
    batch_size: int | None = None
    """Sentences a batch; null: 128 in training, the run's or the default in decoding."""
    beam_size: int = 5
    """decode: 1 is greedy search."""
    steps: int = 20
    """Training steps a repetition."""
    repeats: int = 5
    """Repetitions, of which the median counts, after one that does not."""
    neighbours: int = 0
    """Number of other processes that keep one core busy each while the first configuration is measured. Without `vs`,
    the same configuration without neighbours is the second: the ratio is the share of the quiet speed that is kept."""
    versus: list[str] = field(default_factory=list)
    """Settings of a second configuration, measured in turns with the first: what stands behind the word `vs`."""
    output: str | None = None
    """File for the figures as JSON, besides the table."""

    def machine(self) -> MachineConfig:
        return MachineConfig(device="cpu", precision=self.precision, threads=self.threads)

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("threads", "batch_size", "beam_size", "steps", "repeats"):
            yield from number(self, name, 1)
        yield from number(self, "neighbours", 0, 1024)
        if any(setting.startswith("threads=") for setting in self.versus):
            yield "versus", "sets threads, which are one for the whole process; measure one number after the other"
        if self.precision == Precision.int8 and self.task != Task.decode:
            yield "precision", f"is int8 and the task {self.task}; allowed there: auto, float32, bfloat16"
        if self.task == Task.startup and self.run is None:
            yield "run", "is missing; startup measures a trained run: run=RUN"
