"""Tracking of metrics in RUN/metrics.jsonl and in an experiment tracker: wandb, trackio or TensorBoard.

This is the only file that imports these three, each when it is used.
"""

import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from nmt.config import TrackingBackend, TrackingConfig, TrackingMode
from nmt.data import MAX_LINE_BYTES
from nmt.errors import UserError, first_line
from nmt.run import installed

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


class Backend(Protocol):
    """An experiment tracker that is open for one run. The constructor starts or continues the run."""

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None: ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def summary(self, numbers: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


def identity_of(folder: Path) -> str:
    """Return the identity of a run for its tracker, from RUN/wandb_id, which is written at the first start."""
    path = folder / "wandb_id"
    if not path.exists():
        path.write_text(secrets.token_hex(4), encoding="utf-8")
    identity = path.read_text(encoding="utf-8").strip()
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", identity):  # wandb uses it as the name of a folder
        raise ValueError(f"{path} does not hold an identity; delete it")
    return identity


class WandbBackend:
    """Weights & Biases.

    Offline, wandb does not continue a run: each start is a segment of its own under the same identity.
    """

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        import wandb  # takes 0.8 s, which a run with tracking.mode=disabled does not need

        self.run = wandb.init(
            id=identity_of(folder),
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

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log(dict(metrics), step=step)

    def summary(self, numbers: Mapping[str, float]) -> None:
        self.run.summary.update(dict(numbers))

    def close(self) -> None:
        self.run.finish()


class TrackioBackend:
    """trackio, with its database where all runs of the user are: $TRACKIO_DIR, or ~/.cache/huggingface/trackio."""

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        import trackio

        self.finish = trackio.finish  # unlike that of the run, it is not repeated at the end of the process
        with redirect_stdout(StringIO()):  # standard output is for results
            self.run = trackio.init(
                project=config.project,
                name=f"{config.name or folder.name}-{identity_of(folder)}",  # trackio continues a run of an equal name
                group=config.group,
                config=run_config,
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log(dict(metrics), step=step)

    def summary(self, numbers: Mapping[str, float]) -> None:
        self.run.log(dict(numbers))

    def close(self) -> None:
        with redirect_stdout(StringIO()):
            self.finish()


class TensorboardBackend:
    """TensorBoard, with its event files in RUN/tensorboard. Each start adds a file."""

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        from tensorboard.summary import Writer

        self.writer = Writer(str(folder / "tensorboard"))
        self.step = 0

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.step = step
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()  # a training that is killed keeps its numbers

    def summary(self, numbers: Mapping[str, float]) -> None:
        self.log(self.step, numbers)

    def close(self) -> None:
        self.writer.close()


BACKENDS: dict[TrackingBackend, type[Backend]] = {
    TrackingBackend.wandb: WandbBackend,
    TrackingBackend.trackio: TrackioBackend,
    TrackingBackend.tensorboard: TensorboardBackend,
}


def check_backend(config: TrackingConfig) -> None:
    """Check that the package of the backend is installed, without importing it.

    Raises:
        UserError: it is not.
    """
    name = config.backend.value
    if config.mode != TrackingMode.disabled and installed(name) is None:
        package = name if config.backend == TrackingBackend.wandb else f"'nmt-recurrent[{name}]'"
        raise UserError(
            f"tracking.backend={name} needs the package {name}; install it with: pip install {package}, or set "
            "tracking.mode=disabled"
        )


class Tracker:
    """Tracking in metrics.jsonl and one backend. If the backend fails, a warning is logged and training continues."""

    def __init__(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        """
        Args:
            folder: the run directory.
            config: backend, mode and names.
            run_config: configuration that the backend shows for the run.

        Raises:
            UserError: the package of the backend is not installed.
        """
        check_backend(config)
        self.lines = JsonLines(folder / "metrics.jsonl")
        self.name = config.backend.value
        self.backend: Backend | None = None
        if config.mode != TrackingMode.disabled:
            self.guarded(lambda: self.start(folder, config, run_config))

    def start(self, folder: Path, config: TrackingConfig, run_config: dict[str, Any]) -> None:
        self.backend = BACKENDS[config.backend](folder, config, run_config)

    def guarded(self, action: Callable[[], object]) -> None:
        """Call the backend, and turn it off if it raises."""
        try:
            action()
        except Exception as error:  # an error of the backend must not end a training
            self.backend = None
            log.warning("%s failed and is off for the rest of this start: %s", self.name, first_line(error))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of a step, with keys like `train/loss`."""
        self.lines.write(step, metrics)
        if (backend := self.backend) is not None:
            self.guarded(lambda: backend.log(step, metrics))

    def summary(self, numbers: Mapping[str, float]) -> None:
        """Write metrics of the whole run, such as the test scores, to the backend."""
        if (backend := self.backend) is not None:
            self.guarded(lambda: backend.summary(numbers))

    def flush(self) -> None:
        """Write the pending lines of metrics.

        Raises:
            UserError: writing failed.
        """
        self.lines.flush()

    def rewind(self, step: int) -> None:
        """Delete the metrics of later steps; wandb cannot delete its own, and a message says so."""
        last = self.lines.rewind(step)
        if last > step and self.backend is not None and self.name == "wandb":
            log.warning(
                "wandb keeps its values of steps %d to %d from before and ignores new ones; metrics.jsonl has the new "
                "ones. For a wandb run of its own, delete wandb_id in the run directory before continuing",
                step + 1,
                last,
            )

    def close(self) -> None:
        if self.backend is not None:
            self.guarded(self.backend.close)
            self.backend = None


class NoTracker(Tracker):
    """Tracker of the ranks above 0, which write nothing."""

    def __init__(self) -> None:
        self.backend = None

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def flush(self) -> None: ...

    def rewind(self, step: int) -> None: ...
