"""Tests of pictures: drawn values, complete fonts, and valid files."""

import json
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.decoding import AttentionMap
from nmt.evaluation import draw_attention, draw_learning_curves, plots


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Turn the warnings of matplotlib into errors: missing glyphs, empty legends and curves that cannot be drawn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collect the figures instead of saving them, because rendering takes most of a second."""
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "save", lambda figure, picture: drawn.append(figure))
    return drawn


def size(picture: Path) -> tuple[int, int]:
    """Return width and height in pixels from the header of a PNG (its first 24 bytes, RFC 2083)."""
    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[12:16] == b"IHDR"
    assert content[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", content[16:24])
    return int(width), int(height)


def metrics(folder: Path, steps: int, **changes: float) -> Path:
    """Write a metrics.jsonl with a training line per step and a validation line every ten steps."""
    path = folder / "metrics.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            train = {"perplexity": 900 / step, "learning_rate": 0.002, "gradient_norm": 1.5, **changes}
            file.write(json.dumps({"step": step, **{f"train/{key}": value for key, value in train.items()}}) + "\n")
            if step % 10 == 0:
                file.write(json.dumps({"step": step, "valid/perplexity": 950 / step, "valid/bleu": step / 2}) + "\n")
    return path


def curves(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    return {str(line.get_label()): [(x, y) for x, y in line.get_xydata().tolist()] for line in axes.get_lines()}


def test_four_panels_show_every_number_at_its_step(tmp_path: Path, figures: list[Figure]) -> None:
    draw_learning_curves(metrics(tmp_path, steps=20), tmp_path / "curves.png")
    panels = {axes.get_title(): curves(axes) for axes in figures[0].axes}
    steps = range(1, 21)
    assert panels == {
        "perplexity": {
            "train/perplexity": [(step, 900 / step) for step in steps],
            "valid/perplexity": [(10, 95.0), (20, 47.5)],
        },
        "BLEU": {"valid/bleu": [(10, 5.0), (20, 10.0)]},
        "learning rate": {"train/learning_rate": [(step, 0.002) for step in steps]},
        "gradient norm": {"train/gradient_norm": [(step, 1.5) for step in steps]},
    }
    assert {axes.get_xlabel() for axes in figures[0].axes} == {"step"}
    assert figures[0].axes[0].get_yscale() == "log"


@pytest.mark.parametrize("steps", [1, 200])
def test_learning_curves_are_a_picture_early_and_late_in_a_training(tmp_path: Path, steps: int) -> None:
    picture = tmp_path / "plots" / "learning_curves.png"
    draw_learning_curves(metrics(tmp_path, steps), picture)
    width, height = size(picture)
    assert width > height > 600


def test_a_diverged_training_can_be_drawn(tmp_path: Path) -> None:
    diverged = metrics(tmp_path, 12, perplexity=float("inf"), gradient_norm=float("nan"))
    draw_learning_curves(diverged, tmp_path / "curves.png")
    assert size(tmp_path / "curves.png")


@pytest.mark.parametrize("content", [None, ""])
def test_no_file_is_written_without_metrics(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    draw_learning_curves(tmp_path / "metrics.jsonl", tmp_path / "plots" / "curves.png")
    assert not (tmp_path / "plots").exists()


def attention(src: list[str], tgt: list[str]) -> AttentionMap:
    """Return an attention map in which every target piece attends to one source piece."""
    return AttentionMap(src, tgt, [[float(s == t % len(src)) for s in range(len(src))] for t in range(len(tgt))])


ENGLISH = ["▁the", "▁house", "</s>"]
GERMAN = ["▁über", "▁Straße", "ÄÖÜäöüß", "„", "…", "“", "–", "’", "</s>"]
SIGNS = ["$$", "▁$5$", "$\\frac$", "a_b^c", "\\"]  # formulas for matplotlib by default


def test_an_attention_map_has_one_row_per_target_piece_and_one_column_per_source_piece(
    tmp_path: Path, figures: list[Figure]
) -> None:
    drawn = attention(ENGLISH, GERMAN)
    draw_attention(drawn, tmp_path / "attention.png")
    axes = figures[0].axes[0]
    assert axes.images[0].get_array().tolist() == drawn.weights
    assert [label.get_text() for label in axes.get_xticklabels()] == ENGLISH
    assert [label.get_text() for label in axes.get_yticklabels()] == GERMAN


def test_an_attention_map_grows_with_both_sentences(tmp_path: Path, figures: list[Figure]) -> None:
    for src, tgt in ((ENGLISH, GERMAN), (ENGLISH * 5, GERMAN), (ENGLISH, GERMAN * 2)):
        draw_attention(attention(src, tgt), tmp_path / "attention.png")
    (width, height), (wider, as_high), (as_wide, higher) = (figure.get_size_inches() for figure in figures)
    assert wider > width
    assert higher > height
    assert (as_high, as_wide) == (height, width)


@pytest.mark.parametrize(("src", "tgt"), [(ENGLISH, GERMAN), (SIGNS, SIGNS), (["</s>"], ["</s>"])])
def test_any_pieces_can_be_drawn_without_a_warning(tmp_path: Path, src: list[str], tgt: list[str]) -> None:
    draw_attention(attention(src, tgt), tmp_path / "plots" / "attention.png")
    assert size(tmp_path / "plots" / "attention.png")
