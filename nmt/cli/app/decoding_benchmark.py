"""Benchmark of decoding with a run or an exported folder, for the commands that measure it."""

from dataclasses import replace

import torch

from nmt.config import BenchmarkConfig, BenchmarkTask, Config, Precision, SearchConfig, SearchKind, user_path
from nmt.export import exported_translator, is_export, open_export
from nmt.lab.benchmark.decoding import DecodingBenchmark
from nmt.models.int8 import exact_weight_levels
from nmt.run import RunDirectory
from nmt.runtime import Runtime, fast_bfloat16


def build_decoding_benchmark(
    config: BenchmarkConfig, full: Config, runtime: Runtime, split: str = "test"
) -> DecodingBenchmark:
    """Create the benchmark of decoding with an untrained model, a run, or an exported folder.

    Args:
        config: settings of the benchmark.
        full: configuration of the untrained model; its corpus has the test set of an exported folder.
        runtime: device and precision.
        split: held-out set of the run or the exported folder to translate.
    """
    if config.run is None:
        search = search_settings(config, SearchConfig())
        return DecodingBenchmark.untrained(full, search, runtime.device, runtime.translate_in)
    if is_export(user_path(config.run)):
        folder = open_export(config.run)
        search = search_settings(config, folder.settings.search)
        return DecodingBenchmark.exported(full, exported_translator(folder, config.machine(), search), split)
    run = RunDirectory.open(config.run)
    search = search_settings(config, run.config().search)
    return DecodingBenchmark.trained(run, search, runtime.device, runtime.translate_in, split)


def select_precision(config: BenchmarkConfig) -> Precision:
    """Return the configured precision, or that of an exported folder; for `auto`, the fastest here for the task."""
    if config.run is not None and is_export(user_path(config.run)):
        return Precision(open_export(config.run).settings.precision)
    if config.precision != Precision.auto:
        return config.precision
    if config.task == BenchmarkTask.decode:
        return Precision.int8 if exact_weight_levels() else Precision.float32
    return Precision.bfloat16 if fast_bfloat16(torch.device("cpu")) else Precision.float32


def search_settings(config: BenchmarkConfig, base: SearchConfig) -> SearchConfig:
    """Return the search `base` with beam size, batch size and shortlist of the benchmark."""
    kind = SearchKind.greedy if config.beam_size == 1 else SearchKind.beam
    size = config.batch_size or base.batch_size
    return replace(base, kind=kind, beam_size=config.beam_size, batch_size=size, n_best=1, shortlist=config.shortlist)
