"""Repeated measurement of several benchmarks in turns."""

import logging
from collections.abc import Sequence

from nmt.console import progress_bar
from nmt.lab.benchmark.figures import Benchmark

log = logging.getLogger(__name__)


def measure_in_turns(
    benchmarks: Sequence[Benchmark], labels: Sequence[str], repeats: int
) -> list[dict[str, list[float]]]:
    """Return the figures of each benchmark, one value per repetition.

    Each turn measures every benchmark once, so that a slow minute of the machine affects all of them. The first turn is
    a warm-up and is not counted. The log gets one line per measurement with its first figure.

    Args:
        benchmarks: benchmarks to measure.
        labels: text of each benchmark in the log, behind the number of the repetition.
        repeats: number of turns that are counted.
    """
    results: list[dict[str, list[float]]] = [{} for _ in benchmarks]
    with progress_bar() as bar:
        for repetition in bar.track(range(repeats + 1), description="repetitions"):
            for benchmark, label, figures in zip(benchmarks, labels, results, strict=True):
                measured = benchmark.repeat()
                name, value = next(iter(measured.items()))
                part = f"repetition {repetition} of {repeats}" if repetition else "warm-up"
                log.info("%s%s: %s = %s", part, label, name.replace("_", " "), f"{value:,.5g}")
                if repetition > 0:
                    for name, value in measured.items():
                        figures.setdefault(name, []).append(value)
    return results
