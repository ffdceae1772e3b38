"""What `report` needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number, one_of
from nmt.config.root import MachineConfig


@dataclass
class ReportConfig:
    """`report`: a run as a page to read, and its model card."""

    run: str
    """The run directory."""
    split: str = "test"
    """valid or test: whose sentences are shown and judged, as `evaluate` left their translations in the run."""
    examples: int = 2
    """Sentences of each kind: best, median and worst by chrF of the sentence ..."""
    random_examples: int = 4
    """... and drawn at random from the others."""
    seed: int = 1
    """Of the draw."""
    output: str | None = None
    """Folder for report.html and model_card.md, which must not be there; null: the run, where both are rewritten."""
    machine: MachineConfig = field(default_factory=MachineConfig)

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from one_of(self, "split", ("valid", "test"))
        yield from number(self, "examples", 0, 100)
        yield from number(self, "random_examples", 0, 100)
        yield from number(self, "seed", 0, 2**63 - 1)
