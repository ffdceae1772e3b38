"""Integration tests of the sweep command: interruptions, errors, reports; and the wandb group of a multirun."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import SMALL, call, refused, start

pytestmark = pytest.mark.commands

ARGUMENTS = (
    *SMALL,
    "train.max_steps=30",
    "sweep.parameters.optim.learning_rate.low=1e-3",
    "sweep.parameters.optim.learning_rate.high=1e-1",
    "sweep.parameters.data.tokenizer.vocab_size={low:250,high:300,step:50}",
    "sweep.parameters.data.max_pieces=null",
    "sweep.parameters.model=null",
    "sweep.parameters.train=null",
    "sweep.trials=4",
    "sweep.startup=2",
    "sweep.prune_after_trials=1",
    "sweep.prune_after_steps=0",
)


def records(folder: Path) -> list[dict[str, Any]]:
    trials = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("trials/*/trial.json"))]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in trials]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run an uninterrupted sweep."""
    folder = tmp_path_factory.mktemp("plain")
    output, error = call("sweep", *ARGUMENTS, cwd=folder)
    assert output.rstrip("\n").split("\n")[-1] == "sweeps/phrasebook_bayesian"
    assert (
        sum(
            f"trial {number} of 4: " in line and "minutes left" in line
            for number in range(1, 5)
            for line in error.split("\n")
        )
        == 4
    )
    return folder / "sweeps" / "phrasebook_bayesian"


def stopped(folder: Path, number: int, trial: int) -> tuple[int, str]:
    """Start the sweep, send a signal when a trial has a checkpoint, and return exit code and standard error."""
    process = start("sweep", *ARGUMENTS, cwd=folder)
    deadline = time.monotonic() + 300
    while not (folder / "sweeps" / "phrasebook_bayesian" / "trials" / f"{trial:03d}" / "checkpoints" / "last").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    return process.returncode, error


def test_killed_and_stopped_and_continued_by_the_same_command_it_finds_the_same(plain: Path, tmp_path: Path) -> None:
    code, error = stopped(tmp_path, signal.SIGTERM, 1)
    assert code == 143
    assert error.rstrip("\n").split("\n")[-1] == "nmt: stopped by SIGTERM; the same command continues"
    assert stopped(tmp_path, signal.SIGKILL, 2)[0] == -signal.SIGKILL
    call("sweep", *ARGUMENTS, cwd=tmp_path)
    assert records(tmp_path / "sweeps" / "phrasebook_bayesian") == records(plain)


def test_the_best_trial_is_trained_again_by_its_experiment_file(plain: Path, tmp_path: Path) -> None:
    folder = plain.parent.parent
    output, _ = call("sweep", "report=sweeps/phrasebook_bayesian", cwd=folder)
    assert output.startswith("# Sweep phrasebook_bayesian\n")
    arguments = ("--config-dir", str(plain), "experiment=best", "machine.threads=1", "tracking.mode=disabled")
    call("train", *arguments, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    best = max((trial for trial in records(plain) if trial["state"] == "complete"), key=lambda trial: trial["score"])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().split("\n") if line]
    assert [[line["step"], line["valid/bleu"]] for line in lines if "valid/bleu" in line] == best["scores"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "+sweep.parameters.optim.lerning_rate.low=1",
            "optim.lerning_rate is not a key of the training configuration; did you mean",
        ),
        ("sweep.parameters.model.dropout.high=0.99", "model.dropout is 0.99; allowed: from 0 to 0.95"),
        ("sweep.trails=3", "unknown configuration key sweep.trails; did you mean sweep.trials?"),
        ("sweep.trials=0", "sweep.trials is 0; allowed: at least 1"),
        (
            "sweep=baysian",
            "there is no configuration file sweep/baysian; there are: bayesian grid learning_rate multi30k random",
        ),
        ("train.metric=perplexity", "use train.metric=bleu"),
        ("report=nowhere", "report=nowhere is not a sweep"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_trained(tmp_path: Path, argument: str, message: str) -> None:
    assert message in refused("sweep", "experiment=phrasebook", argument, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_each_job_of_a_multirun_is_a_run_of_its_own_and_all_are_one_group(tmp_path: Path) -> None:
    arguments = (
        *SMALL,
        "train.max_steps=4",
        "tracking.mode=offline",
        "seed=1,2",
        f"hydra.sweep.dir={tmp_path / 'two'}",
    )
    call("train", "-m", *arguments, cwd=tmp_path)
    runs = [tmp_path / "two" / name for name in ("0", "1")]
    for run in runs:
        assert yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["tracking"]["group"] == "two"
        (segment,) = run.glob("wandb/offline-run-*/run-*.wandb")
        assert segment.name == f"run-{(run / 'wandb_id').read_text(encoding='utf-8')}.wandb"
        assert b"test/bleu" in segment.read_bytes()  # and not cut off by the start of the next
    assert len({(run / "wandb_id").read_text(encoding="utf-8") for run in runs}) == 2
