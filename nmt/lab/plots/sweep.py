"""Pictures of a sweep: scores by trial, importance of keys, and scores by value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from nmt.evaluation.plots import new_figure, save


@dataclass(frozen=True)
class Points:
    """Scored trials, in the order of their numbers."""

    numbers: Sequence[int]
    scores: Sequence[float]
    pruned: Sequence[bool]
    label: str
    """Axis label of the scores."""
    more_is_better: bool

    @property
    def order(self) -> list[int]:
        """Indices of the trials from the worst to the best; the best are drawn last, on top."""
        return sorted(range(len(self.scores)), key=lambda i: self.scores[i], reverse=not self.more_is_better)


@dataclass(frozen=True)
class Axis:
    """Values of one configuration key, one per trial."""

    label: str
    values: Sequence[object]
    log: bool = False
    choices: Sequence[object] | None = None
    """All possible values of a categorical key, one tick each; None for a range."""

    @property
    def positions(self) -> list[float]:
        """Axis positions of the values; the position of a choice is its index."""
        if self.choices is not None:
            indices = {str(choice): index for index, choice in enumerate(self.choices)}
            return [float(indices[str(value)]) for value in self.values]
        return [float(str(value)) for value in self.values]


def draw_history(points: Points, picture: Path) -> None:
    """Draw the score of each trial and the best score so far; a cross marks a pruned trial."""
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    complete = [(n, s) for n, s, pruned in zip(points.numbers, points.scores, points.pruned, strict=True) if not pruned]
    cut = [(n, s) for n, s, pruned in zip(points.numbers, points.scores, points.pruned, strict=True) if pruned]
    if cut:
        axes.scatter(*zip(*cut, strict=True), marker="x", color="tab:gray", label="pruned")
    if complete:
        numbers, scores = zip(*complete, strict=True)
        axes.scatter(numbers, scores, color="tab:blue", label="complete")
        best = list(accumulate(scores, max if points.more_is_better else min))
        axes.step(numbers, best, where="post", color="tab:orange", label="best so far")
    axes.set(xlabel="trial", ylabel=points.label)
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, picture)


def draw_importance(shares: Mapping[str, float], picture: Path) -> None:
    """Draw one bar per key, the most important key on top."""
    figure = new_figure(8, 1 + 0.4 * len(shares))
    axes = figure.subplots()
    bars = axes.barh(list(shares)[::-1], list(shares.values())[::-1], color="tab:blue")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel="importance (PED-ANOVA)", xlim=(0, 1.1 * max(shares.values())))
    save(figure, picture)


def draw_slices(axes_of: Sequence[Axis], points: Points, picture: Path) -> None:
    """Draw the score by value, one panel per key; later trials are darker."""
    columns = min(4, len(axes_of))
    rows = math.ceil(len(axes_of) / columns)
    figure = new_figure(3 * columns, 2.8 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat[len(axes_of) :]:
        panel.remove()
    for index, (axis, panel) in enumerate(zip(axes_of, panels.flat, strict=False)):
        for marker, pruned in (("x", True), ("o", False)):
            chosen = [i for i, is_pruned in enumerate(points.pruned) if is_pruned == pruned]
            positions, scores = [axis.positions[i] for i in chosen], [points.scores[i] for i in chosen]
            colours = [points.numbers[i] for i in chosen]
            ends = {"vmin": 1 - 0.4 * max(points.numbers), "vmax": max(points.numbers)}
            panel.scatter(positions, scores, c=colours, cmap="Blues", marker=marker, s=22, **ends)
        panel.set(xlabel=axis.label, xscale="log" if axis.log else "linear")
        if axis.choices is not None:
            panel.set_xticks(range(len(axis.choices)), [str(choice) for choice in axis.choices])
        elif len(set(axis.positions)) <= 6:
            panel.set_xticks(sorted(set(axis.positions)), [f"{tick:g}" for tick in sorted(set(axis.positions))])
        if index % columns == 0:
            panel.set_ylabel(points.label)
        panel.grid(alpha=0.3)
    save(figure, picture)


def draw_parallel(axes_of: Sequence[Axis], points: Points, picture: Path) -> None:
    """Draw each trial as a line through its values and its score; better trials are darker."""
    from matplotlib import colormaps

    columns = [*axes_of, Axis(points.label, points.scores)]
    figure = new_figure(2 + 1.6 * len(columns), 5)
    axes = figure.subplots()
    heights = []
    for column, axis in enumerate(columns):
        positions = [math.log(position) for position in axis.positions] if axis.log else axis.positions
        low, high = (0, len(axis.choices) - 1) if axis.choices is not None else (min(positions), max(positions))
        heights.append([(position - low) / (high - low) if high > low else 0.5 for position in positions])
        axes.axvline(column, color="black", linewidth=0.8)
        ticks = dict(zip(heights[-1], axis.values, strict=True))
        labelled = sorted(ticks) if len(ticks) <= 6 else [min(ticks), max(ticks)]
        for height in labelled:
            value = ticks[height]
            label = f"{value:.3g}" if isinstance(value, float) else str(value)
            axes.text(column - 0.04, height, label, ha="right", va="center", fontsize=8, parse_math=False)
    colours = colormaps["viridis_r"]
    for rank, i in enumerate(points.order):
        share = (rank + 1) / len(points.order)
        line = [height[i] for height in heights]
        style = "--" if points.pruned[i] else "-"
        axes.plot(line, style, color=colours(share), linewidth=0.6 + 1.6 * share**3, alpha=0.85)
    axes.set_xticks(range(len(columns)), [axis.label for axis in columns], rotation=20, ha="right")
    axes.set_yticks([])
    axes.set_frame_on(False)
    axes.set_xlim(-0.5, len(columns) - 0.8)
    save(figure, picture)
