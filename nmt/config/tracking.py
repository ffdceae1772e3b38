"""Configuration of experiment tracking: `tracking.*`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class TrackingBackend(StrEnum):
    """Experiment trackers."""

    wandb = "wandb"
    trackio = "trackio"
    tensorboard = "tensorboard"


class TrackingMode(StrEnum):
    """Modes of an experiment tracker."""

    online = "online"
    offline = "offline"
    disabled = "disabled"


@dataclass
class TrackingConfig:
    """Experiment tracker. Metrics are always printed and written to RUN/metrics.jsonl as well."""

    backend: TrackingBackend = TrackingBackend.wandb
    """Tracker: wandb (Weights & Biases); trackio and tensorboard need the extra of that name."""
    mode: TrackingMode = TrackingMode.offline
    """Mode. online: wandb only; offline (default): kept in the run directory without an account, for wandb uploaded
    later by `wandb sync`; disabled."""
    project: str = "nmt"
    """Project."""
    entity: str | None = None
    """Account or team of wandb; null: the default of the account."""
    name: str | None = None
    """Name of the run; null: name of the run directory."""
    group: str | None = None
    """Group of runs, for sweeps and seeds; null: name of the multirun, if any."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.backend == TrackingBackend.wandb:
            return
        if self.mode == TrackingMode.online:
            yield "mode", f"is online, which backend={self.backend} does not support; use offline, or backend=wandb"
        if self.entity is not None:
            yield "entity", f"is given, which backend={self.backend} does not support; remove it, or use backend=wandb"
