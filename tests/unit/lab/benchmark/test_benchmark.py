"""Benchmarks: consistency of the figures, which does not depend on the speed of the machine."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exported import export
from shapes import model_config

from nmt.config import (
    Config,
    DataConfig,
    IntervalUnit,
    PhrasebookConfig,
    Precision,
    SearchConfig,
    TokenizerConfig,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
)
from nmt.data import prepare, read_lines
from nmt.decoding import Translator
from nmt.errors import UserError
from nmt.export import ExportedTranslator
from nmt.lab.benchmark.commands import PreparationBenchmark
from nmt.lab.benchmark.decoding import DecodingBenchmark
from nmt.lab.benchmark.figures import Benchmark, busy_neighbours, matmul_peak, spread
from nmt.lab.benchmark.training import CheckpointBenchmark, TrainingBenchmark
from nmt.models import Vocabulary, build_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    data = DataConfig(
        phrasebook=PhrasebookConfig(train=300, valid=4, test=12),
        tokenizer=TokenizerConfig(vocab_size=200),
        cache=str(tmp_path_factory.mktemp("cache")),
    )
    model = model_config(embed_size=8, hidden_size=8)
    return Config(
        data=data, model=model, train=TrainConfig(batch_size=16), tracking=TrackingConfig(mode=TrackingMode.disabled)
    )


def positive(benchmark: Benchmark, *names: str) -> dict[str, float]:
    figures = benchmark.repeat()
    assert set(figures) >= set(names)
    assert all(value > 0 for value in figures.values())
    return figures


def test_training_counts_real_target_tokens_and_divides_by_the_peak(config: Config, tmp_path: Path) -> None:
    benchmark = TrainingBenchmark(config, tmp_path / "run", CPU, False, steps=3, peak=1e9)
    figures = positive(benchmark, "target_tokens_per_second", "peak_rss_bytes")
    window = benchmark.trainer.progress.window
    assert figures["target_tokens_per_second"] * figures["seconds_per_step"] * 3 == pytest.approx(window.tokens)
    work = figures["flops_per_target_token"] * figures["target_tokens_per_second"]
    assert figures["utilisation"] == pytest.approx(work / 1e9)


def test_a_checkpoints_share_is_of_the_time_between_two(config: Config, tmp_path: Path) -> None:
    benchmark = CheckpointBenchmark(config, tmp_path / "run", CPU, False, steps=2)
    figures = positive(benchmark, "share_of_time")
    between = config.train.checkpoint_every * figures["seconds_per_step"]
    share = figures["seconds_per_checkpoint"] / (between + figures["seconds_per_checkpoint"])
    assert figures["share_of_time"] == pytest.approx(share)
    assert (benchmark.trainer.checkpoints / "last" / "model.safetensors").is_file()


def test_a_checkpoint_of_each_epoch_comes_after_its_steps(config: Config, tmp_path: Path) -> None:
    train = replace(config.train, interval_unit=IntervalUnit.epochs, checkpoint_every=2, accumulate=2)
    benchmark = CheckpointBenchmark(replace(config, train=train), tmp_path / "run", CPU, False, steps=1)
    batches = -(-len(benchmark.trainer.batches.store) // config.train.batch_size)
    assert benchmark.repeat()["checkpoint_every_steps"] == batches


@pytest.mark.parametrize("beam", [1, 3])
def test_an_untrained_model_writes_as_many_pieces_as_the_references_have(config: Config, beam: int) -> None:
    benchmark = DecodingBenchmark.untrained(config, SearchConfig(beam_size=beam, batch_size=4), CPU, Precision.float32)
    positive(benchmark, "sentences_per_second", "milliseconds_per_sentence")
    translator = benchmark.translator
    references = list(read_lines(prepare(config.data).text("test").with_suffix(".tgt")))
    hypotheses = translator.search(translator.src.encode(benchmark.lines), lambda count: None)
    expected = [len(ids) for ids in translator.tgt.encode(references)]
    assert [len(best.tokens) for best, *_ in hypotheses] == expected


def test_an_exported_model_translates_the_test_set(config: Config, tmp_path: Path) -> None:
    prepared = prepare(config.data)
    tokenizer = prepared.tokenizer("tgt")
    model = build_model(config.model, Vocabulary(tokenizer.size, tokenizer.size)).eval()
    folder = export(Translator(model, tokenizer, tokenizer, SearchConfig()), tmp_path / "exported")
    benchmark = DecodingBenchmark.exported(config, ExportedTranslator(folder, search=SearchConfig(beam_size=2)))
    positive(benchmark, "pieces_per_second", "milliseconds_per_piece")
    assert benchmark.lines == list(read_lines(prepared.text("test").with_suffix(".src")))


@pytest.mark.commands
def test_preparation_reads_every_line(config: Config) -> None:
    odd = Path(config.data.cache or "") / "a folder, {odd}"  # a path that the command line must quote
    figures = positive(
        PreparationBenchmark(replace(config, data=replace(config.data, cache=str(odd)))),
        *("lines_per_second", "mib_per_second", "seconds_second_time"),
    )
    assert figures["lines_per_second"] * figures["seconds"] == pytest.approx(300)
    assert 20e6 < figures["peak_rss_bytes"] < 200e6  # of the command alone, not of this process, which imports torch


@pytest.mark.commands
def test_a_preparation_that_fails_says_why(config: Config) -> None:
    benchmark = PreparationBenchmark(config)
    benchmark.data.max_pieces = 1
    with pytest.raises(
        UserError, match=r"cannot be measured: nmt: every training pair has more than data\.max_pieces=1"
    ):
        benchmark.repeat()


def test_the_peak_is_above_what_a_small_product_reaches() -> None:
    torch.set_num_threads(1)
    assert matmul_peak(torch.float32, repeats=1) > 1e8


@pytest.mark.parametrize(
    ("seconds_at_64", "size"),
    [(1e-6, 2048), (2.5e-4, 512), (1e-2, 128), (2.0, 64)],
)
def test_the_peak_uses_the_largest_product_within_the_time_limit(seconds_at_64: float, size: int) -> None:
    """Use a clock on which the time of a product grows with the cube of its size, as for emulated bfloat16."""
    seen: list[float] = []

    def clock(action: Callable[[], object]) -> float:
        result = action()
        assert isinstance(result, torch.Tensor)
        seen.append(seconds_at_64 * (len(result) / 64) ** 3)
        return seen[-1]

    torch.set_num_threads(1)
    assert matmul_peak(torch.float32, repeats=2, clock=clock) == pytest.approx(2 * 64**3 / seconds_at_64)
    assert seen[-1] == pytest.approx(seconds_at_64 * (size / 64) ** 3)
    assert sum(seen) <= 4.0


def test_a_type_without_products_has_no_peak() -> None:
    def clock(action: Callable[[], object]) -> float:
        raise RuntimeError("not implemented for this type")

    assert matmul_peak(torch.float32, clock=clock) == 0.0


def test_neighbours_run_only_within_the_block() -> None:
    def children() -> set[str]:
        return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="utf-8").split())

    before = children()
    with busy_neighbours(2):
        assert len(children() - before) == 2
    assert children() <= before


def test_the_spread_is_half_the_distance_between_the_quartiles() -> None:
    assert spread([5.0]) == 0.0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == 1.0
