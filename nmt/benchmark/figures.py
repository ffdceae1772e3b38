"""What a benchmark is, and how its repeated figures are summed up."""

import statistics
import time
from collections.abc import Callable
from typing import Protocol

import torch

Figures = dict[str, float]
"""Measurements by name, in base units; the name says which."""
PEAK_SIZE = 2048
"""Rows and columns of the matrices whose product is timed: large enough to be bound by arithmetic."""


class Benchmark(Protocol):
    def repeat(self) -> Figures:
        """Measures once; the first time warms up and is not counted."""


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def median(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float]) -> float:
    """Half the distance between the quartiles; zero for a single value."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def matmul_peak(dtype: torch.dtype, repeats: int = 7) -> float:
    """Floating-point operations a second of a matrix product, the best of some: what the machine can do."""
    a, b = (torch.randn(PEAK_SIZE, PEAK_SIZE, dtype=torch.float32).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return max(2 * PEAK_SIZE**3 / timed(lambda: torch.mm(a, b, out=out)) for _ in range(repeats))
