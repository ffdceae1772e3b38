"""Pictures of a sweep: their data, read back from the figures."""

from pathlib import Path
from typing import Any

import pytest

from nmt.lab.plots import sweep as plots_sweep
from nmt.lab.plots.sweep import Axis, Points, draw_history, draw_importance, draw_parallel, draw_slices

POINTS = Points([1, 2, 3, 4, 6], [5.0, 9.0, 0.5, 7.0, 11.0], [False, False, True, False, False], "BLEU", True)
RATE = Axis("rate", [1e-4, 1e-3, 1e-2, 1e-3, 1e-2], log=True)
CELL = Axis("cell", ["gru", "lstm", "gru", None, "gru"], choices=("lstm", "gru", None))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, before they are files."""
    kept: list[Any] = []
    usual = plots_sweep.save
    monkeypatch.setattr(plots_sweep, "save", lambda figure, path: (kept.append(figure), usual(figure, path)))
    return kept


@pytest.mark.parametrize(("more", "best"), [(True, [5, 9, 9, 11]), (False, [5, 5, 5, 5])])
def test_history_has_the_best_so_far_of_the_trials_trained_to_their_end(
    tmp_path: Path, figures: list[Any], more: bool, best: list[float]
) -> None:
    points = Points(POINTS.numbers, POINTS.scores, POINTS.pruned, "BLEU", more)
    draw_history(points, tmp_path / "plots" / "history.png")
    (axes,) = figures[0].axes
    cut, whole = (collection.get_offsets().tolist() for collection in axes.collections)
    assert cut == [[3, 0.5]]
    assert whole == [[1, 5], [2, 9], [4, 7], [6, 11]]
    assert axes.lines[0].get_xydata().tolist() == [list(pair) for pair in zip([1, 2, 4, 6], best, strict=True)]
    assert (tmp_path / "plots" / "history.png").exists()


def test_bars_are_the_shares_the_most_important_on_top(tmp_path: Path, figures: list[Any]) -> None:
    draw_importance({"rate": 0.7, "cell": 0.3}, tmp_path / "importance.png")
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cell", "rate"]
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0.7]


def test_slices_have_a_panel_a_key_and_a_choice_at_its_place_in_the_list(tmp_path: Path, figures: list[Any]) -> None:
    draw_slices([RATE, CELL], POINTS, tmp_path / "slices.png")
    rate, cell = figures[0].axes
    assert (rate.get_xscale(), cell.get_xscale()) == ("log", "linear")
    assert [collection.get_offsets().tolist() for collection in cell.collections] == [
        [[1, 0.5]],
        [[1, 5], [0, 9], [2, 7], [1, 11]],
    ]
    assert [label.get_text() for label in cell.get_xticklabels()] == ["lstm", "gru", "None"]


def test_parallel_lines_go_through_each_trials_values_the_best_drawn_last(tmp_path: Path, figures: list[Any]) -> None:
    draw_parallel([RATE, CELL], POINTS, tmp_path / "parallel.png")
    (axes,) = figures[0].axes
    lines = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 3]
    assert list(lines[-1]) == pytest.approx([1, 0.5, 1])
    assert list(lines[0]) == pytest.approx([1, 0.5, 0])  # the poorest, a pruned one
    assert list(lines[1]) == pytest.approx([0, 0.5, (5 - 0.5) / 10.5])
    assert [line.get_linestyle() for line in axes.lines if len(line.get_ydata()) == 3] == ["--", "-", "-", "-", "-"]
