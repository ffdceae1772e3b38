"""Picture of the efficiency frontier: its texts and marks, read back from the figure."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

from nmt.config import FrontierPoint
from nmt.evaluation import EvaluationSet
from nmt.lab.benchmark.frontier import LATENCY, SPEED, Frontier, MeasuredPoint
from nmt.lab.benchmark.peer_points import PeerPoint, PeerPoints
from nmt.lab.benchmark.peers import BenchmarkMachine
from nmt.lab.plots import frontier as plot
from nmt.metrics import Score

ROWS = {
    "LSTM, float32": (36.5, 250.0, 21.0),
    "LSTM, bfloat16": (36.52, 262.0, 20.5),
    "LSTM, int8": (36.4, 415.0, 17.0),
    "LSTM, int8, shortlist 500": (36.3, 520.0, 12.5),
    "ONNX, int8, $x$": (36.45, 400.0, 9.0),
    "GRU, float32": (33.1, 480.0, 14.0),
    "GRU, int8": (33.0, 700.0, 11.9),
    "Transformer": (37.9, 90.0, 60.0),
}
"""BLEU, sentences/s and ms of points, some of which are close to each other."""
PEERS = [
    PeerPoint("one", 5, 25.0, "", 1000, [74.0, 72.0], [51.5]),
    PeerPoint("two", 5, 29.8, "", 1000, [115.0], []),
    PeerPoint("three", 5, 2.0, "", 1000, [33.0], [92.0]),
]


def make(peers: bool, bleu_from: float | None = None) -> Frontier:
    points = [
        MeasuredPoint(
            FrontierPoint(label, "run"),
            Score(bleu, "signature"),
            {SPEED: [0.97 * speed, speed, 1.02 * speed], LATENCY: [latency, latency, 1.1 * latency]},
        )
        for label, (bleu, speed, latency) in ROWS.items()
    ]
    made_by = {"processor": "Processor A", "threads": 1, "libraries": {"torch": "2.13.0"}}
    others = PeerPoints(BenchmarkMachine("Processor B"), PEERS, 0) if peers else None
    return Frontier(EvaluationSet("test", [], []), points, 3, made_by, others, bleu_from)


def draw(frontier: Frontier, picture: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draw the picture and return the figure."""
    figures: list[Any] = []
    usual = plot.save
    monkeypatch.setattr(plot, "save", lambda figure, path: (figures.append(figure), usual(figure, path)))
    plot.draw_frontier(frontier, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    return figures[0]


def texts(axes: Any) -> set[str]:
    return {text.get_text() for text in axes.texts}


def caption(figure: Any) -> str:
    return " ".join(figure.get_supxlabel().split())


def test_each_panel_has_the_label_of_every_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = draw(make(peers=True), tmp_path / "new" / "frontier.png", monkeypatch)
    speed, latency = figure.axes
    assert texts(speed) == {*ROWS, "one", "two", "three"}
    assert texts(latency) == {*ROWS, "one", "three"}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["nmt", "other toolkits"]
    assert "Processor A, 1 thread, torch 2.13.0." in caption(figure)
    assert "measured on another processor (Processor B); their speeds are not comparable" in caption(figure)
    markers = {text.get_text(): text.get_color() for text in speed.texts}
    assert markers["one"] == markers["two"] != markers["Transformer"]


def test_the_marks_are_at_the_medians_and_the_line_connects_the_frontier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = draw(make(peers=False), tmp_path / "frontier.png", monkeypatch)
    for axes, column, best in (
        (figure.axes[0], 1, [7, 1, 4, 2, 3, 6]),
        (figure.axes[1], 2, [4, 1, 7]),
    ):
        marks = [line.get_xydata().tolist()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
        assert sorted(marks) == sorted([row[column], row[0]] for row in ROWS.values())
        (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        rows = [list(ROWS.values())[number] for number in best]
        assert line.get_xydata().tolist() == [[row[column], row[0]] for row in rows]
    assert not figure.legends


@pytest.mark.parametrize("peers", [False, True])
def test_labels_overlap_neither_each_other_nor_the_edge(
    peers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = draw(make(peers, bleu_from=20), tmp_path / "frontier.png", monkeypatch)
    figure.draw_without_rendering()
    for axes in figure.axes:
        panel = axes.get_window_extent()
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line to the point
        assert len(boxes) >= len(ROWS)
        assert not [1 for one, other in combinations(boxes, 2) if one.overlaps(other)]
        assert all(panel.x0 <= box.x0 and box.x1 <= panel.x1 for box in boxes)
        assert all(panel.y0 <= box.y0 and box.y1 <= panel.y1 for box in boxes)


def test_points_below_the_lowest_bleu_are_named_in_the_caption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = draw(make(peers=True, bleu_from=20), tmp_path / "frontier.png", monkeypatch)
    assert texts(figure.axes[0]) == {*ROWS, "one", "two"}
    assert "Not drawn, because BLEU is below 20: three." in caption(figure)
    nothing = draw(make(peers=True, bleu_from=50), tmp_path / "nothing.png", monkeypatch)
    assert texts(nothing.axes[0]) == set()
