"""The progress bar of a training: on a terminal a bar, elsewhere a line of log now and then."""

import logging
import math
import time
from collections.abc import Mapping

from rich.progress import TextColumn

from nmt.console import progress_bar

LOG_SECONDS = 60

log = logging.getLogger(__name__)


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
