"""Figures of decoders by length as Markdown tables."""

from collections.abc import Mapping
from statistics import median

from nmt.lab.benchmark.recurrences import HEADINGS, SOURCE, STATE
from nmt.lab.comparison.report import UNKNOWN, table_lines

Costs = dict[str, dict[str, dict[int, float]]]
"""Median of each figure by its name, by decoder and by length."""


def costs_of(figures: Mapping[str, list[float]]) -> Costs:
    """Return the medians of figures that are named DECODER/LENGTH/FIGURE."""
    costs: Costs = {name: {} for name in HEADINGS}
    for key, values in figures.items():
        decoder, length, name = key.split("/")
        costs[name].setdefault(decoder, {})[int(length)] = median(values)
    return costs


def costs_table(costs: Costs) -> str:
    """Return one table per figure, with a row per decoder and a column per length in target tokens."""
    lines = []
    for name, heading in HEADINGS.items():
        lengths = sorted({length for by_length in costs[name].values() for length in by_length})
        rows = [
            [decoder, *(written(name, by_length[length]) if length in by_length else UNKNOWN for length in lengths)]
            for decoder, by_length in costs[name].items()
        ]
        lines += table_lines([heading, *(f"{length:,} tokens" for length in lengths)], rows)
    return "\n".join(lines)


def in_unit(name: str, value: float) -> float:
    """Return a figure in the unit of its heading: KiB for bytes."""
    return value / 1024 if name in (STATE, SOURCE) else value


def written(name: str, value: float) -> str:
    """Return a figure in the unit of its heading, with three significant digits below 1,000."""
    value = in_unit(name, value)
    digits = next((digits for digits, least in ((0, 100), (1, 10), (2, 1)) if value >= least), 3)
    return f"{value:,.{digits}f}"
