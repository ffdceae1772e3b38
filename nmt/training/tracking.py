"""Where a run's numbers go: RUN/metrics.jsonl and Weights & Biases. The only file that imports wandb."""

import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nmt.config import TrackingConfig, TrackingMode
from nmt.data import MOST_IN_A_LINE
from nmt.errors import UserError, first_line

log = logging.getLogger(__name__)


class JsonLines:
    """One JSON object a line, in order of the step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting = ""
        """Lines that could not be written yet."""

    def rewind(self, step: int) -> None:
        """Drops lines of later steps, and half a line at the end: training goes on after this step."""
        if not self.path.exists():
            return
        temporary = self.path.with_suffix(".tmp")
        with self.path.open("rb") as lines, temporary.open("wb") as kept:
            while line := lines.readline(MOST_IN_A_LINE):
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    if json.loads(line)["step"] <= step:
                        kept.write(line.removesuffix(b"\n") + b"\n")
        os.replace(temporary, self.path)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds a line; where that fails, as on a full disk, it waits for the next one."""
        told = bool(self.waiting)
        self.waiting += json.dumps({"step": step, **metrics}) + "\n"
        try:
            self.flush()
        except UserError as error:
            if not told:
                log.warning("%s. Training goes on, and the lines wait", error)

    def flush(self) -> None:
        """Writes the lines that wait.

        Raises:
            UserError: that failed; the file is as before.
        """
        if not self.waiting:
            return
        end = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(self.waiting)
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, end)
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        self.waiting = ""


class Tracker:
    """Both of them; a failure of wandb is a warning, once, and training goes on without it."""

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        """
        Args:
            folder: the run directory.
            config: mode and names.
            run_config: what wandb shows as the run's configuration.
        """
        self.lines = JsonLines(folder / "metrics.jsonl")
        self.wandb: Any = None
        if config.mode != TrackingMode.disabled:
            self.guarded(lambda: self.start_wandb(folder, config, run_config))

    def start_wandb(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        """Starts or continues the wandb run of this run directory: its identity is kept in `wandb_id`.

        Offline, wandb does not continue a run: each start is a segment of its own, all under one identity.
        """
        import wandb  # takes 0.8 s, which a run with tracking.mode=disabled need not pay

        identity = folder / "wandb_id"
        if not identity.exists():
            identity.write_text(secrets.token_hex(4), encoding="utf-8")
        name = identity.read_text(encoding="utf-8").strip()
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):  # wandb makes the name of a folder of it
            raise ValueError(f"{identity} holds no identity; delete it")
        self.wandb = wandb.init(
            id=name,
            dir=str(folder),
            mode=config.mode.value,
            resume="allow" if config.mode == TrackingMode.online else None,
            project=config.project,
            entity=config.entity,
            name=config.name or folder.name,
            group=config.group,
            config=run_config,
            settings=wandb.Settings(silent=True, console="off", init_timeout=60),
        )

    def guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # whatever wandb raises must not end a training
            self.wandb = None
            log.warning("wandb failed and is off for the rest of this start: %s", first_line(error))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes numbers of a step, with keys like `train/loss`."""
        self.lines.write(step, metrics)
        if self.wandb is not None:
            self.guarded(lambda: self.wandb.log(dict(metrics), step=step))

    def summary(self, numbers: Mapping[str, float]) -> None:
        """Writes numbers of the whole run, such as the test scores, to wandb."""
        if self.wandb is not None:
            self.guarded(lambda: self.wandb.summary.update(dict(numbers)))

    def flush(self) -> None:
        """Writes lines of metrics that wait.

        Raises:
            UserError: that failed.
        """
        self.lines.flush()

    def rewind(self, step: int) -> None:
        """Drops lines of metrics of later steps."""
        self.lines.rewind(step)

    def close(self) -> None:
        if self.wandb is not None:
            self.guarded(self.wandb.finish)
            self.wandb = None


class NoTracker(Tracker):
    """Of a process that leaves the writing to the first one."""

    def __init__(self) -> None:
        self.wandb = None

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def flush(self) -> None: ...

    def rewind(self, step: int) -> None: ...
