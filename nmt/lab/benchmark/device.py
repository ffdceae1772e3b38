"""Checks of a device: losses of the same training in two precisions, and speed of decoding in several."""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import mean

import torch

from nmt.config import Config, Precision, SearchConfig
from nmt.data import read_lines
from nmt.lab.benchmark.decoding import ReferenceLengthTranslator
from nmt.lab.benchmark.figures import timed
from nmt.lab.benchmark.training import new_trainer
from nmt.run import RunDirectory
from nmt.training import Trainer
from nmt.training.optim import set_learning_rate
from nmt.training.progress import MetricsWindow

COMPARED_SHARE = 0.2
"""Share of the steps, at the end of a training, whose mean loss is compared; the loss of a single step is noise."""
COMPARED_SENTENCES = 64
"""Number of sentences whose translations are compared between precisions."""


class TimeBudget:
    """Time that all parts of a check share."""

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.end = clock() + 60 * minutes

    @property
    def used_up(self) -> bool:
        return self.clock() >= self.end


@dataclass
class TrainedSteps:
    """Losses and speed of the first steps of a training."""

    device: str
    precision: str
    losses: list[float]
    """Loss per target token of each step."""
    tokens_per_second: float
    """Target tokens per second, without the first step; 0 after a single step."""


def train_steps(
    config: Config, folder: Path, device: torch.device, bfloat16: bool, steps: int, budget: TimeBudget
) -> tuple[Trainer, TrainedSteps]:
    """Train a new model and return it with its losses; it stops after one step or later when the time is used up.

    Weights, batches and, on one kind of device, dropout masks depend on the seed alone.
    """
    trainer = new_trainer(config, folder, device, bfloat16)
    trainer.model.train()
    losses: list[float] = []
    tokens, seconds = 0.0, 0.0
    while len(losses) < steps and not (losses and budget.used_up):
        trainer.progress.window = MetricsWindow()
        set_learning_rate(trainer.optimizer, trainer.schedule.learning_rate(trainer.progress.step + 1))
        took = timed(lambda: trainer.update([trainer.batches.next().to(device)]))  # reads the loss from the device
        trainer.progress.step += 1
        window = trainer.progress.window
        if losses:
            tokens, seconds = tokens + window.tokens, seconds + took
        losses.append(window.loss / max(window.tokens, 1))
    trainer.model.eval()
    speed = tokens / seconds if seconds else 0.0
    return trainer, TrainedSteps(device.type, "bfloat16" if bfloat16 else "float32", losses, speed)


def loss_difference(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the relative difference of the mean losses over the last steps that both trainings took."""
    steps = min(len(first), len(second))
    begin = min(steps - 1, int(steps * (1 - COMPARED_SHARE)))
    one, other = mean(first[begin:steps]), mean(second[begin:steps])
    return abs(one - other) / max(abs(other), 1e-9)


class DecodingCheck:
    """Translation of a test set by one trained model in several precisions and batch sizes.

    Each hypothesis ends at the length of its reference, so that all precisions do the same amount of work.
    """

    def __init__(self, trainer: Trainer, folder: Path, search: SearchConfig) -> None:
        """`folder` is the folder of the run, which has the test set and the tokenizers."""
        run = RunDirectory(folder)
        self.model = trainer.model
        self.src, self.tgt = run.tokenizer("src"), run.tokenizer("tgt")
        self.search = replace(search, n_best=1)
        self.lines, self.references = (list(read_lines(folder / "data" / f"test.{side}")) for side in ("src", "tgt"))

    def translator(self, precision: Precision, device: torch.device) -> ReferenceLengthTranslator:
        """Return a translator with a copy of the model."""
        model = deepcopy(self.model).to(device).eval()
        translator = ReferenceLengthTranslator(model, self.src, self.tgt, self.search)
        translator.set_lengths(self.lines, self.references)
        model.prepare_search(precision)
        return translator

    def translations(self, translator: ReferenceLengthTranslator) -> list[str]:
        """Return the translations of the first sentences."""
        candidates = translator.translate(self.lines[:COMPARED_SENTENCES])
        return [best[0].text if best else "" for best in candidates]

    def speed(self, translator: ReferenceLengthTranslator, batch_size: int, seconds: float) -> float:
        """Return the sentences per second in batches of this size, measured for at least `seconds` after a warm-up."""
        translator.config = replace(self.search, batch_size=batch_size)
        lines = cycle(self.lines)
        translator.translate(list(islice(lines, batch_size)))
        sentences, took = 0, 0.0
        while not sentences or took < seconds:
            batch = list(islice(lines, batch_size))
            took += timed(lambda batch=batch: translator.translate(batch))  # type: ignore[misc]
            sentences += batch_size
        return sentences / took


def share_of_equal(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of translations that are equal."""
    return mean(float(a == b) for a, b in zip(first, second, strict=True))
