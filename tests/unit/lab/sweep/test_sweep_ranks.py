"""Ranks of trials whose BLEU is noise, against the rule that chooses a training's best checkpoint."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt.config import Metric, PrunerKind, SamplerKind, SweepConfig, TrainConfig
from nmt.errors import UserError
from nmt.lab.sweep.choose import Pruning, proposal
from nmt.lab.sweep.space import Parameter
from nmt.lab.sweep.trials import (
    SweepDirectory,
    Trial,
    TrialState,
    best_step,
    best_trial,
    read_validations,
    with_validations,
)
from nmt.training.best import record_validation
from nmt.training.progress import Progress

DROPOUT = Parameter("model.dropout", low=0.0, high=0.5)
TRAIN = TrainConfig(max_steps=100, validate_every=10, metric=Metric.bleu)
# BLEU, matching 4-grams, perplexity
VALIDATIONS = [
    (0.0, 0, 90.0),
    (0.9, 3, 80.0),
    (2.5, 0, 40.0),
    (0.3, 0, 30.0),
    (0.7, 0, 1.5),
    (1.0, 1, 95.0),
    (7, 9, 60),
]


def trial(number: int, validations: Sequence[tuple[float, int, float]], folder: Path) -> Trial:
    """Return a complete trial, as the sweep reads it from the metrics of its run."""
    path = folder / f"{number}.jsonl"
    lines = [
        {"step": 10 * place, "valid/bleu": bleu, "valid/matching_4grams": matches, "valid/perplexity": perplexity}
        for place, (bleu, matches, perplexity) in enumerate(validations, start=1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    running = Trial(number, {DROPOUT.key: 0.1 * number}, TrialState.complete)
    return with_validations(running, read_validations(path, Metric.bleu), Metric.bleu)


def test_the_score_is_that_of_the_checkpoint_that_the_run_keeps(tmp_path: Path) -> None:
    """Compare all orders of three validations; skip a smoothed BLEU without matching 4-grams after the noise."""
    for order in itertools.permutations(VALIDATIONS, 3):
        progress, smoothed_later = Progress(), False
        for place, (bleu, matches, perplexity) in enumerate(order, start=1):
            smoothed_later |= progress.bleu_means_something and bleu >= 1 and matches == 0
            progress.step = 10 * place
            metrics = {"valid/bleu": bleu, "valid/matching_4grams": matches, "valid/perplexity": perplexity}
            record_validation(metrics, progress, Metric.bleu)
        if not smoothed_later:
            recorded = trial(1, order, tmp_path)
            assert recorded.score == progress.best, order
            assert best_step(recorded, Metric.bleu) == progress.best_step, order


def test_noise_is_ranked_by_perplexity_and_below_every_bleu_that_is_not(tmp_path: Path) -> None:
    trials = [trial(number, [validation], tmp_path) for number, validation in enumerate(VALIDATIONS, start=1)]
    order = []
    while (best := best_trial(trials, Metric.bleu)) is not None:
        order.append(VALIDATIONS[best.number - 1])
        trials.remove(best)
    assert [bleu for bleu, *_ in order[:2]] == [7, 1.0]
    assert [perplexity for *_, perplexity in order[2:]] == [1.5, 30.0, 40.0, 80.0, 90.0]


@pytest.mark.parametrize(
    ("validation", "pruned"), [((0.9, 2, 70.0), True), ((0.0, 0, 45.0), False), ((1.5, 2, 300.0), False)]
)
def test_the_median_pruner_compares_noise_by_perplexity(
    tmp_path: Path, validation: tuple[float, int, float], pruned: bool
) -> None:
    """The median perplexity at step 10 is 55; by BLEU, the median of which is 0.35, the verdicts would be others."""
    before = [
        trial(number, [(bleu, 0, perplexity), (5.0, 9, 9.0)], tmp_path)
        for number, (bleu, perplexity) in enumerate([(0.1, 40.0), (0.3, 50.0), (0.4, 60.0), (0.8, 65.0)], start=1)
    ]
    sweep = SweepConfig(pruner=PrunerKind.median, prune_after_trials=4, prune_after_steps=0)
    running = trial(5, [validation], tmp_path)
    assert Pruning(sweep, TRAIN, [DROPOUT], before, running).poor(running.ranked) == pruned


def test_a_bayesian_search_follows_perplexity_where_every_bleu_is_noise() -> None:
    """The perplexity is lowest at a dropout of 0.4; the noise is highest at 0."""
    sweep, done = SweepConfig(sampler=SamplerKind.bayesian, startup=8), []
    for number in range(1, 31):
        values = proposal(sweep, TRAIN, [DROPOUT], done, number)
        dropout = float(str(values[DROPOUT.key]))
        noise, perplexity = 0.5 - dropout, 20 + 200 * abs(dropout - 0.4)
        done.append(Trial(number, values, TrialState.complete, [(100, noise)], noise, ranks=[1 / perplexity]))
    chosen = [float(str(trial.parameters[DROPOUT.key])) for trial in done[-12:]]
    assert sum(abs(dropout - 0.4) for dropout in chosen) / len(chosen) < 0.08


def test_perplexity_and_loss_are_their_own_ranks(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 5, "valid/perplexity": 8.0, "valid/bleu": 0.1}\n{"step": 6, "train/loss": 2.0}\n')
    (validation,) = read_validations(path, Metric.perplexity)
    assert validation == (5, 8.0, 8.0)
    (validation,) = read_validations(path, Metric.bleu)
    assert validation == (5, 0.1, 1 / 8)


@pytest.mark.parametrize("ranks", ["x", [1.0, 2.0], ["x"], 7, [None]], ids=str)
def test_a_record_with_other_ranks_is_damaged(tmp_path: Path, ranks: object) -> None:
    sweep = SweepDirectory(tmp_path)
    sweep.write(trial(1, VALIDATIONS[:1], tmp_path))
    path = sweep.run_path(1) / "trial.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    (saved,) = sweep.trials()
    assert saved.ranks == [1 / 90]
    path.write_text(json.dumps(record | {"ranks": ranks}), encoding="utf-8")
    with pytest.raises(UserError, match=r"trial\.json is damaged"):
        sweep.trials()


def test_a_record_without_ranks_is_ranked_by_its_scores(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path)
    sweep.write(Trial(1, {DROPOUT.key: 0.1}, TrialState.complete, [(10, 0.4)], 0.4))
    path = sweep.run_path(1) / "trial.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["ranks"]
    path.write_text(json.dumps(record), encoding="utf-8")
    (old,) = sweep.trials()
    assert (old.rank, old.ranked) == (0.4, [(10, 0.4)])
