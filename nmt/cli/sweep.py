"""nmt-sweep: many trainings, to find good values of some keys."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.best_experiment import write_experiment
from nmt.cli.train import create_run, fine_tuned, fit
from nmt.config import Config, SweepCommandConfig, from_hydra, path_of, with_values
from nmt.errors import UserError
from nmt.lab.sweep import (
    Parameter,
    Pruning,
    SweepDirectory,
    Trial,
    TrialState,
    Value,
    best_trial,
    proposal,
    read_validations,
    search_space,
    text,
    trials_of,
    with_validations,
    write_report,
)
from nmt.metrics import check_tokenizer
from nmt.run import RunDirectory, provenance
from nmt.runtime import Runtime, setup_runtime
from nmt.training import Tracker

MOST_FAILURES = 3
"""Trials in a row that may fail."""
REMEDY = "the same command goes on"

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    asked = from_hydra(SweepCommandConfig, cfg)
    if asked.report is not None:
        sweep = SweepDirectory.open(asked.report)
    else:
        sweep = SweepDirectory(path_of(asked.sweep.folder or default_folder()))
        space = search_space(asked.sweep, asked.base())
        total = trials_of(asked.sweep, space)
        check_tokenizer(asked.data.bleu_tokenize)
        machine = setup_runtime(asked.machine)
        with sweep.locked(), app.stopping(REMEDY):
            sweep.begin(asked, app.choices())
            with app.logging_to(sweep.path / "sweep.log"):
                train_all(sweep, asked, space, total, machine)
    report = write_report(sweep)
    write_experiment(sweep)
    print(report)
    print(sweep.path)


def default_folder() -> str:
    names = [app.choices().get(group) for group in ("experiment", "sweep")]
    return "sweeps/" + "_".join(name for name in names if name)


def train_all(
    sweep: SweepDirectory, asked: SweepCommandConfig, space: Sequence[Parameter], total: int, machine: Runtime
) -> None:
    """Trains all trials that are not over.

    Raises:
        UserError: several in a row failed.
    """
    metric, failures = asked.train.metric, 0
    for number in range(1, total + 1):
        trials = {trial.number: trial for trial in sweep.trials()}
        trial = trials.get(number)
        before = [trials[each] for each in range(1, number) if each in trials]
        if trial is None or not trial.over:
            if trial is None:
                trial = Trial(number, proposal(asked.sweep, asked.train, space, before, number))
                sweep.write(trial)
            log.info("trial %d of %d: %s", number, total, settings(trial.parameters))
            trial = train_trial(sweep, asked, space, before, trial, machine)
            sweep.write(trial)
            best = best_trial([*trials.values(), trial], metric)
            if not asked.sweep.keep_checkpoints:
                sweep.drop_checkpoints(best)
            log.info("%s", progress(trial, best, [*before, trial], total))
            failures = failures + 1 if trial.state == TrialState.failed else 0
            if failures == MOST_FAILURES:
                raise UserError(
                    f"{failures} trials in a row failed, the last one: {trial.reason}; "
                    f"mend that, delete their folders under {sweep.path / 'trials'}, and start the sweep again"
                )


def train_trial(
    sweep: SweepDirectory,
    asked: SweepCommandConfig,
    space: Sequence[Parameter],
    before: Sequence[Trial],
    trial: Trial,
    machine: Runtime,
) -> Trial:
    """Trains a trial to its end, or until it is poor, or goes on with one that was interrupted.

    Returns:
        its record; a training that cannot begin, or fails, is a failed trial.
    """
    metric = asked.train.metric
    run = RunDirectory(sweep.run_path(trial.number))
    pruning = Pruning(asked.sweep, asked.train, space, before, trial)

    def poor() -> bool:
        validations = read_validations(run.metrics_path, metric)
        return pruning.poor([(validation.step, validation.rank) for validation in validations])

    try:
        config = trial_config(asked, sweep, trial.parameters)
        seconds = train_run(config, run, machine, poor)
    except UserError as error:
        log.warning("trial %d failed: %s", trial.number, error)
        return replace(trial, state=TrialState.failed, reason=str(error))
    validations = read_validations(run.metrics_path, metric)
    if not validations:
        return replace(trial, state=TrialState.failed, reason="no validation was finite", seconds=seconds)
    trial = with_validations(trial, validations, metric)
    again = Pruning(asked.sweep, asked.train, space, before, trial)  # a continued training may not have called `poor`
    state = TrialState.pruned if again.poor(trial.ranked) else TrialState.complete
    return replace(trial, state=state, seconds=seconds, notes=again.notes())


def trial_config(asked: SweepCommandConfig, sweep: SweepDirectory, parameters: Mapping[str, Any]) -> Config:
    """
    Raises:
        UserError: the parameters do not go together.
    """
    config = with_values(asked.base(), parameters)
    if config.train.init_from is not None:
        config = fine_tuned(config, config.train.init_from)
    if config.tracking.group is None:
        config = replace(config, tracking=replace(config.tracking, group=sweep.path.name))
    return config


def train_run(config: Config, run: RunDirectory, machine: Runtime, poor: Callable[[], bool]) -> float:
    """Trains the run of a trial, and returns the seconds that this took over all starts."""
    if run.exists:
        run = RunDirectory.open(str(run.path))
    else:
        create_run(run, config)
    with run.locked(), app.logging_to(run.path / "train.log"):
        run.add_start(provenance(app.overrides()))
        tracker = Tracker(run.path, config.tracking, app.as_dict(config))
        try:
            return fit(config, run, machine, tracker, poor).progress.seconds
        finally:
            tracker.close()


def settings(parameters: Mapping[str, Value]) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in parameters.items())


def progress(trial: Trial, best: Trial | None, done: Sequence[Trial], total: int) -> str:
    """A trial's line: number, parameters, score, the best so far, time left."""
    score = str(trial.state) if trial.score is None else f"{trial.state}, {trial.score:.2f}"
    ahead = "" if best is None else f"; best {best.score:.2f} in trial {best.number}"
    left = (total - trial.number) * sum(each.seconds for each in done) / len(done)
    return (
        f"trial {trial.number} of {total}: {settings(trial.parameters)}: {score}{ahead}; {left / 60:.0f} minutes left"
    )


def main() -> None:
    app.run("sweep", command)


if __name__ == "__main__":
    main()
