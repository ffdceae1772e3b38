"""Configuration of experiment tracking: `tracking.*`."""

from dataclasses import dataclass
from enum import StrEnum


class TrackingMode(StrEnum):
    """Modes of Weights & Biases."""

    online = "online"
    offline = "offline"
    disabled = "disabled"


@dataclass
class TrackingConfig:
    """Weights & Biases. Metrics are always printed and written to RUN/metrics.jsonl as well."""

    mode: TrackingMode = TrackingMode.offline
    """Mode. online; offline (default): kept in the run directory without an account, and uploaded later by `wandb
    sync`; disabled."""
    project: str = "nmt"
    """Project."""
    entity: str | None = None
    """Account or team; null: the default of the account."""
    name: str | None = None
    """Name of the run; null: name of the run directory."""
    group: str | None = None
    """Group of runs, for sweeps and seeds; null: name of the multirun, if any."""
