"""Labels beside the points of a panel, placed so that they do not overlap if there is room."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

Place = tuple[float, tuple[float, float]]
"""Distance of a label from its point, in points of 1/72 inch, and its direction."""
DISTANCES = (7.0, 14.0, 24.0, 36.0, 50.0, 66.0)
"""Distances to choose from. A label that is not at the first one is connected to its point by a thin line."""
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
RADIUS = 5.0
"""Half of the size of a marker with its edge, in points."""
GAP = 1.0
"""Smallest distance between two labels, in points."""
SAMPLES = 60
"""Number of places on a segment of a line that are compared with the areas of labels and markers."""
PASSES = 3
"""Number of times that each label is placed: in later passes the positions of all others are known."""
OUTSIDE, COVERED, CROSSED = 1000.0, 100.0, 10.0
"""Costs of a label outside of the panel, of one on another label or marker, and of crossing a line."""
FAR = 0.2
"""Cost of a distance of one point."""


@dataclass(frozen=True)
class Label:
    """Text for a point."""

    text: str
    position: tuple[float, float]
    """The point, in data coordinates."""
    bar: float
    """Half of the width of the error bar, in data coordinates."""
    colour: str


@dataclass(frozen=True)
class Area:
    """Rectangle of a panel, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Area") -> bool:
        """Return whether two rectangles have a point in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def within(self, other: "Area") -> bool:
        """Return whether the other rectangle contains this one."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.bottom <= self.bottom and self.top <= other.top

    def touches(self, places: NDArray[np.float64]) -> bool:
        """Return whether the rectangle contains one of the places, (N, 2)."""
        low, high = (self.left, self.bottom), (self.right, self.top)
        return bool(((places > low) & (places < high)).all(axis=1).any())


class LabelLayout:
    """Positions of the labels of a panel whose size is final."""

    def __init__(self, axes: "Axes", labels: Sequence[Label], line: ArrayLike) -> None:
        """
        Args:
            axes: panel.
            labels: texts, each with its point.
            line: points of a line that the labels avoid, in data coordinates, (N, 2); NaN interrupts it.
        """
        self.axes = axes
        self.labels = labels
        self.pixels = axes.figure.dpi / 72
        """Pixels per point of 1/72 inch."""
        self.points = [np.asarray(axes.transData.transform(label.position), dtype=np.float64) for label in labels]
        self.markers = [self.marker(label) for label in labels]
        self.sizes = [self.size(label) for label in labels]
        corners = np.asarray(axes.transData.transform(line), dtype=np.float64)
        self.line = np.concatenate([corners[:1], *(between(*ends) for ends in pairwise(corners))])
        self.panel = Area(*axes.bbox.extents)
        self.places: list[Place | None] = [None] * len(labels)

    def draw(self) -> None:
        """Place all labels and write them into the panel."""
        for _ in range(PASSES):
            for i in sorted(range(len(self.labels)), key=lambda i: -self.labels[i].position[1]):
                self.places[i] = min(product(DISTANCES, DIRECTIONS), key=partial(self.cost, i))
        for label, place in zip(self.labels, self.places, strict=True):
            assert place is not None
            self.write(label, place)

    def cost(self, i: int, place: Place) -> float:
        """Return the cost of a place of label `i`, given those of the others."""
        area, leader = self.area(i, place), self.leader(i, place)
        others = [(j, other) for j, other in enumerate(self.places) if other is not None and j != i]
        markers = [marker for j, marker in enumerate(self.markers) if j != i]
        areas = [self.area(j, other) for j, other in others]
        covered = sum(area.overlaps(other) for other in [*areas, *self.markers])
        crossed = sum(other.touches(leader) for other in [*areas, *markers])
        crossed += area.touches(self.line) + sum(area.touches(self.leader(j, other)) for j, other in others)
        return OUTSIDE * (not area.within(self.panel)) + COVERED * covered + CROSSED * crossed + FAR * place[0]

    def area(self, i: int, place: Place) -> Area:
        """Return the area of label `i` at a place."""
        distance, (x, y) = place
        at = self.points[i] + distance * self.pixels * np.array([x, y])
        width, height = self.sizes[i]
        left = at[0] - (0 if x > 0 else width if x < 0 else width / 2)
        bottom = at[1] - (0 if y > 0 else height if y < 0 else height / 2)
        return Area(left, bottom, left + width, bottom + height)

    def leader(self, i: int, place: Place) -> NDArray[np.float64]:
        """Return places on the line from point `i` to its label, (N, 2); none for a label beside the point."""
        distance, direction = place
        if distance == DISTANCES[0]:
            return np.empty((0, 2))
        return between(self.points[i], self.points[i] + distance * self.pixels * np.array(direction))

    def marker(self, label: Label) -> Area:
        """Return the area of a point's marker and error bar."""
        x, y = label.position
        (left, height), (right, _) = self.axes.transData.transform([(x - label.bar, y), (x + label.bar, y)])
        radius = RADIUS * self.pixels
        return Area(left - radius, height - radius, right + radius, height + radius)

    def size(self, label: Label) -> tuple[float, float]:
        """Return width and height of a label with a gap around it."""
        text = self.write(label, (0.0, DIRECTIONS[0]))
        box = text.get_window_extent()
        text.remove()
        return box.width + GAP * self.pixels, box.height + GAP * self.pixels

    def write(self, label: Label, place: Place) -> "Annotation":
        """Write a label into the panel, with a line to its point if it is not beside it."""
        distance, (x, y) = place
        line = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        text = self.axes.annotate(
            label.text,
            label.position,
            xytext=(x * distance, y * distance),
            textcoords="offset points",
            ha="left" if x > 0 else "right" if x < 0 else "center",
            va="bottom" if y > 0 else "top" if y < 0 else "center",
            fontsize=9,
            color=label.colour,
            parse_math=False,
            arrowprops=line if distance > DISTANCES[0] else None,
        )
        text.set_in_layout(False)
        return text


def between(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places at equal distances from one point to another, (SAMPLES, 2)."""
    return start + np.linspace(0, 1, SAMPLES)[:, None] * (end - start)
