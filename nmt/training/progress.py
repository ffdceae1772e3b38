"""Counts of a training, and its progress bar; without a terminal, a log line per minute."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.progress import TextColumn

from nmt.console import progress_bar
from nmt.training.gradients import LossSums

LOG_SECONDS = 60
"""Seconds between two log lines without a terminal."""

log = logging.getLogger(__name__)


@dataclass
class MetricsWindow(LossSums):
    """Sums over the steps since the last line of metrics; a skipped step adds only its seconds."""

    steps: int = 0
    norm: float = 0.0
    seconds: float = 0.0


@dataclass
class Progress:
    """Counts and best scores of a training, as its checkpoints store them."""

    step: int = 0
    best: float | None = None
    """Best validation score in `train.metric`, negated where lower is better."""
    best_step: int = 0
    best_perplexity: float | None = None
    """Perplexity of that validation; None if it is not finite, or in runs of versions before this field."""
    bleu_means_something: bool = False
    """True once BLEU chooses the best checkpoint; before, BLEU is noise and perplexity chooses."""
    highest_bleu: float = 0.0
    """Highest validation BLEU, of any checkpoint."""
    since_best: int = 0
    """Number of validations without progress, by the rule of `nmt.training.best`."""
    stopped: bool = False
    """True once patience ran out or the training was pruned."""
    skipped: int = 0
    """Number of steps not taken because the loss or the gradient was not finite."""
    skipped_in_a_row: int = 0
    """Number of those since the last step that was taken."""
    seconds: float = 0.0
    """Training time over all starts, including validation and checkpoints."""
    cpu_seconds: float = 0.0
    """Processor time over all starts and threads; unlike `seconds`, hardly changed by other programs."""
    window: MetricsWindow = field(default_factory=MetricsWindow)


class TrainingProgress:
    """Progress bar of the training loop."""

    def __init__(self, done: int, total: int, shown: bool = True) -> None:
        """
        Args:
            done: number of steps already taken.
            total: number of steps in all.
            shown: false on ranks that must not show it.
        """
        self.total = total
        self.bar = progress_bar(TextColumn("{task.fields[numbers]}"))
        self.bar.disable |= not shown
        self.task = self.bar.add_task("training", total=total, completed=done, numbers="")
        self.last_log = time.monotonic()

    def __enter__(self) -> "TrainingProgress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def advance(self, step: int) -> None:
        self.bar.update(self.task, completed=step)

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Show the metrics of the last window of training."""
        numbers = (
            f"loss {metrics['train/loss']:.3f}  ppl {metrics['train/perplexity']:.2f}  "
            f"{metrics['train/tokens_per_second']:,.0f} tok/s"
        )
        self.bar.update(self.task, numbers=numbers)
        if self.bar.disable and time.monotonic() - self.last_log > LOG_SECONDS:
            self.last_log = time.monotonic()
            log.info("step %d of %d  %s", step, self.total, numbers)


def perplexity(nll: float, tokens: int) -> float:
    """Return exp of the mean negative log-likelihood in nats; infinity in place of an overflow."""
    mean = nll / max(tokens, 1)
    return math.exp(mean) if mean < 700 else math.inf
