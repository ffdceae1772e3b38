"""The picture of a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.evaluation.plots import new_figure, save
from nmt.evaluation.table import LOWER_IS_BETTER, title_of
from nmt.lab.comparison.cells import ScoreCell
from nmt.lab.comparison.compare import Breakdown, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINT: dict[str, Any] = {"marker": "o", "markersize": 5, "capsize": 3, "linewidth": 1.4}


def draw_comparison(comparison: Comparison, breakdowns: Sequence[Breakdown], picture: Path) -> None:
    """Draws the scores with their intervals above, and below a score by groups of sentences."""
    tested = comparison.scorers or comparison.signatures  # eight panels would be too narrow
    scores = {name: cells for name, cells in comparison.cells.items() if name in tested}
    shown = [each for each in breakdowns if not each.missing]
    systems = len(comparison.systems)
    heights = (1.2 + 0.32 * systems, 3.6)
    figure = new_figure(13, sum(heights) if shown else heights[0])
    halves = figure.add_gridspec(2, 1, height_ratios=heights) if shown else figure.add_gridspec(1, 1)
    panels = halves[0].subgridspec(1, len(scores)).subplots(sharey=True, squeeze=False)[0]
    for axes, (name, cells) in zip(panels, scores.items(), strict=True):
        for row, cell in enumerate(cells):
            if cell is not None:
                axes.errorbar(cell.mean, row, xerr=[[part] for part in arms(cell)], color=f"C{row}", **POINT)
        axes.set(
            title=title_of(name, comparison.signatures[name])
            + (" (lower is better)" if name in LOWER_IS_BETTER else "")
        )
        axes.grid(alpha=0.3, axis="x")
    labels = [system.label for system in comparison.systems]
    panels[0].set_yticks(range(systems), labels, parse_math=False)
    panels[0].set_ylim(systems - 0.5, -0.5)
    if shown:
        below = halves[1].subgridspec(1, len(shown)).subplots(sharey=True, squeeze=False)[0]
        for axes, breakdown in zip(below, shown, strict=True):
            draw_breakdown(axes, breakdown)
        below[0].set_ylabel(title_of(comparison.metric))
    save(figure, picture)


def draw_breakdown(axes: "Axes", breakdown: Breakdown) -> None:
    """A line a system, in the colours of the panels above."""
    count = len(breakdown.cells)
    for row, cells in enumerate(breakdown.cells):
        places = [group + 0.12 * (row - (count - 1) / 2) / max(count / 4, 1) for group in range(len(cells))]
        below, above = zip(*map(arms, cells), strict=True)
        axes.errorbar(places, [cell.mean for cell in cells], yerr=[below, above], color=f"C{row}", **POINT)
    names = [f"{name}\n({size})" for name, size in zip(breakdown.groups, breakdown.sizes, strict=True)]
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel=breakdown.title.replace(", ", ",\n") + " (sentences)")
    axes.grid(alpha=0.3)


def arms(cell: ScoreCell) -> tuple[float, float]:
    """How far the interval reaches below and above the mean, where that lies inside."""
    low, high = cell.interval or (cell.mean, cell.mean)
    return max(cell.mean - low, 0.0), max(high - cell.mean, 0.0)
