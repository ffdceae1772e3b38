"""Bitwise reproducibility of training: repeated, or interrupted at any step and continued."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from family import MEMBERS
from tiny_training import SHORT, WAYS, assert_same, build, calling, lines, without_times

from nmt.config import OptimConfig, OptimizerKind, PositionKind, Tying
from nmt.errors import Interrupted
from nmt.run import load_checkpoint, load_weights
from nmt.training import Trainer

END = 12  # step at which patience ends the training


def assert_same_run(actual: Path, expected: Path) -> None:
    """Check that weights, optimizer, random states, position, counts and metrics are equal to the bit."""
    assert lines(actual) == lines(expected)
    for link in ("last", "best"):
        mine, theirs = (load_checkpoint(folder / "checkpoints", link) for folder in (actual, expected))
        assert mine.step == theirs.step
        assert_same(mine.weights, theirs.weights)
        assert_same(mine.tensors, theirs.tensors)
        assert without_times(mine.state) == without_times(theirs.state)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a training without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    build(folder).train()
    return folder


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable fsync: power failures are not tested here, and it takes half the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def restored(folder: Path, **options: Any) -> Trainer:
    """Build everything again, as another process would, and load the last checkpoint."""
    trainer = build(folder, **options)
    torch.manual_seed(99)
    trainer.load_checkpoint(load_checkpoint(trainer.checkpoints, "last"))
    return trainer


def continue_training(folder: Path, **options: Any) -> None:
    restored(folder, **options).train()


def test_the_same_seed_gives_the_same_bits_and_another_does_not(whole: Path, tmp_path: Path) -> None:
    build(tmp_path / "again").train()
    assert_same_run(tmp_path / "again", whole)
    build(tmp_path / "other", seed=2).train()
    assert lines(tmp_path / "other") != lines(whole)


def test_the_uninterrupted_training_has_all_that_a_continued_one_must_repeat(whole: Path) -> None:
    last = load_checkpoint(whole / "checkpoints", "last")
    progress = last.state["progress"]
    assert (last.step, progress["step"], progress["stopped"], progress["since_best"]) == (END, END, True, 2)
    assert (progress["best"], progress["best_step"]) == (-3.0, 8)
    assert progress["window"]["steps"] == 2
    assert last.state["schedule"] == {"lowered": 0.125, "since_best": 0}
    assert last.state["position"]["epoch"] > 1
    assert load_checkpoint(whole / "checkpoints", "best").step == 8
    assert [line["step"] for line in lines(whole)] == [2, 4, 5, 6, 8, 10, 10, 12]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 11, END])
def test_stopped_by_a_signal_and_continued_it_is_the_same_to_the_bit(whole: Path, tmp_path: Path, step: int) -> None:
    stop = calling(lambda: signal.raise_signal(signal.SIGTERM), call=2 * step)
    with pytest.raises(Interrupted, match="SIGTERM"):
        build(tmp_path, objective=stop).train()
    assert load_checkpoint(tmp_path / "checkpoints", "last").step == step
    continue_training(tmp_path)
    assert_same_run(tmp_path, whole)


def test_stopped_after_every_step_it_is_the_same_to_the_bit(whole: Path, tmp_path: Path) -> None:
    """Interrupt after every step, so that small losses add up and are detected."""
    stop = calling(lambda: signal.raise_signal(signal.SIGINT), call=1)
    with pytest.raises(Interrupted):
        build(tmp_path, objective=stop).train()
    for _ in range(END - 1):
        stop = calling(lambda: signal.raise_signal(signal.SIGINT), call=1)
        with pytest.raises(Interrupted):
            continue_training(tmp_path, objective=stop)
    assert_same_run(tmp_path, whole)


class PowerCut(BaseException):
    pass


def cut_power() -> None:
    raise PowerCut


@pytest.mark.parametrize("step", [3, 6, 8, END])
def test_broken_off_between_checkpoints_and_continued_it_is_the_same_to_the_bit(
    whole: Path, tmp_path: Path, step: int
) -> None:
    with pytest.raises(PowerCut):
        build(tmp_path, objective=calling(cut_power, call=2 * step)).train()
    assert load_checkpoint(tmp_path / "checkpoints", "last").step < step
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 99, "train/loss": 1.0}\n{"step": 9')
    (tmp_path / "checkpoints" / "step-00000008.tmp").mkdir()
    continue_training(tmp_path)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("name", ["step-00000008", "best", "last"])
def test_broken_off_while_it_saves_its_best_and_continued_it_is_the_same_to_the_bit(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    trainer, replace_file = build(tmp_path), os.replace

    def replacing(source: Path, target: Path) -> None:
        if trainer.progress.step == 8 and target.name == name:
            raise PowerCut
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replacing)
        with pytest.raises(PowerCut):
            trainer.train()
    assert load_checkpoint(tmp_path / "checkpoints", "last").step == 6
    continue_training(tmp_path)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("kind", list(OptimizerKind))
def test_every_optimizer_continues_to_the_bit_in_bfloat16_too(tmp_path: Path, kind: OptimizerKind) -> None:
    optim = OptimConfig(kind, 0.01, momentum=0.9, warmup_steps=2)
    options: dict[str, Any] = {"config": replace(SHORT, max_steps=5), "optim": optim, "bfloat16": True}
    build(tmp_path / "whole", **options).train()
    stop = calling(lambda: signal.raise_signal(signal.SIGINT), call=7)
    with pytest.raises(Interrupted, match="SIGINT"):
        build(tmp_path / "parts", objective=stop, **options).train()
    continue_training(tmp_path / "parts", **options)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    _, kept = load_weights(tmp_path / "parts" / "checkpoints", "last")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}


MODELS = [
    *MEMBERS,
    *({"tying": tying} for tying in Tying),
    {"input_feeding": True, "fixed_masks": False},
    {"bidirectional": False, "encoder_layers": 3, "decoder_layers": 1},
    {"kind": "transformer"},
    {"kind": "transformer", "pre_norm": True, "positions": PositionKind.learned},
    {"kind": "convolutional", "encoder_layers": 2},
]


@pytest.mark.commands
@pytest.mark.parametrize("shape", MODELS, ids=str)
def test_every_model_gives_the_same_bits_when_it_is_continued(tmp_path: Path, shape: dict[str, Any]) -> None:
    options: dict[str, Any] = {"config": replace(SHORT, max_steps=3), "shape": shape}
    build(tmp_path / "whole", **options).train()
    stop = calling(lambda: signal.raise_signal(signal.SIGINT), call=3)
    with pytest.raises(Interrupted):
        build(tmp_path / "parts", objective=stop, **options).train()
    continue_training(tmp_path / "parts", **options)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_of_training_continues_to_the_bit(tmp_path: Path, way: dict[str, Any]) -> None:
    config = replace(SHORT, max_steps=7, **way)
    build(tmp_path / "whole", config).train()
    stopped = build(tmp_path / "parts", config)
    for _ in range(3):
        stopped.objective = calling(lambda: signal.raise_signal(signal.SIGINT), 3, stopped.objective)
        with pytest.raises(Interrupted):
            stopped.train()
        stopped = restored(tmp_path / "parts", config=config)
    stopped.train()
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_a_finished_training_that_is_continued_does_nothing(whole: Path, tmp_path: Path) -> None:
    build(tmp_path).train()
    continue_training(tmp_path, objective=calling(cut_power, call=1))
    assert_same_run(tmp_path, whole)
