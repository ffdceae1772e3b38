"""Cost of decoders by length: bytes of the state against formulas, figures, tables and the picture."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from composing import restored_readers

from nmt.cli import benchmark
from nmt.config import TRANSFORMER, BenchmarkConfig, BenchmarkTask
from nmt.config.checks import problems_in
from nmt.lab.benchmark.recurrences import (
    HEADINGS,
    SEARCH,
    SOURCE,
    STATE,
    TRAINING,
    RecurrencesBenchmark,
    decoder_config,
    state_bytes,
)
from nmt.lab.benchmark.recurrences_table import costs_of, costs_table
from nmt.models import Seq2Seq, Vocabulary, build_model

H, LAYERS, HEADS, FLOAT = 16, 3, 4, 4
D = H // HEADS
FLOATS = {
    "lstm": 2 * H,  # h and c
    "gru": H,
    "ssru": 2 * H,
    "sru": 2 * H,
    "min_lstm": H,
    "min_gru": H,
    "rg_lru": 5 * H,  # h, c, and three inputs of the convolution
    "slstm": 4 * H,  # h, c, n, m
    "mlstm": HEADS * D * D + HEADS * D + HEADS + H,  # C, n, m, h
    "gated_delta": HEADS * D * D + H,  # S and h
}
"""Numbers of floats in the state of a layer, by the papers' equations."""


def small(decoder: str) -> Seq2Seq:
    torch.manual_seed(1)
    return build_model(decoder_config(decoder, H, LAYERS), Vocabulary(20, 20)).eval()


def bench(*decoders: str, lengths: tuple[int, ...] = (2, 5)) -> RecurrencesBenchmark:
    models = {decoder: decoder_config(decoder, H, LAYERS) for decoder in decoders}
    return RecurrencesBenchmark(models, lengths, beam_size=2, bfloat16=False, words=20, batch_tokens=12)


@pytest.mark.parametrize("cell", FLOATS)
@pytest.mark.parametrize("length", [1, 6])
def test_the_state_of_a_recurrence_has_the_size_of_its_equations_at_every_length(cell: str, length: int) -> None:
    kept, shared = state_bytes(small(cell), bench(cell).batch(1, length))
    assert kept == LAYERS * FLOATS[cell] * FLOAT
    assert shared == (length + 1) * (2 * H * FLOAT + 1)  # a key, a value and a mask per source token, with eos


@pytest.mark.parametrize("length", [1, 6])
def test_the_state_of_the_transformer_grows_with_each_token(length: int) -> None:
    kept, shared = state_bytes(small(TRANSFORMER), bench(TRANSFORMER).batch(1, length))
    assert kept == LAYERS * 2 * (length + 1) * H * FLOAT  # bos is a token of the prefix
    assert shared == (length + 1) * (LAYERS * 2 * H * FLOAT + 1)


def test_bytes_are_those_of_one_sentence_of_the_batch() -> None:
    model, benchmark = small("mlstm"), bench("mlstm")
    assert state_bytes(model, benchmark.batch(3, 4)) == state_bytes(model, benchmark.batch(1, 4))


def test_pairs_are_random_and_depend_on_the_seed_alone() -> None:
    batch, again = bench().batch(3, 5), bench().batch(3, 5)
    assert torch.equal(batch.src, again.src)
    assert torch.equal(batch.tgt_out, again.tgt_out)
    assert (batch.src.shape, batch.tokens) == ((6, 3), 18)
    assert not torch.equal(batch.src[:-1], batch.tgt_out[:-1])
    assert int(batch.src[:-1].min()) >= 4
    assert batch.src_mask.all()


def test_every_decoder_is_trained_and_searched_at_every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.lab.benchmark.recurrences.MEASURED_SECONDS", 0.0)
    figures = bench("ssru", TRANSFORMER).repeat()
    names = {
        f"{decoder}/{length}/{name}" for decoder in ("ssru", TRANSFORMER) for length in (2, 5) for name in HEADINGS
    }
    assert set(figures) == names
    assert all(value > 0 for value in figures.values())
    assert figures[f"ssru/2/{STATE}"] == figures[f"ssru/5/{STATE}"] < figures[f"{TRANSFORMER}/5/{STATE}"]


def test_hypotheses_have_the_measured_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model must not end hypotheses early, which would measure shorter searches."""
    found: list[Any] = []
    search = sys.modules["nmt.lab.benchmark.recurrences"].beam_search  # type: ignore[attr-defined]

    def recorded(request: Any) -> Any:
        found.append(search(request))
        return found[-1]

    monkeypatch.setattr("nmt.lab.benchmark.recurrences.beam_search", recorded)
    monkeypatch.setattr("nmt.lab.benchmark.recurrences.MEASURED_SECONDS", 0.0)
    bench("lstm").repeat()
    assert [{len(best.tokens) for best, *_ in hypotheses} for hypotheses in found] == [{2}, {5}]


def test_a_table_has_the_medians_by_decoder_and_length() -> None:
    figures = {
        f"lstm/16/{TRAINING}": [1000.0, 3000.0, 2000.0],
        f"lstm/64/{TRAINING}": [12.34],
        f"lstm/16/{STATE}": [8192.0],
        f"ssru/16/{STATE}": [512.0],
        f"lstm/16/{SEARCH}": [0.5],
        f"lstm/16/{SOURCE}": [1024.0],
    }
    lines = costs_table(costs_of(figures)).split("\n")
    assert lines[0] == "| training, target tokens/s | 16 tokens | 64 tokens |"
    assert lines[2] == "| lstm | 2,000 | 12.3 |"
    assert "| lstm | 0.500 |" in lines
    assert lines[lines.index("| state of a hypothesis, KiB | 16 tokens |") + 2 :][:2] == [
        "| lstm | 8.00 |",
        "| ssru | 0.500 |",
    ]


def test_the_command_writes_table_json_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "RecurrencesBenchmark", lambda models, lengths, beam, bfloat16: bench(*models))
    monkeypatch.setattr(benchmark, "matmul_peak", lambda dtype: 1e9)
    monkeypatch.setattr("nmt.lab.benchmark.recurrences.MEASURED_SECONDS", 0.0)
    output, picture = tmp_path / "costs.json", tmp_path / "costs.png"
    words = ["recurrences", "decoders=[ssru,transformer]", "repeats=1", "precision=float32", f"output={output}"]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words, f"picture={picture}", "threads=1"])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with restored_readers():
        benchmark.main()
    root.handlers[:] = handlers
    root.setLevel(level)
    printed = capsys.readouterr().out
    assert printed.startswith("recurrences on random ids in float32, 1 threads\n")
    assert "| search, sentences/s | 2 tokens | 5 tokens |" in printed
    record = json.loads(output.read_text(encoding="utf-8"))
    assert record[f"ssru/5/{STATE}"] == LAYERS * FLOATS["ssru"] * FLOAT
    assert record["spread"][f"ssru/5/{STATE}"] == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"decoders": ["lstn"]}, "decoders has 'lstn'; allowed: lstm, gru"),
        ({"decoders": []}, "decoders is empty"),
        ({"lengths": [0]}, "lengths has 0; allowed: from 1 to 100,000"),
        ({"task": BenchmarkTask.train, "picture": "x.png"}, "picture is given, but the task train draws none"),
    ],
)
def test_impossible_measurements_are_refused(changes: dict[str, Any], complaint: str) -> None:
    settings = {"task": BenchmarkTask.recurrences} | changes
    found = [text for text in problems_in(BenchmarkConfig(**settings)) if not text.startswith("data.")]
    assert len(found) == 1
    assert complaint in found[0]
