"""Tracking of metrics in RUN/metrics.jsonl and Weights & Biases. This is the only file that imports wandb."""

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
from nmt.data import MAX_LINE_BYTES
from nmt.errors import UserError, first_line

log = logging.getLogger(__name__)


class JsonLines:
    """File with one JSON object per line, in order of the step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pending = ""
        """Lines that could not be written yet."""

    def rewind(self, step: int) -> int:
        """Delete the lines of later steps and an incomplete last line; training continues after this step.

        Returns:
            the last step of the file before, or `step` if there was no later one.
        """
        last = step
        if not self.path.exists():
            return last
        temporary = self.path.with_suffix(".tmp")
        with self.path.open("rb") as lines, temporary.open("wb") as kept:
            while line := lines.readline(MAX_LINE_BYTES):
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    at = json.loads(line)["step"]
                    if isinstance(at, int):
                        last = max(last, at)
                    if at <= step:
                        kept.write(line.removesuffix(b"\n") + b"\n")
        os.replace(temporary, self.path)
        return last

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a line. If that fails, as on a full disk, the line is written with a later one."""
        warned = bool(self.pending)
        self.pending += json.dumps({"step": step, **metrics}) + "\n"
        try:
            self.flush()
        except UserError as error:
            if not warned:
                log.warning("%s. Training continues, and the lines are written later", error)

    def flush(self) -> None:
        """Write the pending lines.

        Raises:
            UserError: writing failed; the file is unchanged.
        """
        if not self.pending:
            return
        end = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(self.pending)
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, end)
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        self.pending = ""


class Tracker:
    """Tracking in metrics.jsonl and wandb. If wandb fails, one warning is logged and training continues without it."""

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        """
        Args:
            folder: the run directory.
            config: mode and names.
            run_config: configuration that wandb shows for the run.
        """
        self.lines = JsonLines(folder / "metrics.jsonl")
        self.wandb: Any = None
        if config.mode != TrackingMode.disabled:
            self.guarded(lambda: self.start_wandb(folder, config, run_config))

    def start_wandb(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        """Start or continue the wandb run of this run directory, whose identity is stored in `wandb_id`.

        Offline, wandb does not continue a run: each start is a segment of its own under the same identity.
        """
        import wandb  # takes 0.8 s, which a run with tracking.mode=disabled does not need

        identity = folder / "wandb_id"
        if not identity.exists():
            identity.write_text(secrets.token_hex(4), encoding="utf-8")
        name = identity.read_text(encoding="utf-8").strip()
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):  # wandb uses it as the name of a folder
            raise ValueError(f"{identity} does not hold an identity; delete it")
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
        """Call wandb, and turn wandb off if it raises."""
        try:
            action()
        except Exception as error:  # an error of wandb must not end a training
            self.wandb = None
            log.warning("wandb failed and is off for the rest of this start: %s", first_line(error))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of a step, with keys like `train/loss`."""
        self.lines.write(step, metrics)
        if self.wandb is not None:
            self.guarded(lambda: self.wandb.log(dict(metrics), step=step))

    def summary(self, numbers: Mapping[str, float]) -> None:
        """Write metrics of the whole run, such as the test scores, to wandb."""
        if self.wandb is not None:
            self.guarded(lambda: self.wandb.summary.update(dict(numbers)))

    def flush(self) -> None:
        """Write the pending lines of metrics.

        Raises:
            UserError: writing failed.
        """
        self.lines.flush()

    def rewind(self, step: int) -> None:
        """Delete the metrics of later steps; wandb cannot delete its own, and a message says so."""
        last = self.lines.rewind(step)
        if last > step and self.wandb is not None:
            log.warning(
                "wandb keeps its values of steps %d to %d from before and ignores new ones; metrics.jsonl has the new "
                "ones. For a wandb run of its own, delete wandb_id in the run directory before continuing",
                step + 1,
                last,
            )

    def close(self) -> None:
        if self.wandb is not None:
            self.guarded(self.wandb.finish)
            self.wandb = None


class NoTracker(Tracker):
    """Tracker of the ranks above 0, which write nothing."""

    def __init__(self) -> None:
        self.wandb = None

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def flush(self) -> None: ...

    def rewind(self, step: int) -> None: ...
