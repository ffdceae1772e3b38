"""Training loop and its state."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from nmt.allocator import return_memory
from nmt.config import IntervalUnit, Metric, TrainConfig
from nmt.data import Batch, TrainingBatches
from nmt.errors import Interrupted, Unfinished, UserError
from nmt.models import Seq2Seq
from nmt.run import Checkpoint, save_checkpoint
from nmt.training.average import WeightAverage
from nmt.training.best import record_validation, with_missing_fields
from nmt.training.checkpoint_state import from_checkpoint, to_checkpoint
from nmt.training.contention import ContentionMonitor
from nmt.training.distributed import SINGLE_PROCESS, DistributedContext
from nmt.training.gradients import accumulate_gradients
from nmt.training.objectives.likelihood import Objective
from nmt.training.optim import Schedule, clip_gradients, load_optimizer_tensors, optimizer_tensors, set_learning_rate
from nmt.training.progress import MetricsWindow, Progress, TrainingProgress, perplexity
from nmt.training.random_states import random_states, set_random_states
from nmt.training.signals import StopSignals
from nmt.training.tracking import Tracker

log = logging.getLogger(__name__)
RETURN_MEMORY_EVERY = 10
"""Steps between two returns of freed memory, each of which takes 10 to 20 ms."""


@dataclass(frozen=True)
class Optimization:
    """Parts that turn gradients into new weights."""

    optimizer: Optimizer
    schedule: Schedule
    """Learning rate of each step."""
    average: WeightAverage
    clip_norm: float = 0.0
    """Largest global norm of the gradients; 0 disables clipping."""


@dataclass(frozen=True)
class TrainerSettings:
    """Plain settings of a trainer."""

    train: TrainConfig
    checkpoints: Path
    """Folder of the checkpoints."""
    run_id: str = ""
    """Identity of the run, stored in its checkpoints."""
    bfloat16: bool = False
    """Run the forward pass under bfloat16 autocast."""


class Trainer:
    """Training loop over components that the caller has built.

    Args:
        model: the model to train, on its device.
        objective: maps model and batch to the loss.
        optimization: optimizer, learning-rate schedule, weight average and clipping.
        batches: training batches in the order of the seed.
        validate: returns the validation metrics of the current weights.
        tracker: receives the metrics.
        settings: plain settings.
        progress: counts to start with; components that depend on the step share this object.
        distributed: rank and world size.
        should_prune: returns whether the validations so far are too poor to continue; None never prunes.
    """

    def __init__(
        self,
        model: Seq2Seq,
        objective: Objective,
        optimization: Optimization,
        batches: TrainingBatches,
        validate: Callable[[], dict[str, float]],
        tracker: Tracker,
        settings: TrainerSettings,
        progress: Progress | None = None,
        distributed: DistributedContext = SINGLE_PROCESS,
        should_prune: Callable[[], bool] | None = None,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimization.optimizer
        self.schedule = optimization.schedule
        self.average = optimization.average
        self.clip_norm = optimization.clip_norm
        self.batches = batches
        self.validate = validate
        self.tracker = tracker
        self.settings = settings
        self.config = settings.train
        self.checkpoints = settings.checkpoints
        self.progress = Progress() if progress is None else progress
        self.distributed = distributed
        self.should_prune = should_prune
        self.initial_world_size = distributed.world_size
        """World size when the run was started. The global batch size is `initial_world_size * batch_size` and is kept
        when the run is continued with another number of processes."""
        self.device = next(model.parameters()).device
        self.contention = ContentionMonitor()
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
        """Number of steps or of finished epochs, in the unit of `validate_every` and `checkpoint_every`."""
        epochs = self.config.interval_unit == IntervalUnit.epochs
        return self.batches.finished_epochs if epochs else self.progress.step

    def train(self, defer_signals: bool = True) -> None:
        """Train to the end.

        Args:
            defer_signals: stop after the current step on SIGINT and SIGTERM. Only the main thread can install the
                handlers for that; False leaves signals alone.

        Raises:
            Interrupted: a signal stopped the training; a checkpoint was written.
            UserError: too many steps in a row were not finite, or the last checkpoint could not be written.
        """
        progress, config = self.progress, self.config
        self.model.train()
        bar = TrainingProgress(progress.step, config.max_steps, shown=self.distributed.is_main)
        with StopSignals(enabled=defer_signals) as signals, bar:
            while not self.finished:
                started, started_cpu, before = time.perf_counter(), time.process_time(), self.elapsed
                set_learning_rate(self.optimizer, self.schedule.learning_rate(progress.step + 1))
                self.update([self.batches.next().to(self.device) for _ in range(config.accumulate)])
                progress.step += 1
                bar.advance(progress.step)
                progress.window.seconds += time.perf_counter() - started
                if progress.skipped_in_a_row >= config.max_skipped:
                    raise self.divergence_error()
                if progress.step % config.log_every == 0:
                    bar.show(progress.step, self.log_window())
                if progress.step % RETURN_MEMORY_EVERY == 0:
                    return_memory()

                improved = False
                validation_due = self.due(config.validate_every, before) or progress.step == config.max_steps
                if validation_due:
                    improved = self.update_best(self.run_validation())
                progress.seconds += time.perf_counter() - started
                progress.cpu_seconds += time.process_time() - started_cpu
                checkpoint_due = validation_due or self.due(config.checkpoint_every, before)
                stop_signal = self.distributed.all_reduce_max(signals.received)
                if stop_signal or self.finished or improved or (checkpoint_due and not progress.skipped_in_a_row):
                    self.save(improved, scheduled=checkpoint_due)
                if stop_signal:
                    raise Interrupted(stop_signal)
        if self.saved_step != progress.step:
            raise Unfinished(f"training ended, but its last checkpoint could not be written to {self.checkpoints}")

    def due(self, every: int, before: int) -> bool:
        """Return whether a multiple of `every` was reached since `elapsed` was `before`."""
        return self.elapsed // every > before // every

    def run_validation(self) -> dict[str, float]:
        """Run validation with the averaged weights on rank 0 and broadcast the metrics."""
        with self.average.in_place():
            return self.distributed.broadcast_object(self.validate() if self.distributed.is_main else {})

    def update(self, batches: list[Batch]) -> None:
        """Update the weights with the clipped gradient of the mean loss over all ranks' batches."""
        progress, window = self.progress, self.progress.window
        bfloat16, mean_over = self.settings.bfloat16, self.config.mean_over
        sums = accumulate_gradients(self.model, self.objective, batches, bfloat16, self.distributed, mean_over)
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
        """Log the means over the window, start a new window and return the means."""
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
        self.progress.window = MetricsWindow()
        return metrics

    def update_best(self, metrics: dict[str, float]) -> bool:
        """Record a validation by the rule of `nmt.training.best`; return whether its checkpoint is the best so far."""
        progress, metric = self.progress, self.config.metric
        verdict = record_validation(metrics, progress, metric)
        self.apply_patience()
        self.schedule.update_plateau(verdict.progress)
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
        elif self.should_prune is not None and self.should_prune():
            progress.stopped = True
            log.info("poorer than other trials; stopping at step %d", progress.step)
        return verdict.best

    def apply_patience(self) -> None:
        """Stop the training if the number of validations without progress has reached the configured patience."""
        self.progress.stopped = 0 < self.config.patience <= self.progress.since_best

    def divergence_error(self) -> UserError:
        """Return the error that ends a diverged training, after saving a checkpoint if none exists yet."""
        if self.saved_step is None:
            self.save(improved=False, scheduled=False)
        last = "start again" if self.saved_step is None else f"continue the checkpoint of step {self.saved_step}"
        return UserError(
            f"the loss or gradient of the last {self.progress.skipped_in_a_row} steps was not finite, and training "
            f"stopped at step {self.progress.step}; {last} with a lower optim.learning_rate, or look at the training "
            "pairs that the log names"
        )

    def save(self, improved: bool, scheduled: bool = True) -> None:
        """Write a checkpoint and link it as `last`, and as `best` if it `improved`.

        A checkpoint that is not `scheduled`, because a signal stopped the training, is deleted when the next one is
        written. Otherwise an interrupted training would end with a different average of checkpoints.

        `best` is linked before `last`, so that a run which continues from `last` also has the weights of the best score
        that `last` records. If the checkpoint cannot be written, as on a full disk, training continues, and the best
        score is again that of the checkpoint on the disk.
        """
        progress, failure = self.progress, ""
        checkpoint = to_checkpoint(self.state_dict(), scheduled, self.settings.run_id)
        superseded = () if self.unscheduled_step is None else (self.unscheduled_step,)
        links = ["best", "last"] if improved else ["last"]
        try:
            self.tracker.flush()
            if self.distributed.is_main:
                save_checkpoint(self.checkpoints, checkpoint, links, self.config.keep_checkpoints, superseded)
        except UserError as error:
            failure = str(error)
        if failure := self.distributed.broadcast_object(failure):
            log.warning("%s. Training continues", failure)
            progress.best, progress.best_step, progress.best_perplexity = self.saved_best
            return
        self.saved_step = progress.step
        self.saved_best = (progress.best, progress.best_step, progress.best_perplexity)
        self.unscheduled_step = None if scheduled else progress.step

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a checkpoint, so that training continues as if it had never stopped.

        Raises:
            UserError: the state is not one that this training could have written.
        """
        try:
            self.load_state_dict(from_checkpoint(checkpoint))
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            problem = f"{self.checkpoints}: step {checkpoint.step} does not fit ({' '.join(str(error).split())})"
            raise UserError(f"{problem}; continue with the settings that it is from") from None
        progress = self.progress
        self.saved_step = progress.step
        self.saved_best = (progress.best, progress.best_step, progress.best_perplexity)
        self.unscheduled_step = None if checkpoint.state.get("scheduled", True) else progress.step
        self.tracker.rewind(progress.step)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that training needs to continue with the same bits; weights and tensors are not copied."""
        return {
            "model": dict(self.model.named_parameters()),
            "average": self.average.average,
            "optimizer": optimizer_tensors(self.optimizer),
            "random": random_states(self.device, self.distributed),
            "schedule": self.schedule.state_dict(),
            "position": {"epoch": self.batches.epoch, "index": self.batches.index},
            "progress": asdict(self.progress),
            "processes": self.initial_world_size,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: a value does not fit this trainer; so do the errors that torch and Python raise for such values.
        """
        if state["average"]:
            self.model.load_weights(state["average"])
            self.average.start()
            self.model.load_weights(state["model"])
        else:
            self.model.load_weights(state["model"])
            self.average.start()
        load_optimizer_tensors(self.optimizer, state["optimizer"])
        set_random_states(state["random"], self.device, self.distributed.rank)
        self.schedule.load_state_dict(state["schedule"])
        self.initial_world_size = state["processes"]
        self.batches.resize(self.config.batch_size * self.initial_world_size)
        self.batches.seek(**state["position"])
        values = with_missing_fields(state["progress"], self.config.metric)
        # In place: the objective may read the step from the same object.
        vars(self.progress).update(vars(Progress(**(values | {"window": MetricsWindow(**values["window"])}))))
