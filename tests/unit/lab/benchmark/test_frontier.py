"""Efficiency frontier: measured in turns with a fake clock, its table and JSON, and points of other toolkits."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sacrebleu

from nmt.config import FrontierConfig, FrontierPoint, Precision
from nmt.decoding import LineTranslator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.benchmark import decoding
from nmt.lab.benchmark.decoding import DecodingBenchmark
from nmt.lab.benchmark.frontier import (
    LATENCY,
    SPEED,
    Frontier,
    MeasuredPoint,
    frontier_record,
    frontier_table,
    measure_points,
    write_frontier,
)
from nmt.lab.benchmark.peer_points import PeerPoints, read_peer_points
from nmt.lab.benchmark.peers import BenchmarkMachine
from nmt.metrics import Score
from nmt.phrasebook import pairs

PAIRS = list(pairs(6, seed=3))
TEST = EvaluationSet("test", [pair.en for pair in PAIRS], [[pair.de for pair in PAIRS]])
SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
MADE_BY: dict[str, Any] = {
    **dict.fromkeys(("time", "nmt", "python", "platform")),
    "commit": "abc",
    "processor": "Processor A",
    "threads": 2,
    "libraries": {"torch": "2.13.0"},
}
DECODE: dict[str, Any] = {
    "peer": "one",
    "stage": "decode",
    "beam": 5,
    "batch": 64,
    "n": 1000,
    "decode_s": 10.0,
    "out_pieces": 9000,
    "bleu": f"25.06 | {SIGNATURE} | 1.086",
}


class FakeTranslator:
    """Translator that advances a clock and records its name for each text of several lines."""

    def __init__(self, name: str, clock: list[float], calls: list[str], seconds: Callable[[int], float]) -> None:
        self.name, self.clock, self.calls, self.seconds = name, clock, calls, seconds

    def translate(self, lines: Sequence[str], *_: object, places: object = None) -> list[list[SimpleNamespace]]:
        if len(lines) > 1:
            self.calls.append(self.name)
        self.clock[0] += self.seconds(len(lines))
        german = dict(zip(TEST.src, TEST.references[0], strict=True))
        return [[SimpleNamespace(text=german[line] + " !" * (self.name == "b"), pieces=[[line]])] for line in lines]


def fake(name: str, clock: list[float], calls: list[str], seconds: Callable[[int], float]) -> DecodingBenchmark:
    return DecodingBenchmark(cast(LineTranslator, FakeTranslator(name, clock, calls, seconds)), TEST, "13a")


def test_the_points_are_scored_and_then_measured_in_turns_after_a_warm_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, calls = [0.0], list[str]()
    monkeypatch.setattr(decoding.time, "perf_counter", lambda: clock[0])
    points = [FrontierPoint(name, "run") for name in "ab"]
    rates = {"a": iter([9.0, *[9.0] * 7, 0.5, *[0.02] * 6, 0.25, *[0.03] * 6]), "b": iter([0.1] * 100)}
    benchmarks = [
        fake("a", clock, calls, lambda count: next(rates["a"])),
        fake("b", clock, calls, lambda count: count * next(rates["b"])),
    ]
    with caplog.at_level(logging.INFO):
        one, other = measure_points(points, benchmarks, repeats=2)
    assert "".join(calls) == "ab" + 3 * "ab"  # scores, warm-up and two turns
    assert one.figures[SPEED] == pytest.approx([6 / 0.5, 6 / 0.25])
    assert one.figures[LATENCY] == pytest.approx([20, 30])
    assert other.figures[SPEED] == pytest.approx([10, 10])
    assert other.figures[LATENCY] == pytest.approx([100, 100])
    assert "peak_rss_bytes" not in one.figures
    expected = sacrebleu.corpus_bleu([f"{line} !" for line in TEST.references[0]], [list(TEST.references[0])])
    assert one.bleu.score == pytest.approx(100)
    assert other.bleu.score == pytest.approx(expected.score)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:3] == [
        "a: BLEU = 100.00",
        f"b: BLEU = {expected.score:.2f}",
        f"warm-up, a: sentences per second = {6 / 9:,.5g}",
    ]
    assert lines[-2:] == [
        "repetition 2 of 2, a: sentences per second = 24",
        "repetition 2 of 2, b: sentences per second = 10",
    ]


def test_points_with_other_references_or_another_tokenizer_are_refused() -> None:
    points = [FrontierPoint(name, "run") for name in ("LSTM", "GRU")]
    translator = cast(LineTranslator, None)
    first = DecodingBenchmark(translator, TEST, "13a")
    other = EvaluationSet("test", TEST.src, [[*TEST.references[0][:-1], "Ja."]])
    with pytest.raises(UserError, match="GRU has other references in its test set than LSTM"):
        measure_points(points, [first, DecodingBenchmark(translator, other, "13a")], 1)
    with pytest.raises(UserError, match=r"GRU has data\.bleu_tokenize=char and LSTM 13a"):
        measure_points(points, [first, DecodingBenchmark(translator, TEST, "char")], 1)


def measured(label: str, bleu: float, speeds: list[float], latencies: list[float], **settings: Any) -> MeasuredPoint:
    point = FrontierPoint(label, "runs/one", **settings)
    return MeasuredPoint(point, Score(bleu, SIGNATURE, (bleu - 1, bleu + 1)), {SPEED: speeds, LATENCY: latencies})


def frontier(peers: PeerPoints | None = None) -> Frontier:
    points = [
        measured("slow", 30.0, [100, 80, 120], [20, 22, 18]),
        measured("dominated", 29.0, [90, 90, 90], [20, 20, 20]),
        measured("fast", 29.5, [1000, 1100, 900], [5, 5, 5], precision=Precision.int8, shortlist=2000, beam_size=1),
        measured("equal", 30.0, [100, 100, 100], [21, 21, 21]),
    ]
    return Frontier(TEST, points, 3, MADE_BY, peers)


def test_a_point_is_on_the_frontier_unless_another_one_is_as_good_and_as_fast_and_differs() -> None:
    assert frontier().on_frontier(SPEED) == {"slow", "fast", "equal"}
    assert frontier().on_frontier(LATENCY) == {"slow", "fast"}


def write(folder: Path, rows: list[dict[str, Any]], processor: str | None = None) -> Path:
    (folder / "measurements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if processor is not None:
        (folder / "machine.json").write_text(json.dumps({"processor": processor}), encoding="utf-8")
    return folder


def test_peers_become_points_if_they_have_bleu_and_the_number_of_sentences(tmp_path: Path) -> None:
    rows = [
        {"peer": "one", "stage": "train", "tok_s": 10},
        DECODE | {"batch": 1, "n": 200, "decode_s": 8.0, "bleu": "24.5 | other:sig"},
        DECODE,
        DECODE | {"decode_s": 20.0},
        DECODE | {"decode_s": 90.0, "foreign": 0.3},
        DECODE | {"beam": 1},
        DECODE | {"peer": "two", "bleu": 31, "note": "short"},
        DECODE | {"peer": "three", "bleu": None},
        {key: value for key, value in (DECODE | {"peer": "four"}).items() if key != "n"},
    ]
    peers = read_peer_points(write(tmp_path, rows, "Processor B"), [5])
    one, two = peers.points
    assert (one.label, one.bleu, one.signature, one.sentences) == ("one", 25.06, SIGNATURE, 1000)
    assert (one.sentences_per_second, one.milliseconds_per_sentence) == ([100, 50], [40])
    assert (two.label, two.bleu, two.signature) == ("two (short)", 31, "")
    assert (two.sentences_per_second, two.milliseconds_per_sentence) == ([100], [])
    assert (peers.left_out, peers.machine.processor) == (1, "Processor B")
    labels = [peer.label for peer in read_peer_points(tmp_path, [1, 5]).points]
    assert labels == ["one, beam 5", "one, beam 1", "two (short), beam 5"]


@pytest.mark.parametrize("value", ["high", "101 | sig", True, -1, "nan", [30]])
def test_a_wrong_bleu_is_named_by_file_and_line(tmp_path: Path, value: object) -> None:
    with pytest.raises(UserError, match=r"measurements\.jsonl, line 1: bleu is .*; allowed: a number from 0 to 100"):
        read_peer_points(write(tmp_path, [DECODE | {"bleu": value}]), [5])


def test_the_table_has_all_points_and_names_the_other_machine(tmp_path: Path) -> None:
    peers = read_peer_points(write(tmp_path, [DECODE, DECODE | {"decode_s": 20.0}], "Processor B"), [5])
    table = frontier_table(frontier(peers))
    assert table.title == "test set, 6 sentences"
    assert table.rows == [
        ["slow", "float32", "5", "-", "30.00", "[29.0, 31.0]", "100 ± 10 *", "20 ± 1 *"],
        ["dominated", "float32", "5", "-", "29.00", "[28.0, 30.0]", "90 ± 0", "20 ± 0"],
        ["fast", "int8", "1", "2,000", "29.50", "[28.5, 30.5]", "1,000 ± 50 *", "5 ± 0 *"],
        ["equal", "float32", "5", "-", "30.00", "[29.0, 31.0]", "100 ± 0 *", "21 ± 0"],
        ["one", "-", "5", "-", "25.06", "", "75 ± 12", "-"],
    ]
    assert f"BLEU: {SIGNATURE}" in table.notes
    assert table.notes[-2:] == [
        "Processor A, 2 threads, torch 2.13.0.",
        "Other toolkits: measured on another processor (Processor B); their speeds are not comparable.",
    ]


@pytest.mark.parametrize(
    ("processor", "sentence"),
    [
        ("Processor A", "Other toolkits: measured on the same type of processor."),
        (None, "Other toolkits: the processor is unknown; their speeds are comparable only if it is this one."),
    ],
)
def test_the_machine_of_the_peers_is_described(tmp_path: Path, processor: str | None, sentence: str) -> None:
    peers = read_peer_points(write(tmp_path, [DECODE | {"bleu": 25}], processor), [5])
    notes = frontier_table(frontier(peers)).notes
    assert notes[-1] == sentence
    assert "BLEU of one: signature not recorded" in notes
    assert f"BLEU of slow; dominated; fast; equal: {SIGNATURE}" in notes


def test_the_json_has_settings_medians_spread_bleu_and_machine(tmp_path: Path) -> None:
    peers = read_peer_points(write(tmp_path, [DECODE], "Processor B"), [5])
    write_frontier(frontier(peers), tmp_path)
    record = json.loads((tmp_path / "frontier.json").read_text(encoding="utf-8"))
    assert record["points"][2] == {
        "label": "fast",
        "run": "runs/one",
        "precision": "int8",
        "shortlist": 2000,
        "beam_size": 1,
        "bleu": {"score": 29.5, "signature": SIGNATURE, "interval": [28.5, 30.5]},
        SPEED: 1000,
        LATENCY: 5,
        "spread": {SPEED: 50, LATENCY: 0},
        "on_frontier": {SPEED: True, LATENCY: True},
    }
    assert record["points"][1]["on_frontier"] == {SPEED: False, LATENCY: False}
    assert record["made_by"]["processor"] == "Processor A"
    assert (record["made_by"]["threads"], record["made_by"]["torch"], record["made_by"]["commit"]) == (
        2,
        "2.13.0",
        "abc",
    )
    assert (record["repeats"], record["test_set"]["name"], record["test_set"]["sentences"]) == (3, "test", 6)
    assert record["peers"] == {
        "processor": "Processor B",
        "other_processor": True,
        "left_out": 0,
        "points": [
            {
                "label": "one",
                "beam_size": 5,
                "bleu": 25.06,
                "signature": SIGNATURE,
                "sentences": 1000,
                SPEED: 100,
                "spread": {SPEED: 0},
            }
        ],
    }
    page = (tmp_path / "frontier.md").read_text(encoding="utf-8")
    assert "![BLEU against speed](frontier.png)" in page
    assert "| one | - | 5 |" in page
    assert "peers" not in frontier_record(frontier(PeerPoints(BenchmarkMachine(), [], 0)))["points"][0]
    assert "peers" not in frontier_record(frontier())


def test_the_settings_of_the_points_are_checked() -> None:
    twice = FrontierConfig("folder", [FrontierPoint("LSTM", "one"), FrontierPoint("LSTM", "two")])
    assert list(twice.problems()) == [("points", "has the label 'LSTM' twice; give each point its own")]
    assert [key for key, _ in FrontierConfig("folder", split="train", repeats=0).problems()] == [
        "points",
        "split",
        "repeats",
    ]
    wrong = FrontierPoint(" ", "run", shortlist=3, beam_size=0)
    assert [key for key, _ in wrong.problems()] == ["label", "shortlist", "beam_size"]
