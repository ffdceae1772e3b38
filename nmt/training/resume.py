"""Rules for continuing a run: which settings may change, whether work is left, which checkpoint to load."""

import logging
from dataclasses import asdict
from typing import Any

from nmt.config import Config, ScheduleKind
from nmt.errors import UserError
from nmt.run import (
    CHANGEABLE,
    Checkpoint,
    RunDirectory,
    folder_name,
    go_back,
    load_checkpoint,
    load_state,
    newest_intact,
    steps,
)
from nmt.training.optim import Schedule

INITIAL = ("train.init_from", "train.init_vocabulary", "train.init_partial", "train.pretrained_embeddings")
"""Keys of the initial weights, which have no effect on a run that has begun."""
ONLY_FOR_THIS_START = ("train.resume", "train.resume_step", *INITIAL)

log = logging.getLogger(__name__)


def changeable_settings(config: Config) -> dict[str, Any]:
    """Return the settings, by dotted key, that may change when a run is continued."""
    tree = asdict(config)
    settings = {f"{part}{key}": value for part in CHANGEABLE for key, value in tree[part.removesuffix(".")].items()}
    return {key: value for key, value in settings.items() if key not in ONLY_FOR_THIS_START}


def changed_settings(config: Config, before: Config) -> dict[str, Any]:
    """Return the changeable settings of `config` that differ from those of `before`."""
    old = changeable_settings(before)
    return {key: value for key, value in changeable_settings(config).items() if value != old[key]}


def has_work(run: RunDirectory, config: Config) -> bool:
    """Return whether steps are left: always in an unfinished run; in a finished one if `config` asks for more steps.

    Raises:
        UserError: the run is finished, and the changed settings would have no effect.
    """
    if run.adapted:
        raise UserError(
            f"{run.path} was made by nmt-adapt and has no state of an optimizer; start a new run from it with "
            f"train.init_from={run.path}"
        )
    check_resume_step(run, config.train.resume_step)
    if not run.finished or config.train.resume_step is not None:
        return True
    changed = changed_settings(config, run.config())
    if not changed or not changed_settings(config, run.first_config()):  # the latter: the first command repeated
        return False
    step, state = load_state(run.checkpoints, "last", run.identity)
    keys = ", ".join(f"{key}={value}" for key, value in changed.items())
    since_best, patience = int(state["progress"]["since_best"]), config.train.patience
    if 0 < patience <= since_best:
        raise UserError(
            f"{run.path} ended at step {step} after {since_best} validations without improvement, and {keys} would "
            f"change nothing; to continue, add train.patience=N with N above {since_best}, or 0"
        )
    if config.train.max_steps <= step:
        raise UserError(
            f"{run.path} is finished at step {step}, and {keys} would change nothing; to continue, add "
            f"train.max_steps=N with N above {step}, or start a new run from it with train.init_from={run.path}"
        )
    log.info("%s", schedule_note(run.config(), config, step, state))
    return True


def check_resume_step(run: RunDirectory, step: int | None) -> None:
    """Check that the run has a checkpoint of the step to continue from.

    Raises:
        UserError: the run has no checkpoint of this step.
    """
    if step is not None and not (run.checkpoints / folder_name(step)).is_dir():
        existing = ", ".join(map(str, sorted(steps(run.checkpoints)))) or "none"
        raise UserError(f"train.resume_step={step}: {run.path} has no checkpoint of that step; there are: {existing}")


def schedule_note(before: Config, config: Config, step: int, state: dict[str, Any]) -> str:
    """Return a sentence about the learning rate where a finished training continues."""
    rates = []
    for settings, at in ((before, step), (config, step + 1)):
        schedule = Schedule(settings.optim, settings.train.max_steps)
        schedule.load_state_dict(state["schedule"])
        rates.append(schedule.learning_rate(at))
    end = config.train.max_steps
    stretched = f"; it now ends at step {end}" if config.optim.schedule == ScheduleKind.cosine else ""
    return (
        f"a finished run continues from step {step} to {end}: the learning rate "
        f"(optim.schedule={config.optim.schedule}) was {rates[0]:.3g} at step {step} and is {rates[1]:.3g} at step "
        f"{step + 1}{stretched}"
    )


def checkpoint_to_continue(run: RunDirectory, step: int | None) -> Checkpoint:
    """Load the last checkpoint, or that of `step`, which becomes the last one: newer checkpoints are deleted.

    Raises:
        UserError: the checkpoint is damaged; the message names the newest intact one.
    """
    folder, run_id = run.checkpoints, run.identity
    if step is not None:
        checkpoint = load_checkpoint(folder, folder_name(step), run_id)
        go_back(folder, step)
        return checkpoint
    try:
        return load_checkpoint(folder, "last", run_id)
    except UserError as error:
        intact = newest_intact(folder, run_id)
        remedy = (
            "no intact checkpoint is left, start the training in a new folder"
            if intact is None
            else f"train.resume_step={intact} continues from the newest intact one"
        )
        raise UserError(f"{error}; {remedy}") from None
