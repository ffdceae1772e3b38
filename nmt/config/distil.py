"""Configuration of the command `distil`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nmt.config.machine import MachineConfig
from nmt.config.root import checkpoint_problems


@dataclass
class DistilConfig:
    """`distil`: write a corpus whose training targets are the translations of a run (Kim and Rush 2016)."""

    run: str
    """Run directory of the teacher."""
    output: str
    """Folder for the new corpus, which must not exist."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs with the same tokenizers, which form an ensemble with the teacher."""
    checkpoint: str = "best"
    """Checkpoint of the teacher: best, last, or average:N, the mean weights of the N latest."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from checkpoint_problems(self.checkpoint)
