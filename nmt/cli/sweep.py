"""nmt-sweep: search for good values of some keys with many trainings."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.best_experiment import write_experiment
from nmt.config import Config, SweepCommandConfig, from_hydra, user_path, with_values
from nmt.errors import Unfinished, UserError
from nmt.lab.sweep.choose import Pruning, proposal
from nmt.lab.sweep.report import write_report
from nmt.lab.sweep.space import Parameter, Value, search_space, text, trials_of
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState, best_trial, read_validations, with_validations
from nmt.metrics import check_tokenizer
from nmt.pipeline import fit, open_or_create, plain_dict
from nmt.run import RunDirectory, provenance
from nmt.run_corpus import with_base_tokenizer
from nmt.runtime import Runtime, setup_runtime
from nmt.training import Tracker

MOST_FAILURES = 3
"""Number of failed trials in a row that ends the sweep."""
REMEDY = "the same command continues"

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(SweepCommandConfig, cfg)
    if config.report is not None:
        sweep = SweepDirectory.open(config.report)
    else:
        sweep = SweepDirectory(user_path(config.sweep.folder or default_folder()))
        space = search_space(config.sweep, config.base())
        total = trials_of(config.sweep, space)
        check_tokenizer(config.data.bleu_tokenize)
        runtime = setup_runtime(config.machine)
        with sweep.locked(), app.interruptible(REMEDY):
            sweep.begin(config, app.choices())
            with app.logging_to(sweep.path / "sweep.log"):
                train_all(sweep, config, space, total, runtime)
    report = write_report(sweep)
    write_experiment(sweep)
    print(report)
    print(sweep.path)


def default_folder() -> str:
    names = [app.choices().get(group) for group in ("experiment", "sweep")]
    return "sweeps/" + "_".join(name for name in names if name)


def train_all(
    sweep: SweepDirectory, config: SweepCommandConfig, space: Sequence[Parameter], total: int, runtime: Runtime
) -> None:
    """Train all trials that have not ended.

    Raises:
        UserError: several trials in a row failed.
    """
    metric, failures = config.train.metric, 0
    for number in range(1, total + 1):
        trials = {trial.number: trial for trial in sweep.trials()}
        trial = trials.get(number)
        before = [trials[earlier] for earlier in range(1, number) if earlier in trials]
        if trial is None or not trial.over:
            if trial is None:
                trial = Trial(number, proposal(config.sweep, config.train, space, before, number))
                sweep.write(trial)
            log.info("trial %d of %d: %s", number, total, settings(trial.parameters))
            trial = train_trial(sweep, config, space, before, trial, runtime)
            sweep.write(trial)
            best = best_trial([*trials.values(), trial], metric)
            if not config.sweep.keep_checkpoints:
                sweep.drop_checkpoints(best)
            log.info("%s", progress(trial, best, [*before, trial], total))
            failures = failures + 1 if trial.state == TrialState.failed else 0
            if failures == MOST_FAILURES:
                raise UserError(
                    f"{failures} trials in a row failed, the last one: {trial.reason}; "
                    f"fix that, delete their folders under {sweep.path / 'trials'}, and start the sweep again"
                )


def train_trial(
    sweep: SweepDirectory,
    config: SweepCommandConfig,
    space: Sequence[Parameter],
    before: Sequence[Trial],
    trial: Trial,
    runtime: Runtime,
) -> Trial:
    """Train a trial until it ends or is pruned; continue it if it was interrupted.

    Returns:
        The record of the trial. A training that cannot start, or fails, is a failed trial.
    """
    metric = config.train.metric
    run = RunDirectory(sweep.run_path(trial.number))
    pruning = Pruning(config.sweep, config.train, space, before, trial)

    def poor() -> bool:
        validations = read_validations(run.metrics_path, metric)
        return pruning.poor([(validation.step, validation.rank) for validation in validations])

    try:
        seconds = train_run(trial_config(config, sweep, trial.parameters), run, runtime, poor)
    except Unfinished:  # of the machine, not of the trial: the same command continues it
        raise
    except UserError as error:
        log.warning("trial %d failed: %s", trial.number, error)
        return replace(trial, state=TrialState.failed, reason=str(error))
    validations = read_validations(run.metrics_path, metric)
    if not validations:
        return replace(trial, state=TrialState.failed, reason="no validation was finite", seconds=seconds)
    trial = with_validations(trial, validations, metric)
    again = Pruning(
        config.sweep, config.train, space, before, trial
    )  # `poor` is not called if training stopped after its last validation
    state = TrialState.pruned if again.poor(trial.ranked) else TrialState.complete
    return replace(trial, state=state, seconds=seconds, notes=again.notes())


def trial_config(command_config: SweepCommandConfig, sweep: SweepDirectory, parameters: Mapping[str, Any]) -> Config:
    """Return the configuration of a trial.

    Raises:
        UserError: the values of the parameters exclude each other.
    """
    config = with_values(command_config.base(), parameters)
    if config.train.init_from is not None:
        config = with_base_tokenizer(config, config.train.init_from)
    if config.tracking.group is None:
        config = replace(config, tracking=replace(config.tracking, group=sweep.path.name))
    return config


def train_run(config: Config, run: RunDirectory, runtime: Runtime, poor: Callable[[], bool]) -> float:
    """Train the run of a trial, and return the seconds that this took over all starts."""
    run, prepared = open_or_create(run.path, config)
    with run.locked(), app.logging_to(run.path / "train.log"):
        run.add_start(provenance(app.overrides()))
        tracker = Tracker(run.path, config.tracking, plain_dict(config))
        try:
            return fit(config, run, runtime, tracker, prepared, poor).progress.seconds
        finally:
            tracker.close()


def settings(parameters: Mapping[str, Value]) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in parameters.items())


def progress(trial: Trial, best: Trial | None, done: Sequence[Trial], total: int) -> str:
    """Return the log line of a trial: number, parameters, score, best score so far, time left."""
    score = str(trial.state) if trial.score is None else f"{trial.state}, {trial.score:.2f}"
    ahead = "" if best is None else f"; best {best.score:.2f} in trial {best.number}"
    left = (total - trial.number) * sum(finished.seconds for finished in done) / len(done)
    return (
        f"trial {trial.number} of {total}: {settings(trial.parameters)}: {score}{ahead}; {left / 60:.0f} minutes left"
    )


def main() -> None:
    app.run("sweep", command)


if __name__ == "__main__":
    main()
