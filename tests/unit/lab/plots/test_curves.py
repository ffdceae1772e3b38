"""Picture of learning curves: its data, read back from the figure."""

from pathlib import Path
from typing import Any

import pytest

from nmt.lab.plots import curves


def test_each_panel_has_one_line_per_system_through_its_validations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    usual = curves.save
    monkeypatch.setattr(curves, "save", lambda figure, path: (figures.append(figure), usual(figure, path)))
    lines = {
        "LSTM": [
            {"step": 5, "train/loss": 4.0},
            {"step": 10, "valid/perplexity": 8.0, "valid/bleu": 1.0},
            {"step": 20, "valid/perplexity": 2.0, "valid/bleu": 30.0},
        ],
        "GRU": [{"step": 10, "valid/perplexity": 9.0, "valid/bleu": 0.5}],
    }
    curves.draw_curves(lines, tmp_path / "plots" / "curves.png")
    perplexity, bleu = figures[0].axes
    assert [line.get_xydata().tolist() for line in perplexity.lines] == [[[10, 8], [20, 2]], [[10, 9]]]
    assert [line.get_xydata().tolist() for line in bleu.lines] == [[[10, 1], [20, 30]], [[10, 0.5]]]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["LSTM", "GRU"]
    assert (tmp_path / "plots" / "curves.png").exists()
