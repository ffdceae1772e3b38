"""Configuration of the command `frontier`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.benchmark import BenchmarkConfig, BenchmarkTask
from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.machine import Precision
from nmt.config.root import test_set_name


@dataclass
class FrontierPoint:
    """Point of the frontier: a model with its settings of translation."""

    label: str
    """Unique name in the picture and in the table."""
    run: str
    """Run directory, or a folder of `nmt-export`."""
    precision: Precision = Precision.float32
    """Precision, as `machine.precision`; auto: the fastest here. For an exported folder auto, or its own precision."""
    shortlist: int | None = None
    """Number of target pieces per sentence, as `search.shortlist`; null: all, also if the run has one."""
    beam_size: int = 5
    """Beam size; 1 is greedy search."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.label.strip():
            yield "label", "is empty; give the point a name"
        yield from number(self, "shortlist", 32, 10_000_000)
        yield from number(self, "beam_size", 1)


@dataclass
class FrontierConfig:
    """`frontier`: draw BLEU against the speed of translation."""

    output: str
    """Folder for frontier.json, frontier.md and frontier.png; it must not exist."""
    points: list[FrontierPoint] = field(default_factory=list)
    """Models with their settings of translation. The keys without a default are label and run; the other defaults are
    precision float32, shortlist null and beam_size 5."""
    split: str = "test"
    """Set to translate: valid, test, or a further test set of the corpus."""
    data: DataConfig = field(default_factory=DataConfig)
    """Corpus that has the set of exported folders; the set of a run is stored in the run."""
    repeats: int = 3
    """Number of turns after a warm-up turn. Each turn measures every point once; the median is reported."""
    threads: int | None = None
    """Number of threads, as `machine.threads`."""
    bleu_from: float | None = None
    """Lowest BLEU of the points to draw. Points below it are in the table only, and the caption of the picture names
    them. null: all points are drawn."""
    peers: str | None = None
    """Folder with measurements of other toolkits (docs/peers.md). Those with BLEU are drawn with another marker."""

    def benchmark(self, point: FrontierPoint) -> BenchmarkConfig:
        """Return the settings of the benchmark of a point."""
        return BenchmarkConfig(
            BenchmarkTask.decode,
            data=self.data,
            run=point.run,
            precision=point.precision,
            threads=self.threads,
            beam_size=point.beam_size,
            shortlist=point.shortlist,
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        labels = [point.label for point in self.points]
        if not labels:
            yield "points", "is empty; give at least one as 'points=[{label:NAME,run:RUN}]'"
        for label in dict.fromkeys(labels):
            if labels.count(label) > 1:
                yield "points", f"has the label {label!r} twice; give each point its own"
        yield from test_set_name(self)
        for name in ("repeats", "threads"):
            yield from number(self, name, 1)
        yield from number(self, "bleu_from", 0, 100)
