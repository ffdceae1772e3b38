"""A sweep on disk, which is all that it remembers: it can be killed at any moment and goes on from here.

config.yaml  groups.json     what the sweep was started with; the chosen file of each group
trials/001/ trials/002/ ...  run directories, each with a trial.json
report.md plots/             made from these at any time
experiment/best.yaml         the best trial as an experiment file
"""

import math
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from nmt.config import Metric, SweepCommandConfig, load_config, path_of, save_config
from nmt.data import locked, read_json, write_json
from nmt.errors import UserError
from nmt.lab.sweep.space import Value
from nmt.run import corpus_settings, is_number, read_metrics, refuse_links_out


class TrialState(StrEnum):
    running = "running"
    complete = "complete"
    pruned = "pruned"
    failed = "failed"


@dataclass
class Trial:
    """One training of a sweep."""

    number: int
    """Counted from 1."""
    parameters: dict[str, Value]
    state: TrialState = TrialState.running
    scores: list[tuple[int, float]] = field(default_factory=list)
    """Step and score of each validation."""
    score: float | None = None
    """The best of them: that of the checkpoint which the run would keep."""
    seconds: float = 0.0
    """Of training, over all starts."""
    reason: str = ""
    """Why it failed."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the pruner keeps of it."""

    @property
    def over(self) -> bool:
        return self.state != TrialState.running


def best_trial(trials: Sequence[Trial], metric: Metric) -> Trial | None:
    """The trial trained to its end with the best score; of equal ones the first."""
    sign = 1 if metric == Metric.bleu else -1
    complete = [trial for trial in trials if trial.state == TrialState.complete]
    return max(complete, key=lambda trial: (sign * (trial.score or 0), -trial.number), default=None)


def read_scores(metrics: Path, metric: Metric) -> list[tuple[int, float]]:
    """Steps and finite scores of a run's validations so far, from its metrics.jsonl."""
    lines = [line for line in read_metrics(metrics) if f"valid/{metric}" in line]
    found = [(int(line["step"]), line[f"valid/{metric}"]) for line in lines if math.isfinite(line["step"])]
    return [(step, score) for step, score in found if math.isfinite(score)]


class SweepDirectory:
    """One sweep on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: str) -> "SweepDirectory":
        """An existing sweep.

        Raises:
            UserError: there is none, or it leads out of its folder.
        """
        sweep = cls(path_of(path))
        if not sweep.exists:
            raise UserError(f"report={path} is no sweep: it has no config.yaml and trials; name a folder under sweeps/")
        refuse_links_out(sweep.path)
        return sweep

    @property
    def exists(self) -> bool:
        return self.config_path.is_file() and self.groups_path.is_file()

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def groups_path(self) -> Path:
        return self.path / "groups.json"

    def begin(self, asked: SweepCommandConfig, groups: dict[str, str]) -> None:
        """Lays out a new sweep, or sees that an old one was started alike; `groups.json` comes last.

        Raises:
            UserError: it was not, leads out of its folder, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            refuse_links_out(self.path)
            if self.exists and essence(self.config()) != essence(asked):
                raise UserError(
                    f"{self.path} holds a sweep of another configuration; give a folder of its own as sweep.folder="
                )
            temporary = self.config_path.with_suffix(".tmp")
            save_config(asked, temporary)
            temporary.replace(self.config_path)
            write_json(self.groups_path, groups)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}; choose another sweep.folder") from None

    def config(self) -> SweepCommandConfig:
        return load_config(SweepCommandConfig, self.config_path)

    def groups(self) -> dict[str, str]:
        """The chosen file of each group.

        Raises:
            UserError: the file is damaged.
        """
        try:
            groups: dict[str, str] = read_json(self.groups_path)
            if not all(isinstance(name, str) and re.fullmatch("[A-Za-z0-9_/-]+", name) for name in groups.values()):
                raise ValueError
        except (OSError, ValueError, AttributeError):
            raise UserError(
                f"{self.groups_path} is damaged; the same command, sweep.folder={self.path}, mends it"
            ) from None
        return groups

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from this sweep; the lock goes with the process that holds it.

        Raises:
            UserError: another process is at work here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / ".lock", f"{self.path} is worked on by another process"):
            yield

    def run_path(self, number: int) -> Path:
        return self.path / "trials" / f"{number:03d}"

    def write(self, trial: Trial) -> None:
        self.run_path(trial.number).mkdir(parents=True, exist_ok=True)
        write_json(self.run_path(trial.number) / "trial.json", asdict(trial))

    def trials(self) -> list[Trial]:
        """All trials so far, by number.

        Raises:
            UserError: the record of one is damaged.
        """
        paths = self.path.glob("trials/*/trial.json")
        return sorted(map(read_trial, paths), key=lambda trial: trial.number)

    def drop_checkpoints(self, kept: Trial | None) -> None:
        """Removes the weights of all trials that are over but one."""
        for trial in self.trials():
            if trial.over and (kept is None or trial.number != kept.number):
                shutil.rmtree(self.run_path(trial.number) / "checkpoints", ignore_errors=True)


def read_trial(path: Path) -> Trial:
    try:
        record = read_json(path)
        scores = [(int(step), float(score)) for step, score in record["scores"]]
        trial = Trial(**(record | {"state": TrialState(record["state"]), "scores": scores}))
        if path.parent.name != f"{trial.number:03d}" or not well_formed(trial):
            raise ValueError
        return trial
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise UserError(f"{path} is damaged; delete the folder {path.parent} to train this trial again") from None


def well_formed(trial: Trial) -> bool:
    """Whether what came from a file has the types that are written."""
    plain = (float, int, str, bool, type(None))
    return (
        type(trial.number) is int
        and isinstance(trial.parameters, dict)
        and all(isinstance(value, plain) for value in trial.parameters.values())
        and (trial.score is None or is_number(trial.score))
        and (trial.score is not None or trial.state != TrialState.complete)
        and is_number(trial.seconds)
        and isinstance(trial.reason, str)
        and isinstance(trial.notes, dict)
    )


def essence(asked: SweepCommandConfig) -> dict[str, Any]:
    """What must not change within a sweep: not where files are, who is told, what computes, and when it ends."""
    sweep = replace(asked.sweep, trials=None, folder=None, keep_checkpoints=False)
    parts: dict[str, Any] = asdict(replace(asked, sweep=sweep)) | {"data": corpus_settings(asked.data)}
    return {key: value for key, value in parts.items() if key not in ("tracking", "machine", "report")}
