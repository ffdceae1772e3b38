"""Trainings and translations of the questions: their runs, the missing ones, and the estimated time."""

import hashlib
import json
import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.app.hydra_errors import explain
from nmt.cli.app.hydra_guard import reading
from nmt.cli.launch.local_jobs import LocalJob, path_override
from nmt.config import Config, TrackingConfig, from_hydra
from nmt.data import locked, read_json
from nmt.errors import UserError
from nmt.run import RunDirectory, corpus_settings

START_SECONDS = 20.0
"""Time of one core per training besides its steps: start of the process, and the test set."""
TRANSLATION_SECONDS = 30.0
"""Estimated time of one core per translation with another search. Large beams take longer."""
SPLITS = ("valid", "test")
"""Splits on which each row is scored: the validation set for selection, the test set for the report."""
SPEED_SECONDS = 6.0
"""Time of all cores per measurement of a translation speed."""


@dataclass(frozen=True)
class Training:
    """Training of a row with one seed."""

    config: Config
    overrides: tuple[str, ...]
    """Overrides of the train command, without the seed."""
    minutes: float
    """Estimated minutes on one core, from the file of the question."""
    search: tuple[str, ...] = ()
    """Overrides of the search; empty: the search of the run."""

    @cached_property
    def key(self) -> str:
        return key_of(self.config)

    @property
    def scores(self) -> str:
        """Name of the files with the row's scores on the test set."""
        return self.scores_of("test")

    def scores_of(self, split: str) -> str:
        """Return the name of the files with the row's scores on a split."""
        digest = hashlib.sha256("\n".join(self.search).encode()).hexdigest()[:8]
        return f"{split}.{digest}" if self.search else split


def key_of(config: Config) -> str:
    """Return a hash of all settings that determine a run's numbers.

    Paths, preparation, tracking and the number of threads are left out. The hash of an existing run is computed from
    its configuration as this version reads it, so that a setting added later does not change it.
    """
    train = replace(config.train, resume=None, resume_step=None)
    machine = replace(config.machine, threads=None)
    rest = asdict(replace(config, train=train, machine=machine, tracking=TrackingConfig(), seed=0))
    rest["data"] = corpus_settings(config.data)
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:10]
    return f"{config.data.name}_{digest}_seed{config.seed}"


@cache
def compose_train(overrides: tuple[str, ...]) -> Config:
    """Return the configuration of the train command for a command line; Hydra is already initialised."""
    try:
        with reading(Config):
            return from_hydra(Config, compose("train", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error, Config)) from None


class Runs:
    """The folder of the runs. Its contents are read once, at the first access."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locked(self) -> AbstractContextManager[None]:
        """Return a lock against other processes, which would write the same logs and disturb measurements.

        It raises `UserError` if another process holds it.
        """
        return locked(self.folder / ".lock", f"{self.folder} is in use by another process")

    @cached_property
    def by_key(self) -> dict[str, RunDirectory]:
        """Existing runs by key. Damaged runs are left out; of two runs with the same key a finished one is taken."""
        by_key: dict[str, RunDirectory] = {}
        for record in sorted(self.folder.glob("*/run.json")):
            with suppress(UserError):
                run = RunDirectory.open(str(record.parent))
                key = key_of(run.config())
                if key not in by_key or (run.finished and not by_key[key].finished):
                    by_key[key] = run
        return by_key

    def read_again(self, training: Training) -> None:
        """Read the run of a training that has just ended."""
        with suppress(UserError):
            self.by_key[training.key] = RunDirectory.open(str(self.run(training).path))

    def run(self, training: Training) -> RunDirectory:
        """Return the run of a training, which does not have to exist."""
        return self.by_key.get(training.key) or RunDirectory(self.folder / training.key)

    def trained(self, training: Training) -> bool:
        run = self.by_key.get(training.key)
        return run is not None and run.finished

    def scores_path(self, training: Training, split: str = "test") -> Path:
        return self.run(training).path / "scores" / f"{training.scores_of(split)}.json"

    def speed_path(self, training: Training) -> Path:
        """Return the path of the measured speed of the row's search."""
        return self.run(training).path / "speed" / f"{training.scores}.json"

    def speed(self, training: Training) -> dict[str, Any]:
        """Return the measured speed with the machine it was measured on; empty if there is none."""
        try:
            speed: dict[str, Any] = read_json(self.speed_path(training))
        except (OSError, ValueError):
            return {}
        return speed

    def translated(self, training: Training) -> bool:
        """Return True if the row is trained and scored on both splits."""
        return self.trained(training) and not self.missing_splits(training)

    def missing_splits(self, training: Training) -> list[str]:
        """Return the splits that the row's search has not translated."""
        return [split for split in SPLITS if not self.scored(training, split)]

    def scored(self, training: Training, split: str) -> bool:
        """Return True if there are scores of a split that the row's search made."""
        try:
            made_by = read_json(self.scores_path(training, split))["made_by"]
            recorded = made_by["search"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if training.search:  # the name of the file identifies the search
            return True
        return made_by.get("checkpoint", "best") == "best" and all(
            recorded.get(key, value) == value for key, value in asdict(training.config.search).items()
        )

    def spent(self, training: Training) -> float:
        """Return the processor seconds of the training so far; in older runs, seconds times threads."""
        run = self.by_key.get(training.key)
        if run is None or not run.record()["starts"]:
            return 0.0
        threads: int = run.record()["starts"][-1]["threads"]
        return run.facts.get("cpu_seconds", run.facts.get("seconds", 0.0) * threads)


def training_job(training: Training, runs: Runs, threads: int, mirror: str | None) -> LocalJob:
    """Return the job of a training, which continues an interrupted run."""
    settings = [path_override("hydra.run.dir", runs.run(training).path), "train.resume=auto", "tracking.mode=disabled"]
    if mirror is not None and training.config.data.download is not None:
        settings.append(path_override("data.mirror", mirror))
    words = [*training.overrides, f"seed={training.config.seed}", *settings, f"machine.threads={threads}"]
    return LocalJob(training.key, [sys.executable, "-m", "nmt.cli.train", *words])


def translation_job(training: Training, split: str, runs: Runs, threads: int, always: bool = False) -> LocalJob:
    """Return the job that translates and scores a split with the row's search, `always`: after the time limit too."""
    name = training.scores_of(split)
    words = [
        path_override("run", runs.run(training).path),
        *training.search,
        f"split={split}",
        f"name={name}",
        f"machine.threads={threads}",
    ]
    return LocalJob(f"{training.key}.{name}", [sys.executable, "-m", "nmt.cli.evaluate", *words], always)
