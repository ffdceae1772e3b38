"""Picture of the cost of decoders by the length of the target."""

from pathlib import Path

from nmt.config import TRANSFORMER
from nmt.evaluation.plots import new_figure, save
from nmt.lab.benchmark.recurrences import HEADINGS, SEARCH, STATE, TRAINING
from nmt.lab.benchmark.recurrences_table import Costs, in_unit
from nmt.lab.plots.diagnostics import COLOURS, MARKERS, plain_numbers

PANELS = (TRAINING, SEARCH, STATE)


def draw_costs(costs: Costs, title: str, picture: Path) -> None:
    """Draw training, search and state by length on logarithmic scales, one line per decoder."""
    figure = new_figure(13, 5.4)
    figure.suptitle(title, fontsize=11, parse_math=False)
    panels = figure.subplots(1, len(PANELS))
    for axes, name in zip(panels, PANELS, strict=True):
        for number, (decoder, by_length) in enumerate(costs[name].items()):
            values = [in_unit(name, value) for value in by_length.values()]
            style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[(number + number // 8) % len(MARKERS)]}
            line = ("--" if number >= len(COLOURS) else "-") if decoder != TRANSFORMER else ":"
            axes.plot(list(by_length), values, label=decoder, linestyle=line, markersize=5, linewidth=1.4, **style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        plain_numbers(axes)
        lengths = sorted({length for by_length in costs[name].values() for length in by_length})
        axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
        axes.set(xlabel="target tokens", ylabel=HEADINGS[name])
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    save(figure, picture)
