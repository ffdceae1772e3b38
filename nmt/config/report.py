"""Configuration of the command `report`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number, one_of
from nmt.config.machine import MachineConfig


@dataclass
class ReportConfig:
    """`report`: write a web page about a run, its model card, and the appendix of a paper."""

    run: str
    """Run directory."""
    split: str = "test"
    """Split to report on, valid or test; `evaluate` must have written its translations to the run."""
    examples: int = 2
    """Number of example sentences per kind: best, median and worst by sentence chrF."""
    random_examples: int = 4
    """Number of further example sentences, sampled at random."""
    seed: int = 1
    """Seed of the random examples."""
    output: str | None = None
    """Folder for report.html, model_card.md, appendix.md and appendix.tex, which must not have these files; null: the
    run, where they are overwritten."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from one_of(self, "split", ("valid", "test"))
        yield from number(self, "examples", 0, 100)
        yield from number(self, "random_examples", 0, 100)
        yield from number(self, "seed", 0, 2**63 - 1)
