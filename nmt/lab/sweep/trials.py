"""State of a sweep on disk. A sweep has no other state, so that an interrupted one continues from here.

config.yaml  groups.json     configuration of the sweep; the chosen file of each Hydra group
trials/001/ trials/002/ ...  run directories, each with a trial.json
report.md plots/             the report, written from the trials at any time
experiment/best.yaml         the best trial as an experiment file
"""

import math
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config import Metric, SweepCommandConfig, load_config, save_config, user_path
from nmt.data import locked, read_json, write_json
from nmt.errors import UserError
from nmt.lab.sweep.space import Value
from nmt.run import corpus_settings, is_number, read_metrics, refuse_links_out
from nmt.training.best import is_meaningful


class TrialState(StrEnum):
    running = "running"
    complete = "complete"
    pruned = "pruned"
    failed = "failed"


@dataclass
class Trial:
    """One training of a sweep."""

    number: int
    """Number from 1."""
    parameters: dict[str, Value]
    state: TrialState = TrialState.running
    scores: list[tuple[int, float]] = field(default_factory=list)
    """Step and score of each validation."""
    score: float | None = None
    """Score of the best validation, whose checkpoint the run keeps."""
    seconds: float = 0.0
    """Seconds of training, over all starts."""
    reason: str = ""
    """Reason of a failure."""
    notes: dict[str, Any] = field(default_factory=dict)
    """State of the pruner for this trial."""
    ranks: list[float] = field(default_factory=list)
    """Rank of each validation (see `Validation`) by BLEU. Empty for other metrics, whose ranks are the scores."""

    @property
    def over(self) -> bool:
        return self.state != TrialState.running

    @property
    def ranked(self) -> list[tuple[int, float]]:
        """Step and rank of each validation."""
        if not self.ranks:
            return self.scores
        return [(step, rank) for (step, _), rank in zip(self.scores, self.ranks, strict=True)]

    @property
    def rank(self) -> float:
        """Rank of the best validation; 0 for a trial without a score."""
        return max(self.ranks) if self.ranks else self.score or 0.0


class Validation(NamedTuple):
    """Result of one validation of a trial."""

    step: int
    score: float
    """Value of `train.metric`."""
    rank: float
    """Value by which validations and trials are compared: the score, except where a BLEU is noise.

    By the rule of `nmt.training.best`, a BLEU below 1 or without matching 4-grams is noise and perplexity decides. The
    rank is then 1 / perplexity, which is at most 1. A BLEU that is not noise therefore ranks higher.
    """


def direction(metric: Metric) -> int:
    """Return 1 if a higher score is better, otherwise -1."""
    return 1 if metric == Metric.bleu else -1


def best_trial(trials: Sequence[Trial], metric: Metric) -> Trial | None:
    """Return the complete trial with the best rank; of equal ranks, the first trial."""
    sign = direction(metric)
    complete = [trial for trial in trials if trial.state == TrialState.complete]
    return max(complete, key=lambda trial: (sign * trial.rank, -trial.number), default=None)


def with_validations(trial: Trial, validations: Sequence[Validation], metric: Metric) -> Trial:
    """Return the trial with the record of its validations, of which there is at least one."""
    sign = direction(metric)
    return replace(
        trial,
        scores=[(validation.step, validation.score) for validation in validations],
        score=max(validations, key=lambda validation: sign * validation.rank).score,
        ranks=[validation.rank for validation in validations] if metric == Metric.bleu else [],
    )


def best_step(trial: Trial, metric: Metric) -> int:
    """Return the step of the best validation of a trial; of equal ones, the first."""
    sign = direction(metric)
    step, _ = max(trial.ranked, key=lambda validation: sign * validation[1])
    return step


def read_validations(metrics: Path, metric: Metric) -> list[Validation]:
    """Read the validations with a finite score from a run's metrics.jsonl."""
    lines = [line for line in read_metrics(metrics) if math.isfinite(line["step"])]
    return [
        Validation(int(line["step"]), line[f"valid/{metric}"], validation_rank(line, metric))
        for line in lines
        if math.isfinite(line.get(f"valid/{metric}", math.nan))
    ]


def validation_rank(metrics: Mapping[str, float], metric: Metric) -> float:
    """Return the rank of a validation (see `Validation`)."""
    # Versions before the rule of nmt.training.best did not log the number of matching 4-grams.
    if metric != Metric.bleu or is_meaningful({"valid/matching_4grams": 1.0, **metrics}):
        return metrics[f"valid/{metric}"]
    perplexity = metrics.get("valid/perplexity", math.inf)
    return 1 / perplexity if perplexity >= 1 else 0.0


class SweepDirectory:
    """Folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: str) -> "SweepDirectory":
        """Open an existing sweep.

        Raises:
            UserError: the folder is not a sweep, or a link in it leads outside.
        """
        sweep = cls(user_path(path))
        if not sweep.exists:
            raise UserError(
                f"report={path} is not a sweep: config.yaml or groups.json is missing; name a folder under sweeps/"
            )
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

    def begin(self, config: SweepCommandConfig, groups: dict[str, str]) -> None:
        """Create the sweep, or check that an existing one has the same configuration; write `groups.json` last.

        Raises:
            UserError: the configurations differ, a link leads outside the folder, or the folder is not writable.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            refuse_links_out(self.path)
            if self.exists and fixed_settings(self.config()) != fixed_settings(config):
                raise UserError(
                    f"{self.path} holds a sweep of another configuration; choose another folder with sweep.folder="
                )
            temporary = self.config_path.with_suffix(".tmp")
            save_config(config, temporary)
            temporary.replace(self.config_path)
            write_json(self.groups_path, groups)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}; choose another sweep.folder") from None

    def config(self) -> SweepCommandConfig:
        return load_config(SweepCommandConfig, self.config_path)

    def groups(self) -> dict[str, str]:
        """Read the chosen file of each Hydra group.

        Raises:
            UserError: groups.json is damaged.
        """
        try:
            groups: dict[str, str] = read_json(self.groups_path)
            if not all(isinstance(name, str) and re.fullmatch("[A-Za-z0-9_/-]+", name) for name in groups.values()):
                raise ValueError
        except (OSError, ValueError, AttributeError):
            raise UserError(
                f"{self.groups_path} is damaged; repeat the command of the sweep with sweep.folder={self.path} to "
                "write it again"
            ) from None
        return groups

    def locked(self) -> AbstractContextManager[None]:
        """Return a lock of the sweep; it raises `UserError` if another process holds it."""
        return locked(self.path / ".lock", f"{self.path} is worked on by another process")

    def run_path(self, number: int) -> Path:
        return self.path / "trials" / f"{number:03d}"

    def write(self, trial: Trial) -> None:
        self.run_path(trial.number).mkdir(parents=True, exist_ok=True)
        write_json(self.run_path(trial.number) / "trial.json", asdict(trial))

    def trials(self) -> list[Trial]:
        """Read all trials, ordered by number.

        Raises:
            UserError: a trial.json is damaged.
        """
        paths = self.path.glob("trials/*/trial.json")
        return sorted(map(read_trial, paths), key=lambda trial: trial.number)

    def drop_checkpoints(self, kept: Trial | None) -> None:
        """Delete the checkpoints of all finished trials except `kept`."""
        for trial in self.trials():
            if trial.over and (kept is None or trial.number != kept.number):
                shutil.rmtree(self.run_path(trial.number) / "checkpoints", ignore_errors=True)


def read_trial(path: Path) -> Trial:
    """Read a trial.json.

    Raises:
        UserError: the file is damaged.
    """
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
    """Return whether a record from a file has the types and lengths that `SweepDirectory.write` writes."""
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
        and isinstance(trial.ranks, list)
        and len(trial.ranks) in (0, len(trial.scores))
        and all(map(is_number, trial.ranks))
    )


def fixed_settings(config: SweepCommandConfig) -> dict[str, Any]:
    """Return the settings that must not change within a sweep: all but paths, tracking, hardware and trial count."""
    sweep = replace(config.sweep, trials=None, folder=None, keep_checkpoints=False)
    parts: dict[str, Any] = asdict(replace(config, sweep=sweep)) | {"data": corpus_settings(config.data)}
    return {key: value for key, value in parts.items() if key not in ("tracking", "machine", "report")}
