"""Training loop on a tiny model: updates, checkpoints, skipped steps and stopping."""

import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import PLAIN, SHORT, SRC, TGT, WAYS, assert_same, batches, build, lines, weights
from torch import Tensor

from nmt.config import Metric, ObjectiveKind, OptimConfig, OptimizerKind, ScheduleKind, TrainConfig
from nmt.data import Batch, make_batch
from nmt.models import Seq2Seq
from nmt.run import load_checkpoint, load_weights
from nmt.training import Trainer, cross_entropy
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput, negative_log_likelihood
from nmt.training.optim import optimizer_tensors

NO_VALIDATION = replace(SHORT, max_steps=3, accumulate=1, validate_every=50, checkpoint_every=50, log_every=1)


@pytest.mark.parametrize("parts", [[4, 4], [1, 7], [2, 3, 3]])
def test_parts_of_a_batch_accumulated_move_the_weights_as_the_whole_does(tmp_path: Path, parts: list[int]) -> None:
    one, several = (build(tmp_path / name, optim=PLAIN, dropout=0.0) for name in ("one", "several"))
    before = weights(one.model)
    one.update([make_batch(SRC[:8], TGT[:8], range(8))])
    ends = list(itertools.accumulate(parts))
    slices = [slice(end - size, end) for end, size in zip(ends, parts, strict=True)]
    several.update([make_batch(SRC[part], TGT[part], range(8)[part]) for part in slices])
    # Plain gradient descent with a learning rate of one moves a weight by its gradient.
    moved, expected = (
        {name: new - before[name] for name, new in weights(trainer.model).items()} for trainer in (several, one)
    )
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=1e-4)
    assert several.progress.window.tokens == one.progress.window.tokens == sum(len(line) + 1 for line in TGT[:8])
    assert several.progress.window.norm == pytest.approx(one.progress.window.norm, rel=1e-4)


def test_the_gradient_is_that_of_the_mean_over_all_tokens(tmp_path: Path) -> None:
    trainer = build(tmp_path, optim=PLAIN, dropout=0.0)
    batch = make_batch(SRC[:8], TGT[:8], range(8))
    logits = trainer.model(batch.src, batch.src_mask, batch.tgt_in)
    mean = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.tgt_out.flatten(), ignore_index=0, label_smoothing=SHORT.label_smoothing
    )
    parameters = dict(trainer.model.named_parameters())
    gradients = torch.autograd.grad(mean, list(parameters.values()))
    expected = {
        name: parameter.detach() - gradient
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
    }
    trainer.update([batch])
    torch.testing.assert_close(weights(trainer.model), expected, atol=1e-6, rtol=1e-4)


def test_a_window_of_metrics_is_the_mean_over_its_tokens(tmp_path: Path) -> None:
    still = OptimConfig(OptimizerKind.sgd, learning_rate=0.0, schedule=ScheduleKind.constant, warmup_steps=0)
    trainer = build(tmp_path, replace(NO_VALIDATION, log_every=3, accumulate=2), still, dropout=0.0)
    source = batches()
    seen = [source.next() for _ in range(6)]
    results = [cross_entropy(SHORT.label_smoothing)(trainer.model, batch) for batch in seen]
    tokens = sum(batch.tokens for batch in seen)
    trainer.train()
    actual = lines(tmp_path)[0]
    assert actual["step"] == 3
    assert actual["train/loss"] == pytest.approx(sum(output.loss.item() for output in results) / tokens, rel=1e-5)
    mean = sum(output.nll.item() for output in results) / tokens
    assert actual["train/perplexity"] == pytest.approx(math.exp(mean), rel=1e-5)
    assert trainer.progress.window.steps == 0


def test_every_step_has_the_learning_rate_of_its_number(tmp_path: Path) -> None:
    optim = OptimConfig(schedule=ScheduleKind.cosine, warmup_steps=2, learning_rate=0.01, final_ratio=0.1)
    build(tmp_path, replace(NO_VALIDATION, max_steps=6), optim).train()
    rates = [line["train/learning_rate"] for line in lines(tmp_path) if "train/learning_rate" in line]
    wave = [0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi * done / 4)) / 2) for done in range(1, 5)]
    assert rates == pytest.approx([0.005, 0.01, *wave])


@pytest.mark.parametrize(("max_steps", "validated"), [(1, [1]), (3, [2, 3]), (6, [2, 4, 6])])
def test_it_takes_exactly_its_steps_and_validates_at_the_end(
    tmp_path: Path, max_steps: int, validated: list[int]
) -> None:
    calls: list[int] = []
    usual = cross_entropy(0.0)

    def counting(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        calls.append(batch.tokens)
        return usual(model, batch)

    trainer = build(tmp_path, replace(SHORT, max_steps=max_steps, patience=0), objective=counting)
    trainer.train()
    assert len(calls) == 2 * max_steps
    assert [line["step"] for line in lines(tmp_path) if "valid/bleu" in line] == validated
    assert load_checkpoint(trainer.checkpoints, "last").step == max_steps
    trainer.train()
    assert len(calls) == 2 * max_steps


def scripted(trainer: Trainer, perplexities: Sequence[float], bleus: Sequence[float]) -> list[dict[str, Tensor]]:
    """Replace validation by these values in turn; return the list of weights at each validation."""
    seen: list[dict[str, Tensor]] = []

    def validate() -> dict[str, float]:
        number = len(seen)
        seen.append(weights(trainer.model))
        return {"valid/perplexity": perplexities[number], "valid/bleu": bleus[number], "valid/matching_4grams": 9}

    trainer.validate = validate
    return seen


EACH = replace(SHORT, accumulate=1, validate_every=1, patience=0)


@pytest.mark.parametrize(("metric", "best"), [(Metric.perplexity, 2), (Metric.bleu, 4)])
def test_the_best_checkpoint_has_the_weights_that_scored_best(tmp_path: Path, metric: Metric, best: int) -> None:
    trainer = build(tmp_path, replace(EACH, metric=metric, max_steps=5))
    seen = scripted(trainer, perplexities=[5, 3, 4, 3, 9], bleus=[10, 5, 10, 20, 20])
    trainer.train()
    step, kept = load_weights(trainer.checkpoints, "best")
    assert step == trainer.progress.best_step == best
    assert_same(kept, seen[best - 1])
    step, kept = load_weights(trainer.checkpoints, "last")
    assert step == 5
    assert_same(kept, seen[-1])


def test_the_best_weights_are_saved_at_a_step_that_was_skipped(tmp_path: Path) -> None:
    trainer = build(tmp_path, replace(EACH, metric=Metric.perplexity, max_steps=4), objective=spoiled(math.nan, {2}))
    seen = scripted(trainer, perplexities=[5, 3, 4, 4], bleus=[0.0] * 4)
    trainer.train()
    step, kept = load_weights(trainer.checkpoints, "best")
    assert step == trainer.progress.best_step == 2
    assert_same(kept, seen[1])


@pytest.mark.parametrize(("patience", "end"), [(0, 9), (1, 2), (2, 5), (3, 9)])
def test_patience_counts_validations_without_improvement(tmp_path: Path, patience: int, end: int) -> None:
    trainer = build(tmp_path, replace(EACH, metric=Metric.perplexity, patience=patience, max_steps=9))
    seen = scripted(trainer, perplexities=[5, 6, 4, 4, 4.5, 3, 3, 3, 2], bleus=[0.0] * 9)
    trainer.train()
    assert len(seen) == trainer.progress.step == end
    assert trainer.progress.stopped == (patience in (1, 2))
    assert trainer.finished


def test_a_validation_that_overflowed_is_not_a_lasting_record(tmp_path: Path) -> None:
    trainer = build(tmp_path, replace(EACH, max_steps=3))
    scripted(trainer, perplexities=[math.inf, math.inf, 7.0], bleus=[0.0] * 3)
    trainer.train()
    assert trainer.progress.best_step == 3


def spoiled(bad: float, calls: set[int]) -> Objective:
    """Return cross-entropy whose loss, and with it every gradient, is `bad` at these calls."""
    count, usual = itertools.count(1), cross_entropy(0.1)

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        output = usual(model, batch)
        return replace(output, loss=output.loss * bad) if next(count) in calls else output

    return objective


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("call", [3, 4])
def test_a_step_whose_loss_is_not_finite_is_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: float, call: int
) -> None:
    """Spoil the second of three steps with two batches each."""
    trainer = build(tmp_path, replace(NO_VALIDATION, accumulate=2), objective=spoiled(bad, {call}))
    source, states = batches(), []
    for step in (1, 2, 3):
        trainer.update([source.next(), source.next()])
        trainer.progress.step = step
        states.append(weights(trainer.model) | optimizer_tensors(trainer.optimizer))
        states[-1] = {name: tensor.clone() for name, tensor in states[-1].items()}
    assert_same(states[1], states[0])
    assert not torch.equal(states[2]["output_bias"], states[1]["output_bias"])
    assert all(tensor.isfinite().all() for tensor in states[2].values())
    assert trainer.progress.skipped == 1
    (warning,) = caplog.messages
    assert warning.startswith("step 2 skipped")


def test_a_training_continues_after_skipped_steps_and_counts_them(tmp_path: Path) -> None:
    trainer = build(tmp_path, replace(NO_VALIDATION, max_steps=6), objective=spoiled(math.nan, {1, 4}))
    trainer.train()
    checkpoint = load_checkpoint(trainer.checkpoints, "last")
    assert (checkpoint.step, checkpoint.state["progress"]["skipped"]) == (6, 2)
    assert all(tensor.isfinite().all() for tensor in checkpoint.weights.values())


def test_nothing_is_printed_on_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, replace(SHORT, max_steps=4)).train()
    assert capfd.readouterr().out == ""


def test_without_a_terminal_the_numbers_are_logged_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.progress.LOG_SECONDS", -1)
    with caplog.at_level(logging.INFO, "nmt"):
        build(tmp_path, NO_VALIDATION).train()
    assert [message.split("  ")[0] for message in caplog.messages if "tok/s" in message] == [
        f"step {step} of 3" for step in (1, 2, 3)
    ]


@pytest.mark.commands
@pytest.mark.parametrize("way", [{}, *WAYS], ids=str)
def test_every_way_of_training_learns(tmp_path: Path, way: dict[str, Any]) -> None:
    """Check that training pairs become more likely; risk training has no true word and lowers its own loss."""
    config = TrainConfig(max_steps=80, batch_size=8, pool_batches=2, log_every=20, validate_every=99, **way)
    trainer = build(tmp_path, config, OptimConfig(learning_rate=0.03, warmup_steps=5), dropout=0.1)
    batch = make_batch(SRC, TGT, range(len(SRC)))
    before = negative_log_likelihood(trainer.model.eval(), batch)
    trainer.train()
    with trainer.average.in_place():
        after = negative_log_likelihood(trainer.model.eval(), batch)
    losses = [line["train/loss"] for line in lines(tmp_path) if "train/loss" in line]
    assert losses[-1] < losses[0]
    if config.objective != ObjectiveKind.risk:
        assert after < 0.95 * before


def test_the_loss_falls_along_a_known_curve(tmp_path: Path) -> None:
    """Compare with frozen numbers: a change of these changes every training, and must be intended."""
    config = TrainConfig(max_steps=60, batch_size=8, pool_batches=2, log_every=10, validate_every=60)
    optim = OptimConfig(learning_rate=0.02, warmup_steps=5)
    build(tmp_path, config, optim).train()
    actual = [line["train/loss"] for line in lines(tmp_path) if "train/loss" in line]
    assert actual == pytest.approx([2.645048, 2.543947, 2.465822, 2.378308, 2.436822, 2.386990], rel=1e-4)
