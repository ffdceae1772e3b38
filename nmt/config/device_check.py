"""Configuration of the command `device_check`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number
from nmt.config.data import DataConfig


@dataclass
class DeviceCheckConfig:
    """`device_check`: compare losses and speeds of float32, bfloat16 and int8 on one device."""

    output: str
    """New folder for device_check.json and device_check.md."""
    device: str = "cpu"
    """Device to check: cpu, cuda or cuda:N. On cuda, losses are compared with those of the CPU too."""
    data: DataConfig = field(default_factory=DataConfig)
    """Corpus of the second training, in addition to the phrasebook. If its files cannot be had, it is left out."""
    minutes: float = 8
    """Time for all parts. When it is used up, the remaining parts are left out, with a note."""
    threads: int | None = None
    """Number of threads, as `machine.threads`."""
    phrasebook_steps: int = 150
    """Training steps on the phrasebook."""
    steps: int = 300
    """Training steps on the corpus."""
    batch_size: int = 64
    """Sentences per batch of training."""
    hidden_size: int = 256
    """Hidden size of the model; embeddings have half of it."""
    beam_size: int = 5
    """Beam size of decoding."""
    decode_batches: list[int] = field(default_factory=lambda: [1, 64, 512])
    """Batch sizes of decoding."""
    decode_seconds: float = 3
    """Time of each measurement of decoding."""
    bound: float = 0.05
    """Largest relative difference between the losses of two precisions or devices, as means over the last fifth of the
    steps. A larger one makes the command exit with 1."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("threads", "phrasebook_steps", "steps", "batch_size", "hidden_size", "beam_size"):
            yield from number(self, name, 1)
        for name in ("minutes", "decode_seconds", "bound"):
            yield from number(self, name, 0)
        if self.device != "cpu" and not self.device.startswith("cuda"):
            yield "device", f"is {self.device!r}; allowed: cpu, cuda, cuda:N"
        if not self.decode_batches or min(self.decode_batches) < 1:
            yield "decode_batches", f"is {self.decode_batches}; allowed: one or more positive numbers"
