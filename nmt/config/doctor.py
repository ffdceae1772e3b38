"""What `doctor` needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.model import ModelConfig, Tying
from nmt.config.root import MachineConfig


@dataclass
class DoctorConfig:
    """`doctor`: a corpus before it is trained on."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    """The model that has to learn one batch by heart."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    seed: int = 1
    """Which pairs are drawn for the checks that do not look at all, and the model's weights."""
    sample: int = 20_000
    """Training pairs that the tokenizer of the checks is trained on at the most."""
    overfit_steps: int = 300
    """Steps that the model has to learn one batch by heart; 0: leave that out."""
    overfit_seconds: float = 60.0
    """Time that it has, in seconds."""
    output: str | None = None
    """Folder for doctor.md and doctor.json, which must not exist."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "seed", 0, 2**63 - 1)
        yield from number(self, "sample", 100)
        yield from number(self, "overfit_steps", 0)
        yield from number(self, "overfit_seconds", 0)
        if self.model.tying == Tying.three_way and not self.data.tokenizer.joint:
            yield "model.tying", "is three_way and data.tokenizer.joint false; use two_way, or a joint vocabulary"
