"""Where the numbers of a run go, besides its own directory."""

from dataclasses import dataclass
from enum import StrEnum


class TrackingMode(StrEnum):
    online = "online"
    offline = "offline"
    disabled = "disabled"


@dataclass
class TrackingConfig:
    """Weights & Biases. The console and RUN/metrics.jsonl are always on."""

    mode: TrackingMode = TrackingMode.offline
    """offline: kept in the run directory, no account needed; `wandb sync` sends it later."""
    project: str = "nmt"
    entity: str | None = None
    """Account or team; null: the default of the account."""
    name: str | None = None
    """Name of the run; null: the run directory's."""
    group: str | None = None
    """Group of runs, for sweeps and seeds."""
