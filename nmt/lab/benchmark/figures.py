"""Benchmark interface, statistics of repeated measurements, and the peak of matrix products."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch

Figures = dict[str, float]
"""Measurements by name, in base units; the name contains the unit."""
PEAK_SIZE = 2048
"""Rows and columns of the largest matrices whose product is timed: large enough to be bound by arithmetic."""
SMALLEST_SIZE = 64
"""Rows and columns of the first product timed, small enough for an emulated type."""
PRODUCT_SECONDS = 0.5
"""Longest expected time of a product that is still started."""


class Benchmark(Protocol):
    """Measurement that can be repeated."""

    def repeat(self) -> Figures:
        """Measure once; the first call warms up and is not counted."""


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def spread(values: list[float]) -> float:
    """Return half the distance between the quartiles; zero for a single value."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def matmul_peak(
    dtype: torch.dtype,
    repeats: int = 7,
    clock: Callable[[Callable[[], object]], float] = timed,
    device: str = "cpu",
    largest: int = PEAK_SIZE,
) -> float:
    """Return the highest floating-point operations per second of several large matrix products; 0 if unsupported.

    The size doubles from `SMALLEST_SIZE` up to `largest` and stops before a product that would take longer than
    `PRODUCT_SECONDS`. Where a type is emulated, the result is the low figure of a smaller product.

    `clock` times an action, in seconds. The product of the final size is timed `repeats` times.
    """
    size = SMALLEST_SIZE
    try:
        seconds = clock(product(size, dtype, device))
        while size < largest and 8 * seconds <= PRODUCT_SECONDS:
            size *= 2
            seconds = clock(product(size, dtype, device))
        action = product(size, dtype, device)
        best = min(seconds, *(clock(action) for _ in range(repeats if seconds <= PRODUCT_SECONDS else 1)))
    except RuntimeError:  # PyTorch has no matrix product of this type on this processor
        return 0.0
    return 2 * size**3 / best


def product(size: int, dtype: torch.dtype, device: str = "cpu") -> Callable[[], object]:
    """Return an action that multiplies two square matrices."""
    a, b = (torch.randn(size, size, dtype=torch.float32).to(dtype).to(device) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def summary(figures: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return the median of each figure, and under `spread` half of its interquartile range."""
    medians: dict[str, Any] = {name: statistics.median(values) for name, values in figures.items()}
    return medians | {"spread": {name: spread(values) for name, values in figures.items()}}


@contextmanager
def busy_neighbours(number: int) -> Iterator[None]:
    """Run other processes beside this one, each busy on one core, until the block ends."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
