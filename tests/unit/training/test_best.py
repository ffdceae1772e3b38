"""Rule of the best validation and of progress, for sequences of BLEU and perplexity."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_training import PLATEAU, SHORT, build, weights

from nmt.config import Metric, OptimConfig, ScheduleKind
from nmt.run import load_checkpoint, load_weights
from nmt.training import Trainer
from nmt.training.best import LEAST_BLEU, record_validation
from nmt.training.progress import Progress

Sequence = list[tuple[float, float]]
"""BLEU and perplexity of each validation. A BLEU with a fraction of .125 comes from smoothing: no 4-gram matches."""


def measured(bleu: float, perplexity: float) -> dict[str, float]:
    matches = 0 if bleu % 1 == 0.125 or not bleu > 0 else 1
    loss = math.log(perplexity) + 0.5
    return {"valid/bleu": bleu, "valid/matching_4grams": matches, "valid/perplexity": perplexity, "valid/loss": loss}


UNSPACED: Sequence = [(0.0, 10.9), (0.0, 6.2), (0.0, 4.0), (0.0, 3.1), (0.0, 2.5), (0.0, 2.1), (0.0, 1.9), (0.0, 1.8)]
"""English to a target without spaces, BLEU by words between spaces: only perplexity shows that the model learns."""
SPACED: Sequence = [(2.1, 60.0), (9.7, 25.0), (21.0, 12.0), (19.5, 10.0), (24.0, 9.0), (23.9, 8.5), (24.0, 9.5)]


def marks(sequence: Sequence, metric: Metric = Metric.bleu) -> tuple[str, int]:
    """For each validation b (best), p (only progress) or a dot, and the number of the best one, from 1."""
    progress, actual = Progress(), ""
    for step, (bleu, perplexity) in enumerate(sequence, 1):
        progress.step = step
        verdict = record_validation(measured(bleu, perplexity), progress, metric)
        actual += "b" if verdict.best else "p" if verdict.progress else "."
        assert verdict.progress == (progress.since_best == 0)
    return actual, progress.best_step


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (UNSPACED, ("bbbbbbbb", 8)),
        (SPACED, ("bbb.b..", 5)),
        ([*UNSPACED[:3], (0.0, 4.5), (0.0, 4.6)], ("bbb..", 3)),  # overfitting ends it, by perplexity
        ([(0.3, 9.0), (0.1, 7.0), (0.4, 8.0), (0.4, 8.0), (0.39, 7.5), (0.2, 6.0)], ("bbp..b", 6)),
        ([(0.6, 90.0), (0.0, 70.0), (0.2, 40.0), (1.2, 45.0), (0.9, 20.0), (5.0, 30.0)], ("bbbb.b", 6)),
        ([(0.0, 15.0), (3.125, 14.0), (0.0, 13.0), (2.125, 12.0), (0.0, 12.5)], ("bbbb.", 4)),  # made by smoothing
        ([(4.125, 15.0), (3.125, 16.0), (1.5, 17.0), (1.4, 9.0), (4.5, 8.0)], ("b.b.b", 5)),
        ([(12.0, 9.0), (12.0, 8.0), (12.0, 8.5), (12.0, 8.0), (12.0, 7.9)], ("bb..b", 5)),  # ties
        ([(0.0, math.inf), (0.0, math.inf), (0.0, 30.0), (0.0, math.inf)], ("b.b.", 3)),
        ([(20.0, math.inf), (20.0, 5.0), (21.0, math.inf), (20.0, 4.0)], ("bbb.", 3)),
        ([(math.nan, 5.0), (0.0, 6.0), (math.nan, 4.0)], (".b.", 2)),
    ],
)
def test_bleu_decides_once_it_means_something_and_perplexity_before_and_in_ties(
    sequence: Sequence, expected: tuple[str, int]
) -> None:
    assert marks(sequence) == expected


@pytest.mark.parametrize("metric", [Metric.perplexity, Metric.loss])
def test_perplexity_and_loss_know_no_bleu(metric: Metric) -> None:
    assert marks(SPACED, metric) == ("bbbbbb.", 6)
    assert marks([(0.0, 5.0), (30.0, 5.0), (0.0, 4.9)], metric) == ("b.b", 3)


@pytest.mark.parametrize("sequence", [SPACED, [(LEAST_BLEU + x, 50 - x) for x in (0.1, 0.3, 0.2, 9, 8, 9.5, 9.4)]])
def test_where_bleu_means_something_and_no_two_are_equal_the_highest_is_best(sequence: Sequence) -> None:
    """Check the earlier rule without perplexity: default trainings keep their best checkpoint."""
    bleus = [bleu for bleu, _ in sequence]
    assert marks(sequence)[1] == bleus.index(max(bleus)) + 1


def scripted(folder: Path, sequence: Sequence, patience: int, optim: OptimConfig = PLATEAU) -> Trainer:
    config = replace(
        SHORT, accumulate=1, validate_every=1, patience=patience, max_steps=len(sequence), metric=Metric.bleu
    )
    trainer = build(folder, config, optim)

    def validate() -> dict[str, float]:
        return measured(*sequence[trainer.progress.step - 1])

    trainer.validate = validate
    return trainer


def test_a_training_at_bleu_zero_continues_while_perplexity_falls_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    trainer = scripted(tmp_path, UNSPACED, patience=1)
    trainer.train()
    assert (trainer.progress.step, trainer.progress.stopped) == (len(UNSPACED), False)
    step, kept = load_weights(trainer.checkpoints, "best")
    assert step == len(UNSPACED)
    assert all((kept[name] == weight).all() for name, weight in weights(trainer.model).items())
    assert trainer.schedule.lowered == 1.0  # the plateau schedule with a patience of 0


def test_a_training_at_bleu_zero_stops_when_perplexity_rises(tmp_path: Path) -> None:
    trainer = scripted(tmp_path, [*UNSPACED[:4], *[(0.0, 3.2 + x) for x in range(9)]], patience=3)
    trainer.train()
    assert (trainer.progress.best_step, trainer.progress.step) == (4, 7)
    assert trainer.schedule.lowered == pytest.approx(0.5**3)


def test_the_rule_is_the_same_after_an_interruption(tmp_path: Path) -> None:
    sequence: Sequence = [(0.5, 9.0), (0.0, 8.0), (0.4, 8.5), (0.1, 8.2), (0.0, 7.0), (0.6, 9.0), (0.2, 8.0)]
    whole = scripted(tmp_path / "whole", sequence, patience=0)
    whole.train()
    for end in range(1, len(sequence) + 1):
        part = scripted(tmp_path / "parts", sequence, patience=0)
        if part.checkpoints.exists():
            part.load_checkpoint(load_checkpoint(part.checkpoints, "last"))
        part.config = replace(part.config, max_steps=end)
        part.train()
    expected = {
        "best": 0.0,
        "best_step": 5,
        "best_perplexity": 7.0,
        "bleu_means_something": False,
        "highest_bleu": 0.6,
        "since_best": 1,
    }
    for trainer in (part, whole):
        assert {name: getattr(trainer.progress, name) for name in expected} == expected


@pytest.mark.parametrize(("sequence", "best"), [(UNSPACED, 8), ([(30.0, 9.0), (31.0, 8.0), (29.0, 7.0)], 2)])
def test_a_checkpoint_of_a_version_without_this_rule_is_continued(
    tmp_path: Path, sequence: Sequence, best: int
) -> None:
    trainer = scripted(tmp_path, sequence, patience=0)
    trainer.config = replace(trainer.config, max_steps=2)
    trainer.train()
    checkpoint = load_checkpoint(trainer.checkpoints, "last")
    for name in ("best_perplexity", "bleu_means_something", "highest_bleu"):
        del checkpoint.state["progress"][name]
    again = scripted(tmp_path, sequence, patience=0)
    again.load_checkpoint(checkpoint)
    again.train()
    assert again.progress.best_step == best


def test_a_cosine_schedule_does_not_know_of_validations(tmp_path: Path) -> None:
    cosine = scripted(tmp_path, [(0.0, 5.0)] * 6, 0, OptimConfig(schedule=ScheduleKind.cosine, warmup_steps=2))
    before = cosine.schedule.learning_rate(5)
    cosine.train()
    assert cosine.schedule.learning_rate(5) == before
