"""Whether a finished run has more to do, and what a continued run changes."""

import logging
from dataclasses import asdict
from typing import Any

from nmt.config import Config, ScheduleKind
from nmt.errors import UserError
from nmt.run import CHANGEABLE, RunDirectory, folder_name, load_state, steps
from nmt.training import Schedule, Trainer

ONLY_FOR_THIS_START = ("train.resume", "train.resume_step", "train.init_from")

log = logging.getLogger(__name__)


def settings(config: Config) -> dict[str, Any]:
    """Return the settings, by dotted key, that a continuation may change."""
    tree = asdict(config)
    flat = {f"{part}{key}": value for part in CHANGEABLE for key, value in tree[part.removesuffix(".")].items()}
    return {key: value for key, value in flat.items() if key not in ONLY_FOR_THIS_START}


def differences(config: Config, before: Config) -> dict[str, Any]:
    """Return the settings of `config` that differ from those of `before`."""
    others = settings(before)
    return {key: value for key, value in settings(config).items() if value != others[key]}


def has_work(run: RunDirectory, config: Config) -> bool:
    """Whether there is something to train: always in an unfinished run, in a finished one if more steps are asked for.

    Raises:
        UserError: the run is finished, and what is asked would have no effect on it.
    """
    check_step(run, config.train.resume_step)
    if not run.finished or config.train.resume_step is not None:
        return True
    changed = differences(config, run.config())
    if not changed or not differences(config, run.first_config()):  # the latter: the first command once more
        return False
    step, state = load_state(run.checkpoints, "last", run.identity)
    keys = ", ".join(f"{key}={value}" for key, value in changed.items())
    since_best, patience = int(state["progress"]["since_best"]), config.train.patience
    if 0 < patience <= since_best:
        raise UserError(
            f"{run.path} ended at step {step} after {since_best} validations without improvement, and {keys} would "
            f"change nothing; add train.patience=N with N above {since_best}, or 0, to go on"
        )
    if config.train.max_steps <= step:
        raise UserError(
            f"{run.path} is finished at step {step}, and {keys} would change nothing; add train.max_steps=N with N "
            f"above {step} to go on, or start a new run from it with train.init_from={run.path}"
        )
    log.info("%s", schedule_note(run.config(), config, step, state))
    return True


def check_step(run: RunDirectory, step: int | None) -> None:
    """
    Raises:
        UserError: the run has no checkpoint of the step to continue from.
    """
    if step is not None and not (run.checkpoints / folder_name(step)).is_dir():
        there = ", ".join(map(str, sorted(steps(run.checkpoints)))) or "none"
        raise UserError(f"train.resume_step={step}: {run.path} has no checkpoint of that step; there are: {there}")


def schedule_note(before: Config, config: Config, step: int, state: dict[str, Any]) -> str:
    """Return what the schedule does where a finished training goes on."""
    rates = []
    for each, at in ((before, step), (config, step + 1)):
        schedule = Schedule(each.optim, each.train.max_steps)
        schedule.load_state_dict(state["schedule"])
        rates.append(schedule.learning_rate(at))
    end = config.train.max_steps
    stretched = f"; it now ends at step {end}" if config.optim.schedule == ScheduleKind.cosine else ""
    return (
        f"a finished run goes on from step {step} to {end}: the learning rate (optim.schedule={config.optim.schedule}) "
        f"was {rates[0]:.3g} at step {step} and is {rates[1]:.3g} at step {step + 1}{stretched}"
    )


def apply_patience(trainer: Trainer) -> None:
    """Make patience as it is configured now decide whether a continued training has already ended."""
    progress = trainer.progress
    progress.stopped = 0 < trainer.config.patience <= progress.since_best
