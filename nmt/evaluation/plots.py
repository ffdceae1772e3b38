"""Plots of learning curves and attention. matplotlib is imported only when a figure is drawn, because it is slow."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.decoding import AttentionMap
from nmt.run import read_metrics

if TYPE_CHECKING:
    from nmt.evaluation.figures import NotebookFigure

CURVES = (
    ("perplexity", ("train/perplexity", "valid/perplexity"), True),
    ("BLEU", ("valid/bleu",), False),
    ("learning rate", ("train/learning_rate",), False),
    ("gradient norm", ("train/gradient_norm",), False),
)


def draw_learning_curves(metrics: Path, picture: Path) -> None:
    """Draw a run's metrics.jsonl as a PNG of four panels; do nothing if it has no lines."""
    lines = read_metrics(metrics)
    if not lines:
        return
    figure = new_figure(11, 7)
    for axes, (title, keys, logarithmic) in zip(figure.subplots(2, 2).flat, CURVES, strict=True):
        for key in keys:
            points = [(line["step"], line[key]) for line in lines if key in line]
            if points:
                marker = "o" if len(points) < 60 else ""
                axes.plot(*zip(*points, strict=True), label=key, marker=marker, markersize=3, linewidth=1.2)
        axes.set(title=title, xlabel="step", yscale="log" if logarithmic else "linear")
        axes.grid(alpha=0.3)
        if len(keys) > 1:
            axes.legend()
    save(figure, picture)


def draw_attention(attention: AttentionMap, picture: Path, title: str = "") -> None:
    """Write a heat map of attention weights as a file."""
    save(attention_figure(attention, title), picture)


def attention_figure(attention: AttentionMap, title: str = "") -> "NotebookFigure":
    """Return a heat map of attention weights: source pieces on the x axis, target pieces on the y axis."""
    width, height = len(attention.src), len(attention.tgt)
    figure = new_figure(1.5 + 0.45 * width, 1.2 + 0.38 * height)
    axes = figure.subplots()
    if title:
        figure.suptitle("\n".join(textwrap.wrap(title, 30 + 6 * width)), fontsize=11, parse_math=False)
    image = axes.imshow(attention.weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    # parse_math=False: a dollar sign in a piece does not start a formula.
    axes.set_xticks(range(width), attention.src, rotation=60, ha="left", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(height), attention.tgt, parse_math=False)
    axes.xaxis.tick_top()
    axes.set(xlabel="source", ylabel="translation")
    axes.xaxis.set_label_position("bottom")
    figure.colorbar(image, ax=axes, label="attention weight", ticks=[0.0, 0.25, 0.5, 0.75, 1.0])
    return figure


def new_figure(width: float, height: float) -> "NotebookFigure":
    """Return an empty figure, which a notebook shows as a picture; width and height are in inches."""
    from nmt.evaluation.figures import NotebookFigure

    return NotebookFigure(figsize=(width, height), layout="constrained")


def save(figure: "NotebookFigure", picture: Path) -> None:
    """Write a figure as a file, creating its folder if needed."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=130)
