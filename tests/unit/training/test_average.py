"""Weight average against its recurrence in plain numbers; validation and checkpoints use the average."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import SHORT, assert_same, batches, build, weights
from torch import Tensor

from nmt.run import load_checkpoint, load_weights
from nmt.training import Trainer, WeightAverage

AVERAGED = replace(SHORT, max_steps=6, accumulate=1, validate_every=2, patience=0, ema_decay=0.6)


def history(trainer: Trainer, steps: int) -> list[dict[str, Tensor]]:
    """Return the weights before the first step and after each step."""
    actual = [weights(trainer.model)]
    for _ in range(steps):
        trainer.update([trainer.batches.next()])
        trainer.progress.step += 1
        actual.append(weights(trainer.model))
    return actual


@pytest.mark.parametrize("decay", [0.15, 0.25, 0.999])
def test_it_follows_its_recurrence(tmp_path: Path, decay: float) -> None:
    trainer = build(tmp_path, replace(AVERAGED, ema_decay=decay))
    seen = history(trainer, 8)
    for name, actual in trainer.average.average.items():
        expected = seen[0][name].double()
        for step in range(1, 9):
            share = min(decay, (1 + step) / (10 + step))
            expected = share * expected + (1 - share) * seen[step][name].double()
        torch.testing.assert_close(actual.double(), expected, atol=1e-6, rtol=1e-5)


def test_the_average_leaves_the_training_as_it_is(tmp_path: Path) -> None:
    plain = build(tmp_path / "plain", replace(AVERAGED, ema_decay=0.0))
    plain.train()
    averaged = build(tmp_path / "averaged", AVERAGED)
    averaged.train()
    assert_same(weights(averaged.model), weights(plain.model))


def test_the_average_is_what_is_validated_and_what_is_kept(tmp_path: Path) -> None:
    trainer = build(tmp_path, AVERAGED)
    seen: list[dict[str, Tensor]] = []

    def validate() -> dict[str, float]:
        seen.append(weights(trainer.model))
        assert_same(seen[-1], trainer.average.average)
        return {"valid/perplexity": [3.0, 2.0, 9.0][len(seen) - 1], "valid/bleu": 0.0}

    trainer.validate = validate
    trainer.train()
    assert_same(load_weights(trainer.checkpoints, "best")[1], seen[1])
    last = load_checkpoint(trainer.checkpoints, "last")
    assert_same(last.weights, seen[2])
    raw = {name.removeprefix("weights."): value for name, value in last.tensors.items() if name.startswith("weights.")}
    assert_same(raw, weights(trainer.model))
    assert not torch.equal(raw["output_bias"], seen[2]["output_bias"])


def test_a_validation_that_fails_gives_the_weights_back(tmp_path: Path) -> None:
    trainer = build(tmp_path, AVERAGED)
    before = history(trainer, 3)[-1]
    with pytest.raises(KeyboardInterrupt), trainer.average.in_place():
        raise KeyboardInterrupt
    assert_same(weights(trainer.model), before)


def test_without_decay_nothing_is_kept(tmp_path: Path) -> None:
    trainer = build(tmp_path, replace(AVERAGED, ema_decay=0.0))
    history(trainer, 2)
    assert trainer.average.average == {}
    assert not trainer.state_dict()["average"]
    before = weights(trainer.model)
    with WeightAverage(trainer.model, 0.0).in_place():
        assert_same(weights(trainer.model), before)


def test_a_skipped_step_is_not_averaged(tmp_path: Path) -> None:
    trainer = build(tmp_path, AVERAGED)
    history(trainer, 1)
    before = {name: value.clone() for name, value in trainer.average.average.items()}
    usual = trainer.objective
    trainer.objective = lambda model, batch: replace(output := usual(model, batch), loss=output.loss * float("nan"))
    trainer.update([batches().next()])
    assert_same(trainer.average.average, before)


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.6), (0.6, 0.0)])
def test_an_average_can_be_begun_and_given_up_where_a_training_is_continued(
    tmp_path: Path, before: float, after: float
) -> None:
    first = build(tmp_path, replace(AVERAGED, ema_decay=before))
    first.train()
    then = build(tmp_path, replace(AVERAGED, ema_decay=after))
    then.load_checkpoint(load_checkpoint(first.checkpoints, "last"))
    assert_same(weights(then.model), weights(first.model))
    if after:
        assert_same(then.average.average, weights(first.model))
