"""The training loop, and all the state that it has to remember."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from nmt.config import IntervalUnit, Metric, TrainConfig
from nmt.data import Batch, TrainingBatches
from nmt.errors import Interrupted, UserError
from nmt.models import Seq2Seq
from nmt.run import Checkpoint, not_finite, save_checkpoint
from nmt.training.average import WeightAverage
from nmt.training.best import record_validation, with_missing_fields
from nmt.training.contention import ContentionMonitor
from nmt.training.distributed import SINGLE_PROCESS, DistributedContext
from nmt.training.gradients import accumulate_gradients
from nmt.training.objectives.likelihood import Objective
from nmt.training.optim import (
    Schedule,
    clip_gradients,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
)
from nmt.training.progress import Progress, TrainingProgress, Window, perplexity
from nmt.training.random_states import random_states, set_random_states
from nmt.training.signals import StopSignals
from nmt.training.tracking import Tracker

log = logging.getLogger(__name__)


class Trainer:
    """Receives built objects and builds nothing."""

    def __init__(
        self,
        model: Seq2Seq,
        objective: Objective,
        optimizer: Optimizer,
        schedule: Schedule,
        average: WeightAverage,
        batches: TrainingBatches,
        validate: Callable[[], dict[str, float]],
        tracker: Tracker,
        checkpoints: Path,
        config: TrainConfig,
        clip_norm: float,
        bfloat16: bool,
        run: str = "",
        processes: DistributedContext = SINGLE_PROCESS,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.average = average
        self.batches = batches
        self.validate = validate
        self.tracker = tracker
        self.checkpoints = checkpoints
        self.config = config
        self.clip_norm = clip_norm
        self.bfloat16 = bfloat16
        self.run = run
        self.processes = processes
        self.shares = processes.count
        """Processes that the run began with: so many times `batch_size` is a step's batch, whoever goes on with it."""
        self.device = next(model.parameters()).device
        self.poor: Callable[[], bool] = lambda: False
        """Whether the validations so far are too poor to go on; a sweep decides so by its other trials."""
        self.contention = ContentionMonitor()
        self.progress = Progress()
        self.saved_step: int | None = None
        """Step of the last checkpoint on the disk."""
        self.saved_best: tuple[float | None, int, float | None] = (None, 0, None)
        """Score, step and perplexity of the best checkpoint on the disk."""
        self.unscheduled_step: int | None = None
        """Step of the last checkpoint if only an interruption wrote it; the next checkpoint replaces it."""

    @property
    def finished(self) -> bool:
        return self.progress.stopped or self.progress.step >= self.config.max_steps

    @property
    def elapsed(self) -> int:
        """Steps taken or epochs finished, in the unit of `validate_every` and `checkpoint_every`."""
        epochs = self.config.interval_unit == IntervalUnit.epochs
        return self.batches.finished_epochs if epochs else self.progress.step

    def train(self) -> None:
        """Trains to the end.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint was written.
            UserError: too many steps in a row were not finite, or the last checkpoint could not be written.
        """
        progress, config = self.progress, self.config
        self.model.train()
        bar = TrainingProgress(progress.step, config.max_steps, shown=self.processes.first)
        with StopSignals() as signals, bar:
            while not self.finished:
                started, before = time.perf_counter(), self.elapsed
                set_learning_rate(self.optimizer, self.schedule.learning_rate(progress.step + 1))
                self.update([self.batches.next().to(self.device) for _ in range(config.accumulate)])
                progress.step += 1
                bar.advance(progress.step)
                progress.window.seconds += time.perf_counter() - started
                if progress.skipped_in_a_row >= config.max_skipped:
                    raise self.divergence_error()
                if progress.step % config.log_every == 0:
                    bar.show(progress.step, self.log_window())

                improved = False
                validation_due = self.due(config.validate_every, before) or progress.step == config.max_steps
                if validation_due:
                    improved = self.judge(self.validated())
                progress.seconds += time.perf_counter() - started
                checkpoint_due = validation_due or self.due(config.checkpoint_every, before)
                stopped_by = self.processes.largest(signals.received)
                if stopped_by or self.finished or (checkpoint_due and not progress.skipped_in_a_row):
                    self.save(improved, scheduled=checkpoint_due)
                if stopped_by:
                    raise Interrupted(stopped_by)
        if self.saved_step != progress.step:
            raise UserError(f"training ended, but its last checkpoint could not be written to {self.checkpoints}")

    def due(self, every: int, before: int) -> bool:
        """Return whether a multiple of `every` was reached since `elapsed` was `before`."""
        return self.elapsed // every > before // every

    def validated(self) -> dict[str, float]:
        """What validation finds in the average of the weights; one process measures, and all know."""
        with self.average.in_place():
            return self.processes.broadcast_object(self.validate() if self.processes.first else {})

    def update(self, batches: list[Batch]) -> None:
        """Update the weights by the clipped gradient of the mean loss over all processes' batches."""
        progress, window = self.progress, self.progress.window
        mean_over = self.config.mean_over
        sums = accumulate_gradients(self.model, self.objective, batches, self.bfloat16, self.processes, mean_over)
        norm = clip_gradients(self.model, self.clip_norm).item()
        if math.isfinite(norm) and math.isfinite(sums.loss):
            self.optimizer.step()
            self.average.update(progress.step + 1)
            progress.skipped_in_a_row = 0
            window.steps += 1
            window.add(sums)
            window.norm += norm
        else:
            progress.skipped += 1
            progress.skipped_in_a_row += 1
            pairs = [index for batch in batches for index in batch.indices]
            message = "step %d skipped: loss %s, gradient norm %s in the training pairs %s"
            log.warning(message, progress.step + 1, sums.loss, norm, pairs)
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
        self.contention.check(window.seconds)
        self.progress.window = Window()
        return metrics

    def judge(self, metrics: dict[str, float]) -> bool:
        """Enter a validation by the rule of `nmt.training.best`; return whether its checkpoint is the best."""
        progress, metric = self.progress, self.config.metric
        verdict = record_validation(metrics, progress, metric)
        progress.stopped = 0 < self.config.patience <= progress.since_best
        self.schedule.validated(verdict.progress)
        self.tracker.log(progress.step, {**metrics, "valid/seconds": progress.seconds})
        noise = metric == Metric.bleu and not progress.bleu_means_something
        log.info(
            "step %d  valid perplexity %.3f  BLEU %.2f%s%s",
            progress.step,
            metrics["valid/perplexity"],
            metrics["valid/bleu"],
            "  best so far" if verdict.best else "",
            ", by perplexity while BLEU is noise" if verdict.best and noise else "",
        )
        if progress.stopped:
            log.info("no improvement in %d validations; stopping at step %d", progress.since_best, progress.step)
        elif self.poor():
            progress.stopped = True
            log.info("poorer than other trials; stopping at step %d", progress.step)
        return verdict.best

    def save(self, improved: bool, scheduled: bool = True) -> None:
        """Writes a checkpoint, as `last`, and as `best` too if it is.

        One that is not `scheduled`, because a signal asked to stop, is deleted once the next is there: with it among
        those that are kept, an interrupted training would end with another average than an uninterrupted one.

        `best` comes first: whoever goes on from a `last` that knows of a best score also has its weights. Where it
        cannot be written, as on a full disk, training goes on without, and the best score is the one on the disk again.
        """
        progress, checkpoint, failure = self.progress, self.checkpoint(scheduled), ""
        superseded = () if self.unscheduled_step is None else (self.unscheduled_step,)
        links = ["best", "last"] if improved else ["last"]
        try:
            self.tracker.flush()
            if self.processes.first:
                save_checkpoint(self.checkpoints, checkpoint, links, self.config.keep_checkpoints, superseded)
        except UserError as error:
            failure = str(error)
        if failure := self.processes.broadcast_object(failure):
            log.warning("%s. Training goes on", failure)
            progress.best, progress.best_step, progress.best_perplexity = self.saved_best
            return
        self.saved_step = progress.step
        self.saved_best = (progress.best, progress.best_step, progress.best_perplexity)
        self.unscheduled_step = None if scheduled else progress.step

    def divergence_error(self) -> UserError:
        """Why training stops; the weights of the last checkpoint, or of this one, are from before."""
        if self.saved_step is None:
            self.save(improved=False, scheduled=False)
        return UserError(
            f"the loss or gradient of the last {self.progress.skipped_in_a_row} steps was not finite, and training "
            f"stopped at step {self.progress.step}; the checkpoint of step {self.saved_step} is from before: continue "
            "it with a lower optim.learning_rate, or look at the training pairs that the log names"
        )

    def checkpoint(self, scheduled: bool = True) -> Checkpoint:
        tensors = {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        tensors |= {f"random.{name}": value for name, value in random_states(self.device, self.processes).items()}
        weights: dict[str, Tensor] = dict(self.model.named_parameters())
        if self.average.average:  # the checkpoint's weights are those to translate with
            tensors |= {f"weights.{name}": value for name, value in weights.items()}
            weights = self.average.average
        state: dict[str, Any] = {
            "processes": self.shares,
            "scheduled": scheduled,
            "progress": asdict(self.progress),
            "position": {"epoch": self.batches.epoch, "index": self.batches.index},
            "schedule": self.schedule.state_dict(),
        }
        return Checkpoint(self.progress.step, weights, tensors, state, self.run)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint as if training had never stopped.

        Raises:
            UserError: its state is not one that this training could have written.
        """
        try:
            self.restore_state(checkpoint)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            what = f"{self.checkpoints}: step {checkpoint.step} does not fit ({' '.join(str(error).split())})"
            raise UserError(f"{what}; continue with the settings that it is from") from None

    def restore_state(self, checkpoint: Checkpoint) -> None:
        if broken := not_finite(checkpoint.state):
            raise ValueError(f"{broken!r} is no finite number")
        groups: dict[str, dict[str, Tensor]] = {"optimizer": {}, "random": {}, "weights": {}}
        for key, value in checkpoint.tensors.items():
            group, name = key.split(".", 1)
            groups[group][name] = value
        self.model.load_weights(checkpoint.weights)
        self.average.start()
        if groups["weights"]:
            self.model.load_weights(groups["weights"])
        load_optimizer_tensors(self.optimizer, groups["optimizer"])
        set_random_states(groups["random"], self.device, self.processes.rank)
        state = checkpoint.state
        self.schedule.load_state_dict(state["schedule"])
        self.shares = state.get("processes", 1)
        self.batches.resize(self.config.batch_size * self.shares)
        self.batches.seek(**state["position"])
        progress = with_missing_fields(state["progress"], self.config.metric)
        self.progress = Progress(**(progress | {"window": Window(**progress["window"])}))
        self.saved_step = self.progress.step
        self.saved_best = (self.progress.best, self.progress.best_step, self.progress.best_perplexity)
        self.unscheduled_step = None if state.get("scheduled", True) else self.saved_step
        self.tracker.rewind(self.progress.step)
