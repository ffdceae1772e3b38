"""scripts/benchmark.py: figures of speed, as a table and as JSON."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from nmt.cli import app
from nmt.cli.machine import settle
from nmt.config import (
    AttentionKind,
    BenchmarkConfig,
    Config,
    ModelConfig,
    Task,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    Variant,
    from_hydra,
)
from nmt.console import progress_bar
from nmt.data import prepare
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.training import Tracker, Trainer, build_trainer

Figures = dict[str, list[float]]
"""Repeated measurements by name; the name ends in the unit."""


def standard(config: BenchmarkConfig) -> Config:
    """The shape that figures are compared in: 8,000 joint pieces where the corpus fills them, hidden 512."""
    data = config.data
    if data.phrasebook is None:
        data = replace(data, tokenizer=replace(data.tokenizer, vocab_size=8000))
    model = ModelConfig(
        embed_size=256,
        hidden_size=512,
        attention=AttentionKind.general,
        input_feeding=config.variant == Variant.input_feeding,
    )
    return Config(
        data=data,
        model=model,
        train=TrainConfig(batch_size=config.batch_size),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
        machine=config.machine(),
    )


def measure_checkpoint(config: BenchmarkConfig) -> Figures:
    """How long a checkpoint stops the training, and what share of the time between two of them that is."""
    whole = standard(config)
    with tempfile.TemporaryDirectory(prefix="nmt-benchmark-", dir=".") as folder:
        run = RunDirectory(Path(folder) / "run")
        run.create(whole, prepare(whole.data))
        tracker = Tracker(run.path, whole.tracking, {})
        machine = settle(whole.machine)
        trainer = build_trainer(whole, run, tracker, machine.device, machine.bfloat16)
        seconds: Figures = {"seconds_per_step": [], "seconds_per_checkpoint": []}
        with progress_bar() as bar:
            for repetition in bar.track(range(config.repeats + 1), description="repetitions"):
                step = timed(lambda: train_steps(trainer, config.steps)) / config.steps
                checkpoint = timed(lambda: trainer.save(improved=False))
                if repetition > 0:
                    seconds["seconds_per_step"].append(step)
                    seconds["seconds_per_checkpoint"].append(checkpoint)
        size = sum(file.stat().st_size for file in (run.checkpoints / "last").iterdir())
    every = whole.train.checkpoint_every
    pairs = zip(*seconds.values(), strict=True)
    share = [checkpoint / (every * step + checkpoint) for step, checkpoint in pairs]
    return seconds | {"checkpoint_every_steps": [every], "checkpoint_bytes": [size], "share_of_time": share}


def train_steps(trainer: Trainer, steps: int) -> None:
    for _ in range(steps):
        trainer.update([trainer.batches.next()])
        trainer.progress.step += 1


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def spread(values: list[float]) -> float:
    """Half the distance between the quartiles; zero for a single value."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def show(figures: Figures, title: str) -> None:
    table = Table("figure", "median", "+-", title=title, title_justify="left")
    for name, values in figures.items():
        table.add_row(name, f"{statistics.median(values):,.4g}", f"{spread(values):,.2g}")
    Console(width=100).print(table)


def command(cfg: DictConfig) -> None:
    config = from_hydra(BenchmarkConfig, cfg)
    if config.output is not None and Path(config.output).exists():
        raise UserError(f"output={config.output} exists already; choose another name or delete it")
    measure = {Task.checkpoint: measure_checkpoint}[config.task]
    figures = measure(config)
    show(figures, f"{config.task}: {config.data.name}, {config.variant}, batch {config.batch_size}")
    if config.output is not None:
        medians = {name: statistics.median(values) for name, values in figures.items()}
        spreads = {name: spread(values) for name, values in figures.items()}
        Path(config.output).write_text(json.dumps(medians | {"spread": spreads}, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """The task is the first word; everything else is an override."""
    if len(sys.argv) > 1 and "=" not in sys.argv[1] and not sys.argv[1].startswith("-"):
        sys.argv[1] = f"task={sys.argv[1]}"
    app.run("benchmark", command)


if __name__ == "__main__":
    main()
