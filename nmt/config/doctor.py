"""Configuration of the command `doctor`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number
from nmt.config.data import DataConfig
from nmt.config.machine import MachineConfig
from nmt.config.model import ModelConfig, Tying


@dataclass
class DoctorConfig:
    """`doctor`: check a corpus before training on it."""

    data: DataConfig = field(default_factory=DataConfig)
    """Corpus to check."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Model that is trained to overfit one batch."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""
    seed: int = 1
    """Seed of the model weights and of the pairs sampled for checks that do not read the whole corpus."""
    sample: int = 20_000
    """Maximum number of training pairs for training the tokenizer of the checks."""
    overfit_steps: int = 300
    """Maximum number of steps for overfitting one batch; 0 skips this check."""
    overfit_seconds: float = 60.0
    """Maximum time for overfitting one batch, in seconds."""
    output: str | None = None
    """Folder for doctor.md and doctor.json, which must not exist; null: print only."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "seed", 0, 2**63 - 1)
        yield from number(self, "sample", 100)
        yield from number(self, "overfit_steps", 0)
        yield from number(self, "overfit_seconds", 0)
        if self.model.tying == Tying.three_way and not self.data.tokenizer.joint:
            yield (
                "model.tying",
                "is three_way, which needs data.tokenizer.joint=true; use two_way, or a joint vocabulary",
            )
