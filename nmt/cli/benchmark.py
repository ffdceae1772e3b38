"""scripts/benchmark.py: figures of speed, as a table and as JSON."""

import json
import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from nmt.cli import app
from nmt.config import (
    AttentionKind,
    BenchmarkConfig,
    Config,
    ModelConfig,
    Precision,
    SearchConfig,
    SearchKind,
    Task,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    Variant,
    from_hydra,
)
from nmt.console import progress_bar
from nmt.lab.benchmark import (
    Benchmark,
    CheckpointBenchmark,
    DecodingBenchmark,
    PreparationBenchmark,
    StartupBenchmark,
    TrainingBenchmark,
    busy_neighbours,
    matmul_peak,
    median,
    spread,
)
from nmt.models.int8 import int8_products_are_exact
from nmt.run import RunDirectory
from nmt.runtime import fast_bfloat16, setup_runtime

log = logging.getLogger(__name__)


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
        train=TrainConfig(batch_size=config.batch_size or 128),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
        machine=config.machine(),
    )


def build(config: BenchmarkConfig, folder: Path, peaks: Mapping[str, float]) -> Benchmark:
    """The benchmark of a task; `folder` is for the files that it needs."""
    whole, machine = standard(config), setup_runtime(replace(config.machine(), precision=precision(config)))
    match config.task:
        case Task.train:
            peak = peaks["matmul_peak_flops_bfloat16" if machine.bfloat16 else "matmul_peak_flops_float32"]
            return TrainingBenchmark(whole, folder, machine.device, machine.bfloat16, config.steps, peak)
        case Task.checkpoint:
            return CheckpointBenchmark(whole, folder, machine.device, machine.bfloat16, config.steps)
        case Task.decode:
            run = None if config.run is None else RunDirectory.open(config.run)
            search = search_settings(config, SearchConfig() if run is None else run.config().search)
            benchmark = (
                DecodingBenchmark.untrained(whole, search, machine.device)
                if run is None
                else DecodingBenchmark.trained(run, search, machine.device)
            )
            machine.lower_precision(benchmark.translator)
            return benchmark
        case Task.prepare:
            return PreparationBenchmark(whole)
        case Task.startup:
            assert config.run is not None
            return StartupBenchmark(config.run)


def precision(config: BenchmarkConfig) -> Precision:
    """What is asked for, or the fastest for the task."""
    if config.precision != Precision.auto:
        return config.precision
    if config.task == Task.decode:
        return Precision.int8 if int8_products_are_exact() else Precision.float32
    return Precision.bfloat16 if fast_bfloat16(torch.device("cpu")) else Precision.float32


def search_settings(config: BenchmarkConfig, usual: SearchConfig) -> SearchConfig:
    kind = SearchKind.greedy if config.beam_size == 1 else SearchKind.beam
    size = config.batch_size or usual.batch_size
    return replace(usual, kind=kind, beam_size=config.beam_size, batch_size=size, n_best=1)


def command(cfg: DictConfig) -> None:
    configs = [from_hydra(BenchmarkConfig, cfg)]
    if configs[0].versus:
        configs.append(from_hydra(BenchmarkConfig, cfg, OmegaConf.from_dotlist(configs[0].versus)))
    elif configs[0].neighbours:
        configs.append(replace(configs[0], neighbours=0))
    output = None if configs[0].output is None else app.new_path(configs[0].output)
    setup_runtime(configs[0].machine())
    peaks = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        peak = peaks[f"matmul_peak_flops_{name}"] = matmul_peak(dtype)
        log.info("peak of matrix products in %s: %s", name, f"{peak / 1e9:,.1f} GFLOP/s" if peak else "not supported")
    found = measure(configs, peaks)
    precisions = [str(precision(config)) for config in configs]
    what = f"{configs[0].task} on {configs[0].data.name}"
    shown = [precision + beside(config) for precision, config in zip(precisions, configs, strict=True)]
    title = f"{what} in {' versus '.join(shown)}, {torch.get_num_threads()} threads"
    show(found, peaks, title)
    if output is not None:
        report = summary(found[0]) | peaks | {"threads": torch.get_num_threads(), "precision": precisions[0]}
        if len(found) > 1:
            report |= {"versus": summary(found[1]) | {"precision": precisions[1]}, "ratio": ratios(found)}
        output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def summary(figures: dict[str, list[float]]) -> dict[str, Any]:
    """The median of each figure, and under `spread` half the distance between its quartiles."""
    medians: dict[str, Any] = {name: median(values) for name, values in figures.items()}
    return medians | {"spread": {name: spread(values) for name, values in figures.items()}}


def measure(configs: list[BenchmarkConfig], peaks: Mapping[str, float]) -> list[dict[str, list[float]]]:
    """Figures of each configuration, repetition by repetition, in turns; the first of each warms up."""
    found: list[dict[str, list[float]]] = [{} for _ in configs]
    with tempfile.TemporaryDirectory(prefix="nmt-benchmark-") as folder, progress_bar() as bar:
        benchmarks = [build(config, Path(folder) / str(number), peaks) for number, config in enumerate(configs)]
        for repetition in bar.track(range(configs[0].repeats + 1), description="repetitions"):
            for config, benchmark, figures in zip(configs, benchmarks, found, strict=True):
                with busy_neighbours(config.neighbours):
                    measured = benchmark.repeat()
                name, value = next(iter(measured.items()))
                part = f"repetition {repetition} of {config.repeats}" if repetition else "warm-up"
                log.info("%s%s: %s %s", part, beside(config), name.replace("_", " "), f"{value:,.5g}")
                if repetition > 0:
                    for name, value in measured.items():
                        figures.setdefault(name, []).append(value)
    return found


def beside(config: BenchmarkConfig) -> str:
    """Return the part of a title that names the neighbours."""
    return f" beside {config.neighbours} busy process{'es' * (config.neighbours > 1)}" if config.neighbours else ""


def ratios(found: list[dict[str, list[float]]]) -> dict[str, float]:
    """The first configuration's figures over the second's, the median of the ratios pair by pair."""
    first, second = found
    return {name: median([a / b for a, b in zip(first[name], second[name], strict=True)]) for name in first}


def show(found: list[dict[str, list[float]]], peaks: Mapping[str, float], title: str) -> None:
    headings = ["median", "+-"] + (["versus", "+-", "ratio"] if len(found) > 1 else [])
    table = Table("figure", *headings, title=title, title_justify="left")
    quotients = ratios(found) if len(found) > 1 else {}
    for name in found[0]:
        cells = [
            cell for figures in found for cell in (f"{median(figures[name]):,.5g}", f"{spread(figures[name]):,.2g}")
        ]
        table.add_row(name, *cells, *([f"{quotients[name]:.3f}"] if quotients else []))
    for name, peak in peaks.items():
        table.add_row(name, f"{peak:,.5g}", "")
    Console(width=110).print(table)


def main() -> None:
    """The task is the first word; what stands behind the word `vs` is set in the second configuration alone."""
    if "vs" in sys.argv:
        end = sys.argv.index("vs")
        sys.argv[end:] = [f"versus={json.dumps(sys.argv[end + 1 :])}"]
    if len(sys.argv) > 1 and "=" not in sys.argv[1] and not sys.argv[1].startswith("-"):
        sys.argv[1] = f"task={sys.argv[1]}"
    app.run("benchmark", command)


if __name__ == "__main__":
    main()
