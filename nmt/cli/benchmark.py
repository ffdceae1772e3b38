"""scripts/benchmark.py: measure speed, as a table and as JSON."""

import json
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmt.cli import app
from nmt.cli.app.decoding_benchmark import build_decoding_benchmark, select_precision
from nmt.config import (
    AttentionKind,
    BenchmarkConfig,
    BenchmarkTask,
    Config,
    GnmtDecoderConfig,
    ModelConfig,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    Variant,
    from_hydra,
    user_path,
)
from nmt.console import escape_control_characters
from nmt.lab.benchmark.commands import PreparationBenchmark, StartupBenchmark
from nmt.lab.benchmark.figures import Benchmark, Figures, busy_neighbours, matmul_peak, spread, summary
from nmt.lab.benchmark.peers import PEAK, UNITS, BenchmarkMachine, Peers, peer_rows, read_peers, warn_of_machines
from nmt.lab.benchmark.recurrences import RecurrencesBenchmark, decoder_config
from nmt.lab.benchmark.recurrences_table import costs_of, costs_table
from nmt.lab.benchmark.training import CheckpointBenchmark, TrainingBenchmark
from nmt.lab.benchmark.turns import measure_in_turns
from nmt.lab.plots.recurrences import draw_costs
from nmt.run import processor
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def reference_config(config: BenchmarkConfig) -> Config:
    """Return the configuration used in all comparisons: hidden size 512, 8,000 joint pieces (phrasebook: its own)."""
    data = config.data
    if data.phrasebook is None:
        data = replace(data, tokenizer=replace(data.tokenizer, vocab_size=8000))
    decoder = GnmtDecoderConfig(attention=AttentionKind.general, input_feeding=config.variant == Variant.input_feeding)
    model = ModelConfig(embed_size=256, hidden_size=512, decoder=decoder)
    return Config(
        data=data,
        model=model,
        train=TrainConfig(batch_size=config.batch_size or 128),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
        machine=config.machine(),
    )


def build_benchmark(config: BenchmarkConfig, folder: Path, peaks: Mapping[str, float]) -> Benchmark:
    """Create the benchmark of a task.

    Temporary files are written to `folder`. `peaks` has the peak of matrix products in FLOP/s, by precision.
    """
    full = reference_config(config)
    runtime = setup_runtime(replace(config.machine(), precision=select_precision(config)))
    match config.task:
        case BenchmarkTask.train:
            peak = peaks["matmul_peak_flops_bfloat16" if runtime.bfloat16 else "matmul_peak_flops_float32"]
            return TrainingBenchmark(full, folder, runtime.device, runtime.bfloat16, config.steps, peak)
        case BenchmarkTask.checkpoint:
            return CheckpointBenchmark(full, folder, runtime.device, runtime.bfloat16, config.steps)
        case BenchmarkTask.decode:
            return build_decoding_benchmark(config, full, runtime)
        case BenchmarkTask.prepare:
            return PreparationBenchmark(full)
        case BenchmarkTask.startup:
            assert config.run is not None
            return StartupBenchmark(config.run)
        case BenchmarkTask.recurrences:
            models = {decoder: decoder_config(decoder) for decoder in config.decoders}
            return RecurrencesBenchmark(models, config.lengths, config.beam_size, runtime.bfloat16)


def command(cfg: DictConfig) -> None:
    configs = [from_hydra(BenchmarkConfig, cfg)]
    if configs[0].versus:
        configs.append(from_hydra(BenchmarkConfig, cfg, OmegaConf.from_dotlist(configs[0].versus)))
    elif configs[0].neighbours:
        configs.append(replace(configs[0], neighbours=0))
    output = None if configs[0].output is None else app.new_path(configs[0].output)
    picture = None if configs[0].picture is None else app.new_path(configs[0].picture, "picture")
    peers = None if configs[0].peers is None else read_peers(user_path(configs[0].peers), configs[0].beam_size)
    setup_runtime(configs[0].machine())
    peaks = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        peak = peaks[f"matmul_peak_flops_{name}"] = matmul_peak(dtype)
        log.info("peak of matrix products in %s: %s", name, f"{peak / 1e9:,.1f} GFLOP/s" if peak else "not supported")
    figures = measure(configs, peaks)
    precisions = [str(select_precision(config)) for config in configs]
    labels = [precision + neighbours_label(config) for precision, config in zip(precisions, configs, strict=True)]
    threads = torch.get_num_threads()
    title = f"{configs[0].task} on {corpus_of(configs[0])} in {' versus '.join(labels)}, {threads} threads"
    if configs[0].task == BenchmarkTask.recurrences:
        show_recurrences(figures, labels, title, picture)
    else:
        show_table(figures, peaks, title)
    if peers is not None:
        show_peers(peers, figures[0], BenchmarkMachine(processor(), peaks[PEAK]), user_path(str(configs[0].peers)))
    if output is not None:
        report = (
            summary(figures[0])
            | peaks
            | {
                "threads": threads,
                "precision": precisions[0],
                "processor": processor(),
            }
        )
        if len(figures) > 1:
            report |= {"versus": summary(figures[1]) | {"precision": precisions[1]}, "ratio": ratios(figures)}
        output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class NeighbouredBenchmark:
    """Benchmark that is repeated beside busy processes."""

    benchmark: Benchmark
    neighbours: int

    def repeat(self) -> Figures:
        """Measure once beside the processes."""
        with busy_neighbours(self.neighbours):
            return self.benchmark.repeat()


def corpus_of(config: BenchmarkConfig) -> str:
    """Return a name of the text that a benchmark reads."""
    return "random ids" if config.task == BenchmarkTask.recurrences else config.data.name


def show_recurrences(
    figures: list[dict[str, list[float]]], labels: Sequence[str], title: str, picture: Path | None
) -> None:
    """Print the tables of each configuration, and draw the figures of the first one."""
    print(f"{title}\n")
    for label, measured in zip(labels, figures, strict=True):
        print(f"Training in {label}, search in float32:\n\n{costs_table(costs_of(measured))}")
    if picture is not None:
        draw_costs(costs_of(figures[0]), f"{processor()}, {title}", picture)


def measure(configs: list[BenchmarkConfig], peaks: Mapping[str, float]) -> list[dict[str, list[float]]]:
    """Return the figures of each configuration, one value per repetition; the configurations are measured in turns."""
    with tempfile.TemporaryDirectory(prefix="nmt-benchmark-") as folder:
        benchmarks = [
            NeighbouredBenchmark(build_benchmark(config, Path(folder) / str(number), peaks), config.neighbours)
            for number, config in enumerate(configs)
        ]
        return measure_in_turns(benchmarks, [neighbours_label(config) for config in configs], configs[0].repeats)


def neighbours_label(config: BenchmarkConfig) -> str:
    """Return the part of a title that gives the number of busy processes."""
    return f" beside {config.neighbours} busy process{'es' * (config.neighbours > 1)}" if config.neighbours else ""


def ratios(figures: list[dict[str, list[float]]]) -> dict[str, float]:
    """Return the median over repetitions of the first configuration's figures divided by the second's."""
    first, second = figures
    return {name: median([a / b for a, b in zip(first[name], second[name], strict=True)]) for name in first}


def show_table(figures: list[dict[str, list[float]]], peaks: Mapping[str, float], title: str) -> None:
    """Print the medians with their spread, and the ratio of two configurations."""
    headings = ["median", "+-"] + (["versus", "+-", "ratio"] if len(figures) > 1 else [])
    table = Table("figure", *headings, title=title, title_justify="left")
    quotients = ratios(figures) if len(figures) > 1 else {}
    for name in figures[0]:
        columns = [values[name] for values in figures]
        cells = [cell for values in columns for cell in (f"{median(values):,.5g}", f"{spread(values):,.2g}")]
        table.add_row(name, *cells, *([f"{quotients[name]:.3f}"] if quotients else []))
    for name, peak in peaks.items():
        table.add_row(name, f"{peak:,.5g}", "")
    Console(width=110).print(table)


def show_peers(peers: Peers, figures: dict[str, list[float]], machine: BenchmarkMachine, folder: Path) -> None:
    """Print the figures beside those of the other toolkits, and warn if the machines differ."""
    console = Console(width=110)
    flops = figures.get("flops_per_target_token")
    for name, unit in UNITS.items():
        if name in figures and peers.figures[name]:
            table = Table("toolkit", unit, "measurements", "ratio", "utilisation", title=name, title_justify="left")
            for row in peer_rows(peers, name, figures[name], None if flops is None else median(flops), machine):
                table.add_row(*(escape(escape_control_characters(cell)) for cell in row))
            console.print(table)
    print(escape_control_characters(f"machine of the peers: {peers.machine}\nthis machine: {machine}"))
    warn_of_machines(peers, machine, folder)


def main() -> None:
    """Run the command. The first word is the task; words after `vs` set values of the second configuration alone."""
    if "vs" in sys.argv:
        end = sys.argv.index("vs")
        sys.argv[end:] = [f"versus={json.dumps(sys.argv[end + 1 :])}"]
    if len(sys.argv) > 1 and "=" not in sys.argv[1] and not sys.argv[1].startswith("-"):
        sys.argv[1] = f"task={sys.argv[1]}"
    app.run("benchmark", command)


if __name__ == "__main__":
    main()
