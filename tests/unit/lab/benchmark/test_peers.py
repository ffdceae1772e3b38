"""Measurements of other toolkits: read from a file made by hand, compared, and refused by file, line and key."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.benchmark import show_peers
from nmt.config import BenchmarkConfig, BenchmarkTask
from nmt.errors import UserError
from nmt.lab.benchmark.peers import (
    LATENCY,
    PEAK,
    PIECES,
    TRAINING,
    BenchmarkMachine,
    peer_rows,
    read_peers,
    warn_of_machines,
)

HERE = BenchmarkMachine("Processor A", 2e11)
DECODE: dict[str, Any] = {
    "peer": "one",
    "stage": "decode",
    "beam": 5,
    "batch": 64,
    "decode_s": 10.0,
    "out_pieces": 1000,
}
ROWS: list[dict[str, Any]] = [
    {"peer": "one", "stage": "throughput", "tok_s": 2000, "clean_tok_s": 1000, "flops_per_piece": 5e7, "foreign": 0.01},
    {"peer": "one", "stage": "train", "tok_s": 3000, "clean_tok_s": None},
    {"peer": "two", "stage": "throughput", "tok_s": None},
    {"peer": "two", "stage": "train", "tok_s": 1500, "note": "short"},
    {"peer": "two", "stage": "train", "tok_s": 9000, "foreign": 0.3},
    DECODE,
    DECODE | {"decode_s": 20.0},
    DECODE | {"beam": 1, "decode_s": 1.0},
    DECODE | {"batch": 1, "out_pieces": 200},
    DECODE | {"peer": "two", "batch": 1, "out_pieces": 400},
]


def write(folder: Path, rows: list[dict[str, Any]], **machine: Any) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "measurements.jsonl").write_text(lines, encoding="utf-8")
    if machine:
        (folder / "machine.json").write_text(json.dumps(machine), encoding="utf-8")
    return folder


def test_figures_are_in_target_pieces_and_noisy_ones_are_left_out(tmp_path: Path) -> None:
    peers = read_peers(write(tmp_path, ROWS, processor="Processor A", **{PEAK: 1e11}), beam_size=5)
    assert peers.machine == BenchmarkMachine("Processor A", 1e11)
    assert {peer: figures.values for peer, figures in peers.figures[TRAINING].items()} == {
        "one": [1000, 3000],
        "two (short)": [1500],
    }
    assert peers.figures[PIECES]["one"].values == [100, 50]
    assert peers.figures[LATENCY]["one"].values == [50]
    assert peers.figures[LATENCY]["two"].values == [25]
    assert peers.left_out == 1
    assert read_peers(tmp_path, beam_size=1).figures[PIECES]["one"].values == [1000]


def test_ratios_are_above_one_where_this_toolkit_is_faster(tmp_path: Path) -> None:
    peers = read_peers(write(tmp_path, ROWS, processor="Processor A", **{PEAK: 1e11}), beam_size=5)
    assert peer_rows(peers, TRAINING, [4000.0, 4000.0, 9000.0], 2.5e7, HERE) == [
        ["nmt", "4,000", "3", "", "50%"],
        ["one", "2,000", "2", "2.00", "100%"],
        ["two (short)", "1,500", "1", "2.67", ""],
    ]
    assert peer_rows(peers, LATENCY, [10.0], None, HERE) == [
        ["nmt", "10", "1", "", ""],
        ["two", "25", "1", "2.50", ""],
        ["one", "50", "1", "5.00", ""],
    ]


def test_on_another_processor_there_is_no_ratio_but_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = read_peers(write(tmp_path, ROWS, processor="Processor B", **{PEAK: 1e11}), beam_size=5)
    assert [row[3] for row in peer_rows(peers, PIECES, [150.0], None, HERE)] == ["", ""]
    with caplog.at_level(logging.WARNING):
        show_peers(peers, {PIECES: [150.0], TRAINING: [4000.0], "flops_per_target_token": [2.5e7]}, HERE, tmp_path)
    assert "another processor (Processor B) than this one (Processor A)" in caplog.text
    assert "1 measurements" in caplog.text
    printed = capsys.readouterr().out
    assert "machine of the peers: Processor B, 100 GFLOP/s" in printed
    assert "this machine: Processor A, 200 GFLOP/s" in printed
    assert "50%" in printed
    assert LATENCY not in printed


def test_without_a_machine_the_warning_says_how_to_add_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    peers = read_peers(write(tmp_path, ROWS[:1]), beam_size=5)
    assert str(peers.machine) == "processor unknown, peak unknown"
    assert peer_rows(peers, TRAINING, [2000.0], None, HERE)[1][3] == "2.00"
    warn_of_machines(peers, HERE, tmp_path)
    assert "has no machine.json" in caplog.text
    assert "benchmark.py output=FILE" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peer": 3}, "line 2: peer is 3; allowed: text"),
        ({"stage": "sleep"}, "line 2: stage is 'sleep'; allowed: throughput, train, decode"),
        ({"decode_s": "fast"}, "line 2: decode_s is 'fast'; allowed: numbers from 0"),
        ({"decode_s": 0}, "line 2: decode_s is 0; allowed: numbers above 0"),
        ({"out_pieces": None}, "line 2: out_pieces is None; allowed: numbers from 0"),
        ({"beam": True}, "line 2: beam is True; allowed: numbers from 0"),
        ({"foreign": -1}, "line 2: foreign is -1; allowed: numbers from 0"),
        ({"decode_s": float("inf")}, "line 2: decode_s is inf; allowed: numbers from 0"),
    ],
)
def test_a_wrong_value_is_named_by_file_line_and_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        read_peers(write(tmp_path, [DECODE, DECODE | changes]), beam_size=5)
    assert str(raised.value) == f"{tmp_path / 'measurements.jsonl'}, {message}"


@pytest.mark.parametrize("key", ["peer", "stage", "beam", "batch", "decode_s", "out_pieces"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    row = {name: value for name, value in DECODE.items() if name != key}
    with pytest.raises(UserError, match=f"line 1 has no key {key}; docs/peers.md"):
        read_peers(write(tmp_path, [row]), beam_size=5)


@pytest.mark.parametrize(("line", "message"), [("{", "is not JSON"), ("[1]", "is not a JSON object")])
def test_a_line_that_is_no_measurement_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "measurements.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"line 2 {message}; correct or remove the line"):
        read_peers(tmp_path, beam_size=5)


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no measurements\.jsonl"):
        read_peers(tmp_path, beam_size=5)
    write(tmp_path, ROWS[:1])
    for content, message in (("{", "cannot be read as JSON"), ("[]", "is not a JSON object")):
        (tmp_path / "machine.json").write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=rf"machine\.json {message}"):
            read_peers(tmp_path, beam_size=5)
    (tmp_path / "machine.json").write_text(json.dumps({PEAK: "high"}), encoding="utf-8")
    with pytest.raises(UserError, match=rf"machine\.json: {PEAK} is 'high'; allowed: numbers from 0"):
        read_peers(tmp_path, beam_size=5)


def test_peers_need_a_task_that_they_measure() -> None:
    wrong = BenchmarkConfig(BenchmarkTask.prepare, peers="folder")
    assert list(wrong.problems()) == [("peers", "is given for the task prepare; allowed with train and decode")]
    assert not list(BenchmarkConfig(BenchmarkTask.train, peers="folder").problems())
