"""The training loop, and all the state that it has to remember."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from nmt.config import Metric, TrainConfig
from nmt.data import Batch, TrainingBatches
from nmt.models import Seq2Seq
from nmt.run import Checkpoint, save_checkpoint
from nmt.training.objectives import Objective
from nmt.training.optim import (
    Schedule,
    clip_gradients,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
)
from nmt.training.progress import TrainingProgress, perplexity
from nmt.training.signals import Interrupted, StopSignals
from nmt.training.tracking import Tracker

log = logging.getLogger(__name__)


@dataclass
class Window:
    """Sums over the steps taken since the last line of metrics; a skipped one adds its seconds alone."""

    steps: int = 0
    tokens: int = 0
    loss: float = 0.0
    nll: float = 0.0
    norm: float = 0.0
    seconds: float = 0.0


@dataclass
class Progress:
    """How far training is."""

    step: int = 0
    best: float | None = None
    """The best validation score so far, in the metric that chooses."""
    best_step: int = 0
    since_best: int = 0
    """Validations without improvement."""
    stopped: bool = False
    """Patience ran out."""
    skipped: int = 0
    """Steps not taken because the gradient was not finite."""
    seconds: float = 0.0
    """Of training, over all starts, validation and checkpoints included."""
    window: Window = field(default_factory=Window)


class Trainer:
    """Receives built objects and builds nothing."""

    def __init__(
        self,
        model: Seq2Seq,
        objective: Objective,
        optimizer: Optimizer,
        schedule: Schedule,
        batches: TrainingBatches,
        validate: Callable[[], dict[str, float]],
        tracker: Tracker,
        checkpoints: Path,
        config: TrainConfig,
        clip_norm: float,
        bfloat16: bool,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.batches = batches
        self.validate = validate
        self.tracker = tracker
        self.checkpoints = checkpoints
        self.config = config
        self.clip_norm = clip_norm
        self.bfloat16 = bfloat16
        self.device = next(model.parameters()).device
        self.progress = Progress()

    @property
    def finished(self) -> bool:
        return self.progress.stopped or self.progress.step >= self.config.max_steps

    def train(self) -> None:
        """Trains to the end.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint was written.
        """
        progress, config = self.progress, self.config
        self.model.train()
        with StopSignals() as signals, TrainingProgress(progress.step, config.max_steps) as bar:
            while not self.finished:
                started = time.perf_counter()
                set_learning_rate(self.optimizer, self.schedule.learning_rate(progress.step + 1))
                self.update([self.batches.next().to(self.device) for _ in range(config.accumulate)])
                progress.step += 1
                bar.advance(progress.step)
                progress.window.seconds += time.perf_counter() - started
                if progress.step % config.log_every == 0:
                    bar.show(progress.step, self.log_window())

                improved = False
                validation_due = progress.step % config.validate_every == 0 or progress.step == config.max_steps
                if validation_due:
                    improved = self.judge(self.validate())
                progress.seconds += time.perf_counter() - started
                if validation_due or progress.step % config.checkpoint_every == 0 or signals.received:
                    self.save(improved)
                if signals.received:
                    raise Interrupted(signals.received)

    def update(self, batches: list[Batch]) -> None:
        """One step: the mean gradient over all tokens of these batches, clipped, and an update of the weights."""
        window = self.progress.window
        tokens, losses, nll = sum(batch.tokens for batch in batches), 0.0, 0.0
        for batch in batches:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16):
                loss, _, logs = self.objective(self.model, batch)
            (loss / tokens).backward()  # type: ignore[no-untyped-call]
            losses += loss.item()
            nll += logs["nll"].item()
        norm = clip_gradients(self.model, self.clip_norm).item()
        if math.isfinite(norm):
            self.optimizer.step()
            window.steps += 1
            window.tokens += tokens
            window.loss += losses
            window.nll += nll
            window.norm += norm
        else:
            self.progress.skipped += 1
            log.warning(
                "step %d skipped: gradient norm %s in pairs %s", self.progress.step + 1, norm, batches[0].indices
            )
        self.optimizer.zero_grad(set_to_none=True)

    def log_window(self) -> dict[str, float]:
        """Writes the means since the last time, and returns them."""
        window = self.progress.window
        metrics = {
            "train/loss": window.loss / max(window.tokens, 1),
            "train/perplexity": perplexity(window.nll, window.tokens),
            "train/gradient_norm": window.norm / max(window.steps, 1),
            "train/learning_rate": self.optimizer.param_groups[0]["lr"],
            "train/tokens_per_second": window.tokens / window.seconds,
            "train/epoch": self.batches.epoch,
            "train/skipped_steps": self.progress.skipped,
        }
        self.tracker.log(self.progress.step, metrics)
        self.progress.window = Window()
        return metrics

    def judge(self, metrics: dict[str, float]) -> bool:
        """Keeps count of the best score; returns whether this one is it."""
        progress = self.progress
        score = metrics["valid/bleu"] if self.config.metric == Metric.bleu else -metrics["valid/perplexity"]
        improved = progress.best is None or score > progress.best
        if improved:
            progress.best, progress.best_step, progress.since_best = score, progress.step, 0
        else:
            progress.since_best += 1
        progress.stopped = 0 < self.config.patience <= progress.since_best
        self.schedule.validated(improved)
        self.tracker.log(progress.step, {**metrics, "valid/seconds": progress.seconds})
        log.info(
            "step %d  valid perplexity %.3f  BLEU %.2f%s",
            progress.step,
            metrics["valid/perplexity"],
            metrics["valid/bleu"],
            "  best so far" if improved else "",
        )
        if progress.stopped:
            log.info("no improvement in %d validations; stopping at step %d", progress.since_best, progress.step)
        return improved

    def save(self, improved: bool) -> None:
        """Writes a checkpoint, as `last`, and as `best` too if it is.

        `best` comes first: whoever goes on from a `last` that knows of a best score also has its weights.
        """
        save_checkpoint(self.checkpoints, self.checkpoint(), ["best", "last"] if improved else ["last"])

    def checkpoint(self) -> Checkpoint:
        tensors = {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        tensors |= {f"random.{name}": value for name, value in random_states(self.device).items()}
        state: dict[str, Any] = {
            "progress": asdict(self.progress),
            "position": {"epoch": self.batches.epoch, "index": self.batches.index},
            "schedule": self.schedule.state_dict(),
        }
        return Checkpoint(self.progress.step, dict(self.model.named_parameters()), tensors, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint as if training had never stopped."""
        self.model.load_weights(checkpoint.weights)
        groups: dict[str, dict[str, Tensor]] = {"optimizer": {}, "random": {}}
        for key, value in checkpoint.tensors.items():
            group, name = key.split(".", 1)
            groups[group][name] = value
        load_optimizer_tensors(self.optimizer, groups["optimizer"])
        set_random_states(groups["random"], self.device)
        state = checkpoint.state
        self.schedule.load_state_dict(state["schedule"])
        self.batches.seek(**state["position"])
        progress = dict(state["progress"])
        self.progress = Progress(**(progress | {"window": Window(**progress["window"])}))
        self.tracker.lines.rewind(self.progress.step)


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators: the processor's, and the device's where it has its own."""
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random_states(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
