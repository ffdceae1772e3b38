"""What `distil` needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nmt.config.root import MachineConfig, checkpoint_problems


@dataclass
class DistilConfig:
    """`distil`: a corpus whose training targets are a run's translations (Kim and Rush 2016)."""

    run: str
    """The run directory of the teacher."""
    output: str
    """Folder for the new corpus, which must not exist."""
    ensemble: list[str] = field(default_factory=list)
    """Further runs of the same tokenizers, which teach together with the first one."""
    checkpoint: str = "best"
    """best, last, or average:N, as in translating."""
    search: dict[str, Any] = field(default_factory=dict)
    """What differs from the run's own search; `with_search` puts the two together."""
    machine: MachineConfig = field(default_factory=MachineConfig)

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from checkpoint_problems(self.checkpoint)
