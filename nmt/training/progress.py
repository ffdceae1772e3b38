"""How far a training is, and its progress bar: on a terminal a bar, elsewhere a line of log now and then."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.progress import TextColumn

from nmt.console import progress_bar
from nmt.training.gradients import Sums

LOG_SECONDS = 60

log = logging.getLogger(__name__)


@dataclass
class Window(Sums):
    """Sums over the steps taken since the last line of metrics; a skipped one adds its seconds alone."""

    steps: int = 0
    norm: float = 0.0
    seconds: float = 0.0


@dataclass
class Progress:
    """How far training is."""

    step: int = 0
    best: float | None = None
    """The best validation score so far, in the metric that chooses."""
    best_step: int = 0
    best_perplexity: float | None = None
    """Perplexity of that validation; null: not finite, or a run of a version before this field."""
    bleu_means_something: bool = False
    """BLEU chooses the best checkpoint; false: perplexity does, because BLEU has been noise so far."""
    highest_bleu: float = 0.0
    """Highest validation BLEU so far, that of the best checkpoint or not."""
    since_best: int = 0
    """Validations without progress, by the rule of `nmt.training.best`."""
    stopped: bool = False
    """Patience ran out, or the scores are poor beside others'."""
    skipped: int = 0
    """Steps not taken because the loss or the gradient was not finite."""
    skipped_in_a_row: int = 0
    """Of these the latest, without a good step since."""
    seconds: float = 0.0
    """Of training, over all starts, validation and checkpoints included."""
    window: Window = field(default_factory=Window)


class TrainingProgress:
    def __init__(self, done: int, total: int, shown: bool = True) -> None:
        """
        Args:
            done: steps already taken.
            total: steps in all.
            shown: whether this is the process to show it.
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
        """Shows the numbers of the last window of training."""
        numbers = (
            f"loss {metrics['train/loss']:.3f}  ppl {metrics['train/perplexity']:.2f}  "
            f"{metrics['train/tokens_per_second']:,.0f} tok/s"
        )
        self.bar.update(self.task, numbers=numbers)
        if self.bar.disable and time.monotonic() - self.last_log > LOG_SECONDS:
            self.last_log = time.monotonic()
            log.info("step %d of %d  %s", step, self.total, numbers)


def perplexity(nll: float, tokens: int) -> float:
    """exp of the mean negative log-likelihood in nats; infinite rather than an overflow."""
    mean = nll / max(tokens, 1)
    return math.exp(mean) if mean < 700 else math.inf
