"""Picture of the learning curves of several systems."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.evaluation.plots import new_figure, save
from nmt.lab.plots.diagnostics import COLOURS, MARKERS, plain_numbers


def draw_curves(curves: Mapping[str, Sequence[Mapping[str, Any]]], picture: Path) -> None:
    """Draw validation perplexity and BLEU by training step, one line per system, from the lines of metrics.jsonl."""
    figure = new_figure(9, 3.6)
    panels = figure.subplots(1, 2)
    for axes, key in zip(panels, ("valid/perplexity", "valid/bleu"), strict=True):
        for number, (label, lines) in enumerate(curves.items()):
            points = [(line["step"], line[key]) for line in lines if key in line]
            style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
            axes.plot(*zip(*points, strict=True), label=label, markersize=4, linewidth=1.4, **style)
        axes.set(xlabel="training step")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="validation perplexity", yscale="log")
    plain_numbers(panels[0])
    panels[1].set(ylabel="validation BLEU, greedy")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(curves), frameon=False)
    save(figure, picture)
