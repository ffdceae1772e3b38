"""Configuration of the command `table`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

TABLE_METRICS = ("bleu", "chrf", "chrfpp", "ter", "rouge_l", "comet")


@dataclass
class TableConfig:
    """`table`: write the table of a paper, scores on every test set with mean and spread over seeds."""

    runs: list[str] = field(default_factory=list)
    """Run directories, or folders that contain some, such as a multirun; words without a key on the command line."""
    metrics: list[str] = field(default_factory=lambda: ["bleu"])
    """Metrics, named as in RUN/scores/SPLIT.json; each gets a table of its own."""
    output: str | None = None
    """Folder for table.md and table.tex, which must not exist; null: print only."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.runs:
            yield "runs", "is empty; name run directories, or folders that hold some: table RUN RUN"
        if not self.metrics or set(self.metrics) - set(TABLE_METRICS):
            yield "metrics", f"is {', '.join(self.metrics) or 'empty'}; allowed: {', '.join(TABLE_METRICS)}"
