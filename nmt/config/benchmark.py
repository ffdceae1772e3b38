"""What `scripts/benchmark.py` measures, and on what."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.root import MachineConfig, Precision


class Task(StrEnum):
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
    variant: Variant = Variant.default
    """The decoder: the whole sequence at once, or with input feeding, step by step."""
    precision: Precision = Precision.auto
    """As in `machine.precision`."""
    threads: int | None = None
    """As in `machine.threads`."""
    batch_size: int = 128
    """Sentences a batch."""
    steps: int = 20
    """Training steps a repetition."""
    repeats: int = 5
    """Repetitions, of which the median counts, after one that does not."""
    output: str | None = None
    """File for the figures as JSON, besides the table."""

    def machine(self) -> MachineConfig:
        return MachineConfig(device="cpu", precision=self.precision, threads=self.threads)

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("threads", "batch_size", "steps", "repeats"):
            yield from number(self, name, 1)
