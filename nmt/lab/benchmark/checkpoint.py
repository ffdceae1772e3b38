"""Overhead of checkpoints, as a share of the training time."""

from pathlib import Path

import torch

from nmt.config import Config, IntervalUnit
from nmt.lab.benchmark.figures import Figures, timed
from nmt.lab.benchmark.training import new_trainer


class CheckpointBenchmark:
    """Time of training steps and of writing a checkpoint."""

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
