"""Pictures of a question: BLEU of each row with its interval, by source length, and against the cost of training."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.config import QuestionPart
from nmt.evaluation.plots import new_figure, save
from nmt.lab.plots.compare import POINT, interval_arms
from nmt.lab.plots.labels import Label, LabelLayout
from nmt.lab.questions.measure import MeasuredTable

COLOURS = 10
"""Number of colours of matplotlib's cycle; rows after them have another marker and line."""


def style(row: int) -> dict[str, Any]:
    """Return colour, marker and line of a row, counted from 0, so that no two rows of a table look alike."""
    again = row // COLOURS
    return POINT | {
        "color": f"C{row % COLOURS}",
        "marker": "os^D"[again % 4],
        "linestyle": ("-", "--", ":", "-.")[again % 4],
    }


def draw_question(parts: Sequence[tuple[QuestionPart, MeasuredTable]], picture: Path) -> None:
    """Draw the panels of each measured table; a row has the same style in both panels."""
    heights = [max(0.8 + 0.26 * len(table.rows), 2.2 if table.groups else 0) for _, table in parts]
    figure = new_figure(9 if any(table.groups for _, table in parts) else 6, sum(heights))
    lines = figure.add_gridspec(len(parts), 1, height_ratios=heights)
    for at, (part, table) in enumerate(parts):
        panels = lines[at].subgridspec(1, 2 if table.groups else 1).subplots(squeeze=False)[0]
        for line, row in enumerate(table.rows.values()):
            cell = row.scores["bleu"]
            panels[0].errorbar(cell.mean, line, xerr=[[arm] for arm in interval_arms(cell)], **style(line))
        labels = [
            f"{label} ({cell.verdict})" if (cell := row.scores["bleu"]).verdict else label
            for label, row in table.rows.items()
        ]
        panels[0].set_yticks(range(len(table.rows)), labels, parse_math=False)
        panels[0].set_ylim(len(table.rows) - 0.5, -0.5)
        panels[0].set(xlabel="BLEU")
        panels[0].set_title(part.name, fontsize=9, parse_math=False)
        panels[0].grid(alpha=0.3, axis="x")
        if table.groups:
            for line, row in enumerate(table.rows.values()):
                below, above = zip(*map(interval_arms, row.lengths), strict=True)
                means = [cell.mean for cell in row.lengths]
                panels[1].errorbar(range(len(means)), means, yerr=[below, above], **style(line))
            panels[1].set_xticks(range(len(table.groups)), table.groups)
            panels[1].set(xlabel=f"{table.unit}s of the source", ylabel="BLEU")
            panels[1].grid(alpha=0.3)
    save(figure, picture)


def draw_costs(parts: Sequence[tuple[QuestionPart, MeasuredTable]], picture: Path) -> None:
    """Draw test BLEU against the core minutes of training, one panel per table and one point per row.

    Vertical bars are 95 % intervals over sentences and seeds. Rows of one name have the same style in all panels.
    """
    names = list(dict.fromkeys(name for _, table in parts for name in table.rows))
    figure = new_figure(5.4 * len(parts), 4.2)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    layouts = []
    for axes, (part, table) in zip(panels, parts, strict=True):
        labels, bars = [], []
        for name, row in table.rows.items():
            if "cpu_seconds" not in row.cost:
                continue
            minutes, cell, point = row.cost["cpu_seconds"] / 60, row.scores["bleu"], style(names.index(name))
            below, above = interval_arms(cell)
            axes.errorbar(minutes, cell.mean, yerr=[[below], [above]], **point)
            bars += [(minutes, cell.mean - below), (minutes, cell.mean + above), (math.nan, math.nan)]
            labels.append(Label(name, (minutes, cell.mean), 0.0, point["color"]))
        axes.set(xlabel="core minutes of training", ylabel="BLEU, test set")
        axes.set_title("\n".join(textwrap.wrap(part.name, 60)), fontsize=9, parse_math=False)
        axes.margins(0.2, 0.1)
        axes.grid(alpha=0.3)
        layouts.append((axes, labels, bars))
    figure.draw_without_rendering()  # fixes the sizes of the panels, on which the positions of the labels depend
    for axes, labels, bars in layouts:
        if labels:
            LabelLayout(axes, labels, line=bars).draw()
    save(figure, picture)
