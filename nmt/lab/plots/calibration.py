"""Reliability diagrams (Niculescu-Mizil and Caruana 2005)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.evaluation.plots import new_figure, save
from nmt.lab.plots.diagnostics import COLOURS


def draw_reliability(title: str, bins: Mapping[str, NDArray[np.float64]], picture: Path) -> None:
    """Draw the share of right words by mean confidence, one line per form of confidence.

    Args:
        title: title.
        bins: for each form, number of words, sum of confidences and number of right words of each bin, (bins, 3).
        picture: file.
    """
    figure = new_figure(6.4, 5.2)
    figure.suptitle(title, fontsize=10)
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color="#7F7F7F", linestyle="--", linewidth=1)
    for number, (name, sums) in enumerate(bins.items()):
        count, confidence, right = sums[sums[:, 0] > 0].T
        axes.plot(confidence / count, right / count, color=COLOURS[2 * number], linewidth=1, label=name)
        axes.scatter(confidence / count, right / count, s=4 + 200 * count / count.sum(), color=COLOURS[2 * number])
    axes.set(xlabel="mean confidence", ylabel="share of right words", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save(figure, picture)
