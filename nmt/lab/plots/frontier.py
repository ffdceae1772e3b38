"""Picture of the efficiency frontier: BLEU against the speed of translation."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from nmt.console import counted
from nmt.evaluation.plots import new_figure, save
from nmt.lab.benchmark.figures import spread
from nmt.lab.benchmark.frontier import LATENCY, SPEED, Frontier
from nmt.lab.plots.diagnostics import COLOURS, MARKERS
from nmt.lab.plots.labels import Label, LabelLayout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

PANELS = {
    SPEED: ("sentences/s, translated in batches", "in batches (better: up and right)"),
    LATENCY: ("ms per sentence, translated alone", "one sentence alone (better: up and left)"),
}
"""Axis label and title of the panel of each figure."""
PEER_COLOUR, PEER_MARKER = COLOURS[-1], "D"
STYLES = [(colour, marker) for marker in MARKERS if marker != PEER_MARKER for colour in COLOURS[:-1]]
"""Colours and markers of the points, in their order."""
WIDE = 8.0
"""Ratio of the largest to the smallest speed from which the axis is logarithmic."""


@dataclass(frozen=True)
class Mark:
    """Marker of a panel."""

    label: str
    speeds: Sequence[float]
    """Repeated measurements."""
    bleu: float
    colour: str
    marker: str
    peer: bool = False

    @property
    def speed(self) -> float:
        """Position on the x axis."""
        return median(self.speeds)

    def draw(self, axes: "Axes") -> None:
        """Draw the marker, with a bar for the spread of the speed."""
        face = "white" if self.peer else self.colour
        axes.errorbar(
            self.speed,
            self.bleu,
            xerr=spread(list(self.speeds)),
            color=self.colour,
            marker=self.marker,
            markerfacecolor=face,
            markersize=6,
            capsize=3,
            linewidth=1.4,
            linestyle="none",
        )


def draw_frontier(frontier: Frontier, picture: Path) -> None:
    """Draw BLEU against sentences/s and against the time of a single sentence, with a label at each point.

    A dashed line connects the points on the frontier. Other toolkits have another marker and are not on the line.
    """
    figure = new_figure(12, 5.6)
    panels = figure.subplots(1, 2, sharey=True)
    lines = []
    for axes, (name, (unit, title)) in zip(panels, PANELS.items(), strict=True):
        marks = shown_marks(frontier, name)
        for mark in marks:
            mark.draw(axes)
        on_frontier = frontier.on_frontier(name)
        best = sorted((mark.speed, mark.bleu) for mark in marks if not mark.peer and mark.label in on_frontier)
        speeds, scores = [speed for speed, _ in best], [bleu for _, bleu in best]
        lines += axes.plot(speeds, scores, color="black", linestyle="--", linewidth=0.8, zorder=1)
        if marks and max(mark.speed for mark in marks) > WIDE * min(mark.speed for mark in marks):
            use_log_scale(axes)
        axes.margins(0.16, 0.12)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel=unit)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"BLEU, {frontier.test.name} set")
    figure.supxlabel(caption(frontier), fontsize=8.5, parse_math=False)
    if frontier.peers is not None and frontier.peers.points:
        figure.legend(handles=legend_handles(), loc="outside upper center", ncols=2, frameon=False)
    figure.draw_without_rendering()  # fixes the sizes of the panels, on which the positions of the labels depend
    for axes, name, line in zip(panels, PANELS, lines, strict=True):
        labels = [
            Label(mark.label, (mark.speed, mark.bleu), spread(list(mark.speeds)), mark.colour)
            for mark in shown_marks(frontier, name)
        ]
        LabelLayout(axes, labels, line.get_xydata()).draw()
    save(figure, picture)


def use_log_scale(axes: "Axes") -> None:
    """Make the x axis logarithmic, with plain numbers such as 20 and 50."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def legend_handles() -> "list[Line2D]":
    """Return the markers of this toolkit and of the others."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    return [
        Line2D([], [], label="nmt", color="black", marker="o", **style),
        Line2D([], [], label="other toolkits", color=PEER_COLOUR, marker=PEER_MARKER, markerfacecolor="white", **style),
    ]


def marks_of(frontier: Frontier, name: str) -> list[Mark]:
    """Return the marks of the panel of a figure; a point has the same colour in both panels."""
    marks = [
        Mark(one.point.label, one.figures[name], one.bleu.score, *STYLES[number % len(STYLES)])
        for number, one in enumerate(frontier.points)
    ]
    peers = () if frontier.peers is None else frontier.peers.points
    for peer in peers:
        speeds = peer.sentences_per_second if name == SPEED else peer.milliseconds_per_sentence
        if speeds:
            marks.append(Mark(peer.label, speeds, peer.bleu, PEER_COLOUR, PEER_MARKER, peer=True))
    return marks


def shown_marks(frontier: Frontier, name: str) -> list[Mark]:
    """Return the marks of a panel whose BLEU is not below `bleu_from`."""
    lowest = -math.inf if frontier.bleu_from is None else frontier.bleu_from
    return [mark for mark in marks_of(frontier, name) if mark.bleu >= lowest]


def caption(frontier: Frontier) -> str:
    """Return the text below the panels: what the marks are, and the machines."""
    beams = sorted({one.point.beam_size for one in frontier.points})
    text = [
        f"Beam {' or '.join(map(str, beams))}. Medians of {counted(frontier.repeats, 'turn')}.",
        "Bars: ± half of the interquartile range.",
        "Dashed: the frontier, the points of nmt than which none is as good and as fast.",
        *frontier.machines(),
    ]
    hidden = [mark.label for mark in marks_of(frontier, SPEED) if mark not in shown_marks(frontier, SPEED)]
    if hidden:
        text.append(f"Not drawn, because BLEU is below {frontier.bleu_from:g}: {'; '.join(hidden)}.")
    return "\n".join(textwrap.wrap(" ".join(text), 160))
