"""Training with too little memory, a full disk or a loss of NaN."""

import errno
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import PLAIN, SHORT, SRC, TGT, assert_same, build, lines, weights
from torch import Tensor

from nmt.config import OptimConfig, ScheduleKind
from nmt.data import Batch, make_batch
from nmt.errors import UserError
from nmt.models import Seq2Seq
from nmt.run import load_checkpoint
from nmt.training import cross_entropy
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput

USUAL = cross_entropy(SHORT.label_smoothing)
CONSTANT = OptimConfig(learning_rate=0.01, schedule=ScheduleKind.constant, warmup_steps=0)
LONG = replace(SHORT, patience=0, max_steps=14)


def room_for(pairs: int, error: Exception, after_backward: bool = False) -> Objective:
    """Return an objective that runs out of memory, at once or in the backward pass, above a number of pairs."""

    def fail(_: Tensor) -> None:
        raise error

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        too_many = len(batch.indices) > pairs
        if too_many and not after_backward:
            raise error
        output = USUAL(model, batch)
        if too_many:
            vectors = (
                model.decoder.readout.weight
            )  # its gradient comes after the gradients of other parameters were added
            vectors.register_hook(fail)
        return output

    return objective


ALLOCATOR = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: 9 G"
)


@pytest.mark.parametrize("error", [MemoryError(), ALLOCATOR, torch.OutOfMemoryError("CUDA out of memory.")])
@pytest.mark.parametrize("room", [1, 3, 7])
def test_a_batch_that_does_not_fit_is_split_until_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, room: int, error: Exception
) -> None:
    whole, parts = (build(tmp_path / name, optim=PLAIN, dropout=0.0) for name in ("whole", "parts"))
    parts.objective = room_for(room, error)
    for trainer in (whole, parts):
        trainer.update([make_batch(SRC[:8], TGT[:8], range(8)), make_batch(SRC[8:12], TGT[8:12], range(8, 12))])
    torch.testing.assert_close(weights(parts.model), weights(whole.model), atol=1e-6, rtol=1e-4)
    assert parts.progress.window.loss == pytest.approx(whole.progress.window.loss, rel=1e-5)
    assert parts.progress.window.tokens == whole.progress.window.tokens
    assert "8 pairs" in caplog.messages[0]
    assert "train.batch_size" in caplog.messages[0]


def test_what_a_broken_off_backward_pass_had_added_does_not_count(tmp_path: Path) -> None:
    whole, parts = (build(tmp_path / name, optim=PLAIN, dropout=0.0) for name in ("whole", "parts"))
    broken = room_for(4, MemoryError(), after_backward=True)

    def once_broken(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        model.decoder.readout.weight._backward_hooks = None
        return broken(model, batch)

    parts.objective = once_broken
    for trainer in (whole, parts):
        trainer.update([make_batch(SRC[:4], TGT[:4], range(4)), make_batch(SRC[4:12], TGT[4:12], range(4, 12))])
    torch.testing.assert_close(weights(parts.model), weights(whole.model), atol=1e-6, rtol=1e-4)


def test_no_memory_for_a_single_pair_is_reported_in_one_line(tmp_path: Path) -> None:
    trainer = build(tmp_path, objective=room_for(0, MemoryError()))
    with pytest.raises(UserError, match="no memory for a batch of 1 pairs"):
        trainer.train()


def test_another_error_of_the_model_is_not_taken_for_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        build(tmp_path, objective=room_for(0, RuntimeError("shapes do not fit"))).train()


def spoiled_from(call: int) -> Objective:
    """Return an objective whose loss is NaN from this call on."""
    calls = iter(range(1, 10**6))

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        output = USUAL(model, batch)
        return replace(output, loss=output.loss * math.nan) if next(calls) >= call else output

    return objective


@pytest.mark.parametrize(("bad_step", "kept", "updates"), [(1, 2, 0), (8, 8, 7), (9, 8, 8)])
def test_many_steps_in_a_row_that_are_not_finite_end_it_with_weights_from_before(
    tmp_path: Path, bad_step: int, kept: int, updates: int
) -> None:
    """A validation is due every two steps, and the best one is saved although its step was skipped."""
    config = replace(LONG, max_skipped=3, max_steps=100)
    good = build(tmp_path / "good", replace(config, max_steps=max(updates, 1)))
    good.train()
    trainer = build(tmp_path / "bad", config, objective=spoiled_from(2 * bad_step - 1))
    before = weights(trainer.model)
    with pytest.raises(UserError, match=rf"3 steps was not finite.*continue the checkpoint of step {kept} with"):
        trainer.train()
    assert trainer.progress.step == bad_step + 2
    checkpoint = load_checkpoint(tmp_path / "bad" / "checkpoints", "last")
    assert checkpoint.step == kept
    assert_same(checkpoint.weights, before if bad_step == 1 else weights(good.model))


def test_the_metrics_count_the_skipped_steps(tmp_path: Path) -> None:
    config = replace(LONG, max_skipped=2, log_every=1, max_steps=20)
    with pytest.raises(UserError):
        build(tmp_path, config, objective=spoiled_from(11)).train()
    skipped = [(line["step"], line["train/skipped_steps"]) for line in lines(tmp_path) if "train/loss" in line]
    assert skipped == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1)]


def test_training_continues_from_memory_while_the_disk_is_full_and_saves_when_there_is_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from step 5 to step 9; every save and line of metrics in between fails."""
    # The learning rate is constant; with the plateau schedule, a lost best score would change it.
    plain = build(tmp_path / "plain", LONG, CONSTANT)
    plain.train()
    trainer = build(tmp_path / "full", LONG, CONSTANT)
    opened = Path.open

    def full(path: Path, mode: str = "r", **options: object) -> object:
        if 5 <= trainer.progress.step < 9 and mode not in ("r", "rb") and tmp_path / "full" in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, mode, **options)

    def no_folder(path: Path, *args: object, **options: object) -> None:
        if 5 <= trainer.progress.step < 9:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        os.makedirs(path, exist_ok=True)

    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr(Path, "mkdir", no_folder)
    last_whole = []
    validate = trainer.validate

    def validating() -> dict[str, float]:
        if trainer.progress.step == 8:
            last_whole.append(load_checkpoint(trainer.checkpoints, "last").step)
        return validate()

    trainer.validate = validating
    trainer.train()
    assert last_whole == [4]
    assert any("No space left" in message and "Training continues" in message for message in caplog.messages)
    assert_same(weights(trainer.model), weights(plain.model))
    assert lines(tmp_path / "full") == lines(tmp_path / "plain")
    assert load_checkpoint(trainer.checkpoints, "last").step == 14
    # The best score of step 8 was lost with its weights; the best on disk is a checkpoint that was written.
    best = load_checkpoint(trainer.checkpoints, "best")
    assert (best.step, best.state["progress"]["best_step"]) == (14, 14)
    shutil.rmtree(tmp_path / "full")


def test_a_training_whose_last_checkpoint_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", no_link)
    with pytest.raises(UserError, match="last checkpoint could not be written"):
        build(tmp_path).train()
