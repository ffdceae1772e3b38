"""The trainings and translations that questions need: which there are, what is missing, and how long it will take."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from statistics import mean, median
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.app.hydra_errors import explain
from nmt.cli.launch.local_jobs import Job, set_path
from nmt.config import MOST_MINUTES, Config, Question, Row, TrackingConfig, from_hydra
from nmt.data import locked, read_json
from nmt.errors import UserError
from nmt.run import RunDirectory, corpus_settings

START_SECONDS = 20.0
"""Of a core, for a training besides its steps: the start of a process, and the test set."""
TRANSLATION_SECONDS = 30.0
"""Of a core, for a translation by another search; roughly, a beam of 50 takes longer than a greedy search."""
SPLITS = ("valid", "test")
"""What every row is scored on: the validation set chooses, the test set reports."""
SPEED_SECONDS = 6.0
"""Of all cores, to measure the speed of one translation."""


@dataclass(frozen=True)
class Training:
    """A row's training with one seed."""

    config: Config
    overrides: tuple[str, ...]
    """What the command line of `train` sets, the seed left out."""
    minutes: float
    """The estimate of the question's file, on one core."""
    search: tuple[str, ...] = ()
    """What a translation of the row sets; empty: as trained."""

    @cached_property
    def key(self) -> str:
        return key_of(self.config)

    @property
    def scores(self) -> str:
        """Name of the files of the row's scores of the test set."""
        return self.scores_of("test")

    def scores_of(self, split: str) -> str:
        """Return the name of the files of the row's scores of a split."""
        digest = hashlib.sha256("\n".join(self.search).encode()).hexdigest()[:8]
        return f"{split}.{digest}" if self.search else split


def key_of(config: Config) -> str:
    """A hash of all that decides a run's numbers: not where files are, how they are prepared, what
    tracks it or how many threads it has.

    Of a run it is taken of its configuration as this version reads it, so that a setting that came later and is off
    changes nothing.
    """
    train = replace(config.train, resume=None, resume_step=None)
    machine = replace(config.machine, threads=None)
    rest = asdict(replace(config, train=train, machine=machine, tracking=TrackingConfig(), seed=0))
    rest["data"] = corpus_settings(config.data)
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:10]
    return f"{config.data.name}_{digest}_seed{config.seed}"


Table = list[tuple[Row, list[Training]]]
"""Each row with its trainings, one a seed."""


def tables_of(question: Question, file: str) -> list[Table]:
    """The tables of a question.

    Raises:
        UserError: a row does not compose.
    """
    found = []
    for part in question.parts:
        table: Table = []
        for row in part.rows:
            overrides = (*part.overrides, *row.overrides)
            try:
                config = composed(overrides)
            except UserError as error:
                raise UserError(f"{file}, row {row.label!r}: {error}") from None
            minutes = part.minutes if row.minutes is None else row.minutes
            seeds = [replace(config, seed=seed) for seed in question.seeds]
            table.append((row, [Training(each, overrides, minutes, tuple(row.search)) for each in seeds]))
        found.append(table)
    return found


@cache
def composed(overrides: tuple[str, ...]) -> Config:
    """What `train` makes of a command line; hydra has been initialised by the command."""
    try:
        return from_hydra(Config, compose("train", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error, Config)) from None


class Runs:
    """The folder of the runs, as it is when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training here, whose logs would be these, and from being measured meanwhile.

        Raises:
            UserError: another process is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock", f"{self.folder} is worked on by another process"):
            yield

    @cached_property
    def found(self) -> dict[str, RunDirectory]:
        """What was trained before, by its key; a damaged run is none, and of two a finished one counts."""
        found: dict[str, RunDirectory] = {}
        for record in sorted(self.folder.glob("*/run.json")):
            with suppress(UserError):
                run = RunDirectory.open(str(record.parent))
                key = key_of(run.config())
                if key not in found or (run.finished and not found[key].finished):
                    found[key] = run
        return found

    def run(self, training: Training) -> RunDirectory:
        """Its run, made or not."""
        return self.found.get(training.key) or RunDirectory(self.folder / training.key)

    def trained(self, training: Training) -> bool:
        run = self.found.get(training.key)
        return run is not None and run.finished

    def scores_path(self, training: Training, split: str = "test") -> Path:
        return self.run(training).path / "scores" / f"{training.scores_of(split)}.json"

    def speed_path(self, training: Training) -> Path:
        """Where it stands how fast the row's search translates, once that has been measured."""
        return self.run(training).path / "speed" / f"{training.scores}.json"

    def speed(self, training: Training) -> dict[str, Any]:
        """What was measured, and on what; empty as long as it was not."""
        try:
            found: dict[str, Any] = read_json(self.speed_path(training))
        except (OSError, ValueError):
            return {}
        return found

    def translated(self, training: Training) -> bool:
        """Return whether all of the row is there: its training, and its scores of both splits."""
        return self.trained(training) and not self.missing_splits(training)

    def missing_splits(self, training: Training) -> list[str]:
        """Return the splits that a row's search, and no other, has not translated: of valid and test."""
        return [split for split in SPLITS if not self.scored(training, split)]

    def scored(self, training: Training, split: str) -> bool:
        """Return whether the scores of a split are there, made by the row's search."""
        try:
            made_by = read_json(self.scores_path(training, split))["made_by"]
            recorded = made_by["search"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if training.search:  # its name tells it
            return True
        return made_by.get("checkpoint", "best") == "best" and all(
            recorded.get(key, value) == value for key, value in asdict(training.config.search).items()
        )

    def spent(self, training: Training) -> float:
        """Seconds that the training took so far, times its threads."""
        run = self.found.get(training.key)
        if run is None or not run.record()["starts"]:
            return 0.0
        threads: int = run.record()["starts"][-1]["threads"]
        return run.facts.get("seconds", 0.0) * threads

    def longer(self, trainings: Sequence[Training]) -> dict[str, float]:
        """Minutes of a core of those that took more than the answers speak of, by what made them."""
        minutes = {f"{' '.join(each.overrides)} seed={each.config.seed}": self.spent(each) / 60 for each in trainings}
        return {made_by: spent for made_by, spent in minutes.items() if spent > MOST_MINUTES}

    def seconds(self, trainings: Sequence[Training]) -> dict[str, float]:
        """What each missing training will take of a core still, by its key.

        As another seed of it took; else by the estimate, times what those that are there took against theirs.
        """
        there = [each for each in trainings if self.trained(each)]
        scale = median([self.spent(each) / (60 * each.minutes) for each in there] or [1.0])
        found = {}
        for each in trainings:
            if not self.trained(each):
                alike = [self.spent(other) for other in there if other.overrides == each.overrides]
                usual = mean(alike) if alike else 60 * each.minutes * scale
                found[each.key] = max(usual - self.spent(each), 0.0) + START_SECONDS
        return found


def trainings_of(tables: Iterable[Table]) -> list[Training]:
    """All of them, each once, in order."""
    return list({each.key: each for table in tables for _, row in table for each in row}.values())


def rows_of(tables: Iterable[Table]) -> list[Training]:
    """All of them with their searches, each once, in order."""
    rows = [each for table in tables for _, row in table for each in row]
    return list({(each.key, each.scores): each for each in rows}.values())


def training_job(training: Training, runs: Runs, threads: int, mirror: str | None) -> Job:
    """Trains, or goes on with what was interrupted."""
    own = [set_path("hydra.run.dir", runs.run(training).path), "train.resume=auto", "tracking.mode=disabled"]
    if mirror is not None and training.config.data.download is not None:
        own.append(set_path("data.mirror", mirror))
    given = [*training.overrides, f"seed={training.config.seed}", *own, f"machine.threads={threads}"]
    return Job(training.key, [sys.executable, "-m", "nmt.cli.train", *given])


def translation_job(training: Training, split: str, runs: Runs, threads: int) -> Job:
    name = training.scores_of(split)
    given = [
        set_path("run", runs.run(training).path),
        *training.search,
        f"split={split}",
        f"name={name}",
        f"machine.threads={threads}",
    ]
    return Job(f"{training.key}.{name}", [sys.executable, "-m", "nmt.cli.evaluate", *given])
