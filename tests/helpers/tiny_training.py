"""Training of a tiny model in a fraction of a second, and helpers to compare its results."""

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shapes import model_config
from torch import Tensor

from nmt.config import (
    BatchUnit,
    Metric,
    ObjectiveKind,
    OptimConfig,
    OptimizerKind,
    SamplingDecay,
    ScheduleKind,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
)
from nmt.data import Batch, PairStore, SubwordSampling, TrainingBatches
from nmt.data.subword_sampling import UnigramSampler
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.training import (
    Optimization,
    Schedule,
    Tracker,
    Trainer,
    TrainerSettings,
    WeightAverage,
    build_optimizer,
    cross_entropy,
)
from nmt.training.build import build_objective
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput
from nmt.training.progress import Progress

WORDS = 16
SHORT = TrainConfig(
    max_steps=14,
    batch_size=8,
    pool_batches=2,
    accumulate=2,
    validate_every=2,
    checkpoint_every=3,
    log_every=5,
    metric=Metric.perplexity,
    patience=2,
)
"""Intervals that differ from one another; patience ends the training at step 12."""
PERPLEXITIES = {2: 5.0, 4: 4.0, 6: 6.0, 8: 3.0, 10: 7.0, 12: 3.5, 14: 3.4}
"""Validation perplexity of each step."""
PLATEAU = OptimConfig(schedule=ScheduleKind.plateau, plateau_patience=0, warmup_steps=3, learning_rate=0.01)
WAYS: list[dict[str, Any]] = [
    {"ema_decay": 0.7},
    {"subword_sampling": 0.5},
    {"objective": ObjectiveKind.r_drop},
    {"scheduled_sampling": SamplingDecay.exponential, "sampling_k": 0.9},
    {"objective": ObjectiveKind.risk, "risk_samples": 4},
    {"objective": ObjectiveKind.r_drop, "scheduled_sampling": SamplingDecay.linear, "ar": 2.0, "tar": 1.0},
]
"""Training methods besides plain cross-entropy."""
PLAIN = OptimConfig(OptimizerKind.sgd, learning_rate=1.0, schedule=ScheduleKind.constant, warmup_steps=0, clip_norm=0)


def pairs(count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return random sentences and their reversals."""
    random_source = random.Random(1)
    src = [random_source.choices(range(4, WORDS), k=random_source.randint(1, 6)) for _ in range(count)]
    return src, [line[::-1] for line in src]


SRC, TGT = pairs(44)
PIECES = [*"####", *"abcdefgh", "ab", "ef", "gh", "abc"]
"""Spelling of the words, for subword sampling."""


def batches(seed: int = 1, subword_sampling: float | None = None) -> TrainingBatches:
    store = PairStore.of(SRC, TGT)
    sampling = None
    if subword_sampling is not None:
        sampler = UnigramSampler(PIECES, [-2.0] * WORDS, subword_sampling)
        sampling = SubwordSampling(store, (PIECES, PIECES), (sampler, sampler), seed)
    return TrainingBatches(store, BatchUnit.sentences, SHORT.batch_size, SHORT.pool_batches, seed, sampling)


class Spelling:
    """Stand-in for a tokenizer that joins words with spaces."""

    def decode(self, ids: list[list[int]]) -> list[str]:
        return [" ".join(PIECES[i] for i in line) for line in ids]


def build(
    folder: Path,
    config: TrainConfig = SHORT,
    optim: OptimConfig = PLATEAU,
    objective: Objective | None = None,
    validate: Callable[[], dict[str, float]] | None = None,
    dropout: float = 0.3,
    seed: int = 1,
    bfloat16: bool = False,
    shape: dict[str, Any] | None = None,
    should_prune: Callable[[], bool] | None = None,
) -> Trainer:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    usual = {"embed_size": 8, "hidden_size": 8, "decoder_layers": 2, "dropout": dropout, "word_dropout": dropout / 3}
    model = build_model(model_config(**usual | (shape or {})), Vocabulary(WORDS, WORDS))
    progress = Progress()
    return Trainer(
        model=model,
        objective=objective or build_objective(config, optim, Spelling(), "none", lambda: progress.step),
        optimization=Optimization(
            build_optimizer(model, optim),
            Schedule(optim, config.max_steps),
            WeightAverage(model, config.ema_decay),
            optim.clip_norm,
        ),
        batches=batches(seed, config.subword_sampling),
        validate=validate or (lambda: measured(model, progress)),
        tracker=Tracker(folder, TrackingConfig(mode=TrackingMode.disabled), {}),
        settings=TrainerSettings(config, folder / "checkpoints", bfloat16=bfloat16),
        progress=progress,
        should_prune=should_prune,
    )


def measured(model: Seq2Seq, progress: Progress) -> dict[str, float]:
    """Return a perplexity that rises and falls, and in place of BLEU the sum of all weights."""
    total = sum(parameter.detach().double().sum().item() for parameter in model.parameters())
    return {
        "valid/perplexity": PERPLEXITIES.get(progress.step, 9.0),
        "valid/bleu": total,
        "valid/matching_4grams": 1.0,
    }


def calling(action: Callable[[], object], call: int, usual: Objective | None = None) -> Objective:
    """Return an objective (cross-entropy by default) that performs an action at its call number `call`."""
    count, usual = itertools.count(1), usual or cross_entropy(SHORT.label_smoothing)

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        if next(count) == call:
            action()
        return usual(model, batch)

    return objective


def weights(model: Seq2Seq) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Check that tensors are equal to the bit."""
    assert actual.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(actual[name], expected[name])] == []


def without_times(tree: Any) -> Any:
    """Return the tree without values that depend on a clock."""
    if isinstance(tree, dict):
        return {key: without_times(value) for key, value in tree.items() if "second" not in key}
    return tree


def lines(folder: Path) -> list[dict[str, float]]:
    """Return the lines of metrics.jsonl without times."""
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [without_times(json.loads(line)) for line in text.split("\n")[:-1]]
