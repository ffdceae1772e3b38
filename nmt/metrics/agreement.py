"""Agreement of raters and of metrics: Krippendorff's alpha and Kendall's tau-b."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.metrics.significance import SumScorer, Table

Ratings = NDArray[np.float64]


class IntervalAlpha(SumScorer):
    """Krippendorff's alpha for values on an interval scale, as a function of summed statistics of units.

    Krippendorff 2018, Content Analysis, chapter 12. alpha = 1 - D_o / D_e with squared differences: D_o is the mean
    over the pairs of values of a unit, each unit weighted by its number of values, and D_e is the mean over all pairs
    of values. 1 means perfect agreement, 0 the agreement of random values.
    """

    @staticmethod
    def table(values: Ratings) -> Table:
        """Return the statistics of each unit, (U, 4), from values (R, U) of R raters with NaN for missing values.

        A unit with fewer than two values is not pairable and counts nothing.
        """
        counts = np.sum(~np.isnan(values), axis=0).astype(np.float64)
        sums, squares = np.nansum(values, axis=0), np.nansum(values**2, axis=0)
        pairable = counts > 1
        within = np.zeros_like(counts)
        within[pairable] = 2 * (counts * squares - sums**2)[pairable] / (counts[pairable] - 1)
        table: Table = np.stack([within, counts, sums, squares], axis=1) * pairable[:, None]
        return table

    def score(self, sums: Table) -> float:
        within, count, total, squares = (float(value) for value in sums)
        pairs = 2 * (count * squares - total**2)
        return _alpha(within / count if count else 0.0, pairs / (count * (count - 1)) if count > 1 else 0.0)


class NominalAlpha(SumScorer):
    """Krippendorff's alpha for unordered categories, as a function of summed statistics of units."""

    def __init__(self, categories: Sequence[float]) -> None:
        self.categories = list(categories)

    def table(self, values: Ratings) -> Table:
        """Return the statistics of each unit, (U, 1 + C), from values (R, U) with NaN for missing values."""
        counts = np.stack([np.sum(values == category, axis=0) for category in self.categories], axis=1).astype(float)
        size = counts.sum(axis=1)
        pairable = size > 1
        within = np.zeros_like(size)
        within[pairable] = (size**2 - np.sum(counts**2, axis=1))[pairable] / (size[pairable] - 1)
        table: Table = np.concatenate([within[:, None], counts], axis=1) * pairable[:, None]
        return table

    def score(self, sums: Table) -> float:
        within, counts = float(sums[0]), np.asarray(sums[1:], dtype=np.float64)
        count = float(counts.sum())
        pairs = count**2 - float(np.sum(counts**2))
        return _alpha(within / count if count else 0.0, pairs / (count * (count - 1)) if count > 1 else 0.0)


def _alpha(observed: float, expected: float) -> float:
    """Return 1 - D_o / D_e; NaN if all values are equal or there are none, where alpha is not defined."""
    return 1 - observed / expected if expected > 1e-12 else float("nan")


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Kendall's tau-b, which corrects for ties (Kendall 1945); NaN if all values of one side are equal."""
    signs = [np.sign(np.subtract.outer(side, side)) for side in map(np.asarray, (first, second))]
    squares = [float(np.sum(sign**2)) for sign in signs]
    if 0.0 in squares:
        return float("nan")
    return float(np.sum(signs[0] * signs[1]) / np.sqrt(squares[0] * squares[1]))
