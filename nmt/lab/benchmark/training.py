"""Training throughput (target tokens/s) of the trainer's update step, and overhead of its checkpoints."""

from pathlib import Path

import torch

from nmt.config import Config, IntervalUnit
from nmt.data import prepare
from nmt.lab.benchmark.figures import Figures, timed
from nmt.lab.benchmark.flops import Work, training_flops
from nmt.run import RunDirectory, peak_memory
from nmt.training import Tracker, Trainer, build_trainer
from nmt.training.progress import MetricsWindow

REPETITION_SECONDS = 12.0
"""Maximum expected time of a repetition; a slow machine takes fewer steps."""


class TrainingBenchmark:
    """Throughput, operations per token and utilisation of training steps."""

    def __init__(
        self, config: Config, folder: Path, device: torch.device, bfloat16: bool, steps: int, peak: float
    ) -> None:
        """Create a run and take a first step, which determines the number of steps per repetition.

        A repetition has at most `steps` steps, and fewer if they would take longer than `REPETITION_SECONDS`. `peak` is
        the peak of matrix products in the precision of the training, in FLOP/s; 0 if unknown.
        """
        self.trainer = new_trainer(config, folder, device, bfloat16)
        self.model = config.model
        self.peak = peak
        first = timed(lambda: self.trainer.update([self.trainer.batches.next()]))
        self.trainer.progress.window = MetricsWindow()
        self.steps = max(1, min(steps, int(REPETITION_SECONDS / first)))

    def repeat(self) -> Figures:
        """Take the steps of one repetition."""
        trainer, work = self.trainer, Work()
        position = trainer.batches.epoch, trainer.batches.index
        for _ in range(self.steps):
            work.add(trainer.batches.next())
        trainer.batches.seek(*position)  # the same batches are made again as part of the measured time

        def train() -> None:
            for _ in range(self.steps):
                trainer.update([trainer.batches.next()])

        seconds = timed(train)
        speed = work.tgt_tokens / seconds
        flops = training_flops(self.model, trainer.model.vocabulary.tgt_size, work) / work.tgt_tokens
        return {
            "target_tokens_per_second": speed,
            "seconds_per_step": seconds / self.steps,
            "flops_per_target_token": flops,
            "utilisation": flops * speed / self.peak if self.peak else 0.0,
            "peak_rss_bytes": peak_memory(),
        }


class CheckpointBenchmark:
    """Time of training steps and of writing a checkpoint, whose overhead is a share of the training time."""

    def __init__(self, config: Config, folder: Path, device: torch.device, bfloat16: bool, steps: int) -> None:
        self.trainer = new_trainer(config, folder, device, bfloat16)
        self.steps = steps

    def repeat(self) -> Figures:
        """Time the training steps and then one checkpoint."""
        trainer = self.trainer

        def train() -> None:
            for _ in range(self.steps):
                trainer.update([trainer.batches.next()])
                trainer.progress.step += 1

        step = timed(train) / self.steps
        seconds = timed(lambda: trainer.save(improved=False))
        every: float = trainer.config.checkpoint_every
        if trainer.config.interval_unit == IntervalUnit.epochs:
            every *= sum(map(len, trainer.batches.windows_of(0))) / trainer.config.accumulate
        return {
            "seconds_per_step": step,
            "seconds_per_checkpoint": seconds,
            "checkpoint_bytes": sum(file.stat().st_size for file in (trainer.checkpoints / "last").iterdir()),
            "checkpoint_every_steps": every,
            "share_of_time": seconds / (every * step + seconds),
        }


def new_trainer(config: Config, folder: Path, device: torch.device, bfloat16: bool) -> Trainer:
    """Create a run and return its trainer."""
    run = RunDirectory(folder)
    prepared = prepare(config.data)
    run.create(config, prepared)
    return build_trainer(config, run, prepared, Tracker(run.path, config.tracking, {}), device, bfloat16)
