"""Picture of a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.evaluation.plots import new_figure, save
from nmt.evaluation.table import LOWER_IS_BETTER, title_of
from nmt.lab.comparison.cells import ScoreCell
from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.statistics import Breakdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINT: dict[str, Any] = {"marker": "o", "markersize": 5, "capsize": 3, "linewidth": 1.4}


def draw_comparison(comparison: Comparison, breakdowns: Sequence[Breakdown], picture: Path) -> None:
    """Draw the scores with their intervals and, below them, one score by groups of sentences."""
    tested = comparison.scorers or comparison.signatures  # panels for all eight scores would be too narrow
    scores = {name: cells for name, cells in comparison.cells.items() if name in tested}
    available = [breakdown for breakdown in breakdowns if not breakdown.missing]
    systems = len(comparison.systems)
    heights = (1.2 + 0.32 * systems, 3.6)
    figure = new_figure(13, sum(heights) if available else heights[0])
    halves = figure.add_gridspec(2, 1, height_ratios=heights) if available else figure.add_gridspec(1, 1)
    panels = halves[0].subgridspec(1, len(scores)).subplots(sharey=True, squeeze=False)[0]
    for axes, (name, cells) in zip(panels, scores.items(), strict=True):
        for row, cell in enumerate(cells):
            if cell is not None:
                axes.errorbar(cell.mean, row, xerr=[[part] for part in interval_arms(cell)], color=f"C{row}", **POINT)
        axes.set(
            title=title_of(name, comparison.signatures[name])
            + (" (lower is better)" if name in LOWER_IS_BETTER else "")
        )
        axes.grid(alpha=0.3, axis="x")
    labels = [system.label for system in comparison.systems]
    panels[0].set_yticks(range(systems), labels, parse_math=False)
    panels[0].set_ylim(systems - 0.5, -0.5)
    if available:
        below = halves[1].subgridspec(1, len(available)).subplots(sharey=True, squeeze=False)[0]
        for axes, breakdown in zip(below, available, strict=True):
            draw_breakdown(axes, breakdown)
        below[0].set_ylabel(title_of(comparison.metric))
    save(figure, picture)


def draw_breakdown(axes: "Axes", breakdown: Breakdown) -> None:
    """Draw one line per system, in the colours of the score panels."""
    count = len(breakdown.cells)
    for row, cells in enumerate(breakdown.cells):
        positions = [group + 0.12 * (row - (count - 1) / 2) / max(count / 4, 1) for group in range(len(cells))]
        below, above = zip(*map(interval_arms, cells), strict=True)
        axes.errorbar(positions, [cell.mean for cell in cells], yerr=[below, above], color=f"C{row}", **POINT)
    names = [f"{name}\n({size})" for name, size in zip(breakdown.groups, breakdown.sizes, strict=True)]
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel=breakdown.title.replace(" of ", "\nof ") + " (sentences)")
    axes.grid(alpha=0.3)


def interval_arms(cell: ScoreCell) -> tuple[float, float]:
    """Return the lengths of the interval below and above the mean, each at least 0."""
    low, high = cell.interval or (cell.mean, cell.mean)
    return max(cell.mean - low, 0.0), max(high - cell.mean, 0.0)
