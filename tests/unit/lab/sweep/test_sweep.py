"""Sweeps of tiny trainings: interruption, pruning, and the report of the best trial."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from composing import composing_in
from hydra import compose
from tiny_training import SHORT, SRC, TGT, build, calling

from nmt.cli import app
from nmt.cli import sweep as cli
from nmt.cli.app.best_experiment import write_experiment
from nmt.config import (
    Config,
    DataConfig,
    IntervalUnit,
    Metric,
    OptimConfig,
    PhrasebookConfig,
    Precision,
    PrunerKind,
    SamplerKind,
    SweepCommandConfig,
    SweepConfig,
    conf_dir,
    from_hydra,
    with_values,
)
from nmt.data import make_batch
from nmt.errors import Interrupted, UserError
from nmt.lab.sweep.report import write_report
from nmt.lab.sweep.space import search_space, trials_of
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState, best_trial
from nmt.pipeline import with_multirun_group
from nmt.run import RunDirectory, load_checkpoint
from nmt.runtime import Runtime
from nmt.training import Trainer
from nmt.training.objectives.likelihood import negative_log_likelihood

pytestmark = pytest.mark.commands

MACHINE = Runtime(torch.device("cpu"), False, Precision.float32, False)
TREE = {
    "optim": {"learning_rate": {"low": 1e-3, "high": 1.0, "log": True}},
    "model": {"dropout": {"low": 0.0, "high": 0.5}},
}
STEPS, EVERY = 12, 3


def sweep_config(**changes: Any) -> SweepCommandConfig:
    sweep = SweepConfig(parameters=TREE, trials=5, startup=3, prune_after_trials=2)
    return SweepCommandConfig(
        data=DataConfig(phrasebook=PhrasebookConfig()),
        train=replace(SHORT, max_steps=STEPS, validate_every=EVERY, patience=0, accumulate=1, metric=Metric.perplexity),
        optim=OptimConfig(warmup_steps=1),
        sweep=replace(sweep, **changes),
    )


def validated(trainer: Trainer) -> dict[str, float]:
    """Return the perplexity of the training pairs."""
    batch = make_batch(SRC, TGT, range(len(SRC)))
    nll = negative_log_likelihood(trainer.model.eval(), batch) / batch.tokens
    trainer.model.train()
    return {"valid/perplexity": float(torch.tensor(nll).exp()), "valid/bleu": 0.0}


class TinyTraining:
    """Fake of `train_run`, which also continues from the last checkpoint if there is one."""

    def __init__(self, action: Callable[[], object] = lambda: None, call: int = -1) -> None:
        self.objective = calling(action, call)
        """Objective that performs the action at its call number `call`, counted over all trials."""

    def __call__(self, config: Config, run: RunDirectory, machine: Runtime, poor: Callable[[], bool]) -> float:
        trainer = build(
            run.path,
            config.train,
            config.optim,
            self.objective,
            validate=lambda: validated(trainer),
            dropout=config.model.dropout,
            should_prune=poor,
        )
        if (run.checkpoints / "last").is_symlink():
            trainer.load_checkpoint(load_checkpoint(run.checkpoints, "last"))
        trainer.train()
        return trainer.progress.seconds


def go(folder: Path, config: SweepCommandConfig, training: Callable[..., float]) -> SweepDirectory:
    """Run the sweep as the command does, without Hydra."""
    sweep = SweepDirectory(folder)
    space = search_space(config.sweep, config.base())
    groups = {"data": "phrasebook", "model": "lstm", "optim": "adam", "search": "beam", "tracking": "wandb"}
    with pytest.MonkeyPatch.context() as patch, sweep.locked(), app.interruptible(cli.REMEDY):
        patch.setattr(cli, "train_run", training)
        sweep.begin(config, groups)
        cli.train_all(sweep, config, space, trials_of(config.sweep, space), MACHINE)
    return sweep


def records(sweep: SweepDirectory) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial in sweep.trials()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SweepDirectory:
    """Run an uninterrupted sweep."""
    return go(tmp_path_factory.mktemp("plain") / "one", sweep_config(), TinyTraining())


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> SweepDirectory:
    """Run an uninterrupted sweep with the hyperband pruner."""
    return go(tmp_path_factory.mktemp("halved") / "one", sweep_config(pruner=PrunerKind.hyperband), TinyTraining())


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not flush files: durability is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def stop() -> None:
    raise KeyboardInterrupt  # the checkpoint of this step is not written, as after a kill


def test_poor_trials_are_stopped_and_the_others_are_not(plain: SweepDirectory) -> None:
    trials = records(plain)
    assert [trial.number for trial in trials] == list(range(1, 6))
    states = {state: [trial for trial in trials if trial.state == state] for state in TrialState}
    assert states[TrialState.pruned]
    assert len(states[TrialState.complete]) >= 2
    assert all(trial.scores[-1][0] < STEPS for trial in states[TrialState.pruned])
    assert all([step for step, _ in trial.scores] == [3, 6, 9, 12] for trial in states[TrialState.complete])
    for trial in trials:
        assert trial.score == min(score for _, score in trial.scores)
        lines = (plain.run_path(trial.number) / "metrics.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        metrics = [json.loads(line) for line in lines]
        expected = [(line["step"], line["valid/perplexity"]) for line in metrics if "valid/perplexity" in line]
        assert trial.scores == expected


def test_the_weights_of_the_best_trial_alone_are_kept(plain: SweepDirectory, tmp_path: Path) -> None:
    kept = [path.parent.parent.name for path in plain.path.glob("trials/*/checkpoints/best")]
    best = min((trial for trial in records(plain) if trial.state == TrialState.complete), key=lambda each: each.score)
    assert kept == [f"{best.number:03d}"]
    everything = go(tmp_path / "all", sweep_config(trials=2, keep_checkpoints=True), TinyTraining())
    assert len(list(everything.path.glob("trials/*/checkpoints/best"))) == 2


OTHERS = [("plain", 1), ("plain", 29), ("halved", 28)]


@pytest.mark.parametrize(
    ("name", "call"),
    [("plain", 12), ("halved", 13), *(pytest.param(*each, marks=pytest.mark.commands) for each in OTHERS)],
)
def test_interrupted_anywhere_and_started_again_it_finds_the_same(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, call: int
) -> None:
    expected: SweepDirectory = request.getfixturevalue(name)
    config = expected.config()
    with pytest.raises(Interrupted, match="SIGINT") as error:
        go(tmp_path / "one", config, TinyTraining(stop, call))
    assert (error.value.exit_code, error.value.remedy) == (130, "the same command continues")
    with pytest.raises(Interrupted):  # interrupt it again soon after
        go(tmp_path / "one", config, TinyTraining(stop, 2))
    assert records(go(tmp_path / "one", config, TinyTraining())) == records(expected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_keeps_a_checkpoint_and_says_how_to_go_on(
    plain: SweepDirectory, tmp_path: Path, number: signal.Signals
) -> None:
    config = plain.config()
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as error:
        go(tmp_path / "one", config, TinyTraining(lambda: signal.raise_signal(number), 17))
    assert (error.value.exit_code, error.value.remedy) == (128 + number, "the same command continues")
    assert load_checkpoint(tmp_path / "one" / "trials" / "002" / "checkpoints", "last").step == 5
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    with pytest.raises(Interrupted, match="SIGTERM"):  # also between two trainings
        go(tmp_path / "one", config, lambda *_: signal.raise_signal(signal.SIGTERM))
    assert records(go(tmp_path / "one", config, TinyTraining())) == records(plain)


def test_a_finished_sweep_trains_nothing_and_more_trials_go_on_from_it(plain: SweepDirectory, tmp_path: Path) -> None:
    config = plain.config()
    before = records(plain)
    assert records(go(plain.path, config, lambda *_: pytest.fail("trained"))) == before
    first = go(tmp_path / "one", replace(config, sweep=replace(config.sweep, trials=2)), TinyTraining())
    assert records(first) == before[:2]
    assert records(go(tmp_path / "one", config, TinyTraining())) == before


def test_another_configuration_needs_another_folder(plain: SweepDirectory) -> None:
    config = plain.config()
    for other in (replace(config, seed=2), replace(config, sweep=replace(config.sweep, startup=9))):
        with pytest.raises(UserError, match="holds a sweep of another configuration"):
            go(plain.path, other, TinyTraining())
    elsewhere = replace(
        config, machine=replace(config.machine, threads=1), data=replace(config.data, cache="cache", workers=2)
    )
    go(plain.path, elsewhere, TinyTraining())


def test_a_second_process_is_refused(plain: SweepDirectory) -> None:
    with plain.locked(), pytest.raises(UserError, match="is worked on by another process"):
        go(plain.path, plain.config(), TinyTraining())


def failing(*numbers: str) -> Callable[..., float]:
    usual = TinyTraining()

    def training(config: Config, run: RunDirectory, machine: Runtime, poor: Callable[[], bool]) -> float:
        if run.path.name in numbers:
            raise UserError("the loss was not finite")
        return usual(config, run, machine, poor)

    return training


def test_a_training_that_fails_is_a_failed_trial_and_three_in_a_row_end_the_sweep(tmp_path: Path) -> None:
    sweep = go(tmp_path / "one", sweep_config(trials=5), failing("001", "002", "004"))
    states = [trial.state for trial in records(sweep)]
    assert [state == TrialState.failed for state in states] == [True, True, False, True, False]
    assert records(sweep)[0].reason == "the loss was not finite"
    assert "| failed: the loss was not finite |" in write_report(sweep)
    with pytest.raises(UserError, match="3 trials in a row failed, the last one: the loss was not finite"):
        go(tmp_path / "two", sweep_config(), failing("001", "002", "003"))


def test_a_damaged_record_is_named(plain: SweepDirectory, tmp_path: Path) -> None:
    sweep = go(tmp_path / "one", sweep_config(trials=1), TinyTraining())
    path = sweep.run_path(1) / "trial.json"
    path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    with pytest.raises(UserError, match="001 to train this trial again"):
        sweep.trials()


def test_the_group_in_wandb_is_the_sweeps_name_unless_another_is_given(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path / "nine")
    config = sweep_config()
    made = cli.trial_config(config, sweep, {"model.dropout": 0.1})
    assert (made.tracking.group, made.model.dropout) == ("nine", 0.1)
    config.tracking.group = "own"
    assert cli.trial_config(config, sweep, {}).tracking.group == "own"


@pytest.mark.parametrize(("given", "multirun", "group"), [(None, None, None), (None, "m", "m"), ("own", "m", "own")])
def test_the_jobs_of_a_multirun_are_one_group(given: str | None, multirun: str | None, group: str | None) -> None:
    config = sweep_config().base()
    config.tracking.group = given
    assert with_multirun_group(config, multirun).tracking.group == group


@pytest.fixture
def conf(tmp_path: Path) -> Iterator[Path]:
    """Set up Hydra with a copy of the configuration folder, to which files can be added."""
    folder = Path(shutil.copytree(conf_dir(), tmp_path / "conf"))
    with composing_in(str(folder)):
        yield folder


def test_the_report_names_the_best_and_its_experiment_file_composes_to_it(plain: SweepDirectory, conf: Path) -> None:
    trials, config = records(plain), plain.config()
    best = best_trial(trials, Metric.perplexity)
    assert best is not None
    assert best.score == min(trial.score for trial in trials if trial.state == TrialState.complete)
    report = write_report(plain)
    assert (plain.path / "report.md").read_text(encoding="utf-8") == report
    assert f"Best: trial {best.number}, validation perplexity {best.score:.2f}, at step" in report
    assert report.count("| pruned |") == sum(trial.state == TrialState.pruned for trial in trials)
    for name in ("history", "slices", "parallel"):
        assert (plain.path / "plots" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    write_experiment(plain)
    shutil.copy(plain.path / "experiment" / "best.yaml", conf / "experiment")
    composed = from_hydra(Config, compose("train", overrides=["experiment=best"]))
    expected = with_values(config.base(), best.parameters)
    for part in ("data", "model", "optim", "train", "search", "seed"):
        assert getattr(composed, part) == getattr(expected, part), part


@pytest.mark.parametrize(("score", "noise"), [(0.4, True), (0.0, True), (30.0, False)])
def test_a_report_says_so_if_the_best_bleu_is_noise(tmp_path: Path, score: float, noise: bool) -> None:
    tree = {"model": {"dropout": {"choices": [0.1, 0.2]}}}
    config = sweep_config(sampler=SamplerKind.grid, parameters=tree, trials=None)
    config = replace(config, train=replace(config.train, metric=Metric.bleu))
    sweep = SweepDirectory(tmp_path / "one")
    sweep.begin(config, {})
    sweep.write(Trial(1, {"model.dropout": 0.1}, TrialState.complete, [(2, score)], score))
    assert ("is noise; these trials are ranked by validation perplexity" in write_report(sweep)) == noise


def test_hyperband_counts_steps_alone() -> None:
    train = replace(sweep_config().train, interval_unit=IntervalUnit.epochs)
    for kind, problems in ((PrunerKind.median, 0), (PrunerKind.hyperband, 1)):
        config = replace(sweep_config(pruner=kind), train=train)
        assert sum(name == "sweep.pruner" for name, _ in config.problems()) == problems


def test_a_grid_is_reported_before_it_has_begun(tmp_path: Path) -> None:
    tree = {"model": {"dropout": {"choices": [0.1, 0.2]}}}
    config = sweep_config(sampler=SamplerKind.grid, parameters=tree, trials=None)
    sweep = SweepDirectory(tmp_path / "one")
    sweep.begin(config, {})
    assert "0 of 2 trials" in write_report(sweep)
    with pytest.raises(UserError, match="is not a sweep"):
        SweepDirectory.open(str(tmp_path))
