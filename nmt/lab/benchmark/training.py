"""Target tokens per second through the update of the real training loop."""

from pathlib import Path

import torch

from nmt.config import Config
from nmt.data import prepare
from nmt.lab.benchmark.figures import Figures, timed
from nmt.lab.benchmark.flops import Work, training_flops
from nmt.run import RunDirectory, peak_memory
from nmt.training import Tracker, Trainer, build_trainer
from nmt.training.progress import MetricsWindow

REPETITION_SECONDS = 12.0
"""Longest expected time of a repetition: on a slow machine it has fewer steps."""


class TrainingBenchmark:
    def __init__(
        self, config: Config, folder: Path, device: torch.device, bfloat16: bool, steps: int, peak: float
    ) -> None:
        """
        Args:
            config: of the run to train, in `folder`.
            steps: updates per repetition, at most; fewer where they would take over `REPETITION_SECONDS`.
            peak: of matrix products in the precision of the training, in FLOP/s; 0 if unknown.
        """
        self.trainer = new_trainer(config, folder, device, bfloat16)
        self.model = config.model
        self.peak = peak
        first = timed(lambda: self.trainer.update([self.trainer.batches.next()]))
        self.trainer.progress.window = MetricsWindow()
        self.steps = max(1, min(steps, int(REPETITION_SECONDS / first)))

    def repeat(self) -> Figures:
        trainer, work = self.trainer, Work()
        position = trainer.batches.epoch, trainer.batches.index
        for _ in range(self.steps):
            work.add(trainer.batches.next())
        trainer.batches.seek(*position)  # taken once more, so that making them is part of the time

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


def new_trainer(config: Config, folder: Path, device: torch.device, bfloat16: bool) -> Trainer:
    """A trainer of a new run."""
    run = RunDirectory(folder)
    prepared = prepare(config.data)
    run.create(config, prepared)
    return build_trainer(config, run, prepared, Tracker(run.path, config.tracking, {}), device, bfloat16)
