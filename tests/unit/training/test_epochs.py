"""Validations, checkpoints and patience counted in epochs, and interruptions within an epoch."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_training import PLAIN, SHORT, SRC, batches, build, calling, lines

from nmt.config import IntervalUnit, Metric
from nmt.errors import Interrupted
from nmt.run import load_average, load_checkpoint
from nmt.run.checkpoint import steps

BATCHES = -(-len(SRC) // SHORT.batch_size)  # per epoch: 6
EPOCHS = replace(
    SHORT,
    max_steps=14,
    accumulate=1,
    interval_unit=IntervalUnit.epochs,
    validate_every=1,
    checkpoint_every=1,
    patience=0,
    keep_checkpoints=2,
)


def validated(folder: Path) -> list[float]:
    return [line["step"] for line in lines(folder) if "valid/bleu" in line]


def test_an_epoch_ends_with_its_last_batch_and_not_with_the_next_ones_first() -> None:
    source = batches()
    actual = []
    for _ in range(2 * BATCHES + 1):
        source.next()
        actual.append(source.finished_epochs)
    assert actual == [0] * (BATCHES - 1) + [1] * BATCHES + [2] * 2


@pytest.mark.parametrize(
    ("accumulate", "every", "expected"),
    [
        (1, 1, [6, 12, 14]),
        (1, 2, [12, 14]),
        (
            4,
            1,
            [2, 3, 5, 6, 8, 9, 11, 12, 14],
        ),  # step 2 reads batches 5 to 8, which include the last one of the first epoch
        (12, 3, [2, 3, 5, 6, 8, 9, 11, 12, 14]),  # two epochs per step: a multiple of three is reached in or before it
    ],
)
def test_it_validates_after_the_step_that_reads_the_last_batch_of_an_epoch(
    tmp_path: Path, accumulate: int, every: int, expected: list[int]
) -> None:
    build(tmp_path, replace(EPOCHS, accumulate=accumulate, validate_every=every)).train()
    assert validated(tmp_path) == expected


def test_checkpoints_are_of_the_last_epochs(tmp_path: Path) -> None:
    trainer = build(tmp_path, replace(EPOCHS, max_steps=4 * BATCHES, validate_every=4, keep_checkpoints=3))
    trainer.train()
    assert validated(tmp_path) == [4 * BATCHES]
    assert steps(trainer.checkpoints) == [4 * BATCHES, 3 * BATCHES, 2 * BATCHES]


def test_patience_counts_epochs(tmp_path: Path) -> None:
    trainer = build(
        tmp_path,
        replace(EPOCHS, max_steps=100, patience=3, metric=Metric.loss),
        validate=lambda: {"valid/loss": 2.0, "valid/perplexity": 7.0, "valid/bleu": float(trainer.progress.step)},
    )
    trainer.train()
    assert (trainer.progress.best_step, trainer.progress.step) == (BATCHES, 4 * BATCHES)


@pytest.mark.parametrize("step", [1, 5, 6, 7, 9, 13])
def test_an_interruption_within_an_epoch_does_not_change_what_is_averaged(tmp_path: Path, step: int) -> None:
    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    build(whole, EPOCHS, PLAIN).train()
    stop = calling(lambda: signal.raise_signal(signal.SIGTERM), call=step)
    with pytest.raises(Interrupted):
        build(interrupted, EPOCHS, PLAIN, objective=stop).train()
    trainer = build(interrupted, EPOCHS, PLAIN)
    assert load_checkpoint(trainer.checkpoints, "last").step == step
    trainer.load_checkpoint(load_checkpoint(trainer.checkpoints, "last"))
    trainer.train()
    assert lines(interrupted) == lines(whole)
    assert steps(interrupted / "checkpoints") == steps(whole / "checkpoints") == [14, 12, 6][: 2 + (step < 0)]
    theirs, ours = (load_average(folder / "checkpoints", 2)[1] for folder in (whole, interrupted))
    assert all((theirs[name] == ours[name]).all() for name in theirs)


def test_two_interruptions_in_one_epoch_leave_the_checkpoints_of_epochs_alone(tmp_path: Path) -> None:
    for calls in (8, 1):  # in steps 8 and 9
        trainer = build(tmp_path, EPOCHS, objective=calling(lambda: signal.raise_signal(signal.SIGTERM), call=calls))
        if trainer.checkpoints.exists():
            trainer.load_checkpoint(load_checkpoint(trainer.checkpoints, "last"))
        with pytest.raises(Interrupted):
            trainer.train()
    assert steps(tmp_path / "checkpoints") == [9, 6]
