"""Pictures of the diagnostics, one page each, with the result as the title."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.evaluation.plots import new_figure, save
from nmt.lab.diagnostics.gates import Recording
from nmt.lab.diagnostics.gradients import ClippedTraining, Decay
from nmt.lab.diagnostics.memory import MeanAccuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# The palette of Okabe and Ito, which is distinguishable with red-green colour blindness.
COLOURS = ("#D55E00", "#56B4E9", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#000000", "#7F7F7F")
MARKERS = "osD^vPX*"


@dataclass(frozen=True)
class GradientPage:
    """Content of the picture of gradient norms."""

    title: str
    panels: Mapping[str, Mapping[str, Decay]]
    """Decay by panel title and cell."""
    clip_norm: float
    trained: str
    """Description of the model that was trained with and without clipping."""
    clipped: ClippedTraining
    unclipped: ClippedTraining
    steps: int
    """Planned number of training steps."""


def draw_gradients(page: GradientPage, picture: Path) -> None:
    """Draw gradient norms by distance, one panel per scale, and a training with and without clipping below them."""
    figure = new_figure(max(11.0, 3.6 * len(page.panels)), 8.8)
    figure.suptitle(page.title, fontsize=12)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    above, below = halves
    names = list(dict.fromkeys(name for decays in page.panels.values() for name in decays))
    panels = above.subplots(1, len(page.panels), sharey=True, squeeze=False)[0]
    for axes, (title, decays) in zip(panels, page.panels.items(), strict=True):
        for name, decay in decays.items():
            draw_decay(axes, decay, name, names.index(name), decay.clip_factor(page.clip_norm))
        axes.set(title=title, xlabel="distance k, in steps", yscale="log")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(r"norm of $\partial L_t / \partial s_{t-k}$, s: recurrent state")
    handles = [line for axes in panels for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    unique = {str(line.get_label()): line for line in handles}
    unique |= {f"dashed: clipped to norm {page.clip_norm:g}": dashes()}
    above.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique), frameon=False)
    left, right = below.subplots(1, 2)
    for number, (name, training) in enumerate((("not clipped", page.unclipped), ("clipped", page.clipped))):
        steps = range(1, len(training.norms) + 1)
        name += f", not finite after step {len(steps)}" if len(steps) < page.steps else ""
        style = {"color": COLOURS[2 * number], "linestyle": ("-", "--")[number], "linewidth": 1.3, "label": name}
        left.plot(steps, training.norms, **style)
        right.plot(steps, training.losses, **style)
    left.axhline(page.clip_norm, color="black", linewidth=0.8, linestyle=":")
    left.set(title=f"{page.trained}: gradient norm", ylabel="global norm, before clipping")
    right.set(title=f"{page.trained}: training loss", ylabel="training loss, nats per token")
    for axes in (left, right):
        axes.set(xlabel="training step", yscale="log")
        plain_numbers(axes)
        axes.grid(alpha=0.3)
    below.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    save(figure, picture)


def plain_numbers(axes: "Axes") -> None:
    """Label a logarithmic axis with plain numbers, such as 20 instead of 2 x 10^1."""
    from matplotlib.ticker import LogFormatter

    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))


def draw_decay(axes: "Axes", decay: Decay, name: str, number: int, factor: float) -> None:
    style: dict[str, Any] = {"color": COLOURS[number], "marker": MARKERS[number], "markevery": 5, "markersize": 5}
    axes.plot(decay.median(), label=name, linewidth=1.6, **style)
    if factor < 1:
        axes.plot([factor * value for value in decay.median()], label="_clipped", linewidth=1.2, ls="--", **style)


def dashes() -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D([], [], color="black", linestyle="--", linewidth=1.2)


def draw_memory(
    title: str,
    classes: Sequence[str],
    accuracies: Mapping[str, Sequence[MeanAccuracy]],
    chance: Sequence[MeanAccuracy],
    picture: Path,
) -> None:
    """Draw the accuracy by distance class with its interval.

    A system whose name ends in "without attention" has a dashed line. A cell in blocks has a dash-dotted line if there
    is one of the same cell without blocks. `chance` is the accuracy of the most frequent verb.
    """
    figure = new_figure(9.5, 5.6)
    axes = figure.subplots()
    figure.suptitle(title, fontsize=12)
    kinds = list(dict.fromkeys(name.partition(" ")[0] for name in accuracies))
    for number, (name, by_class) in enumerate(accuracies.items()):
        kind, without = kinds.index(name.partition(" ")[0]), name.endswith("without attention")
        both = " in blocks" in name and name.replace(" in blocks", "") in accuracies
        positions = [position + 0.05 * (number - (len(accuracies) - 1) / 2) for position in range(len(classes))]
        shares = [100 * accuracy.share for accuracy in by_class]
        ends = [[100 * end for end in accuracy.interval] for accuracy in by_class]
        errors = [[share - low for share, (low, _) in zip(shares, ends, strict=True)]]
        errors += [[high - share for share, (_, high) in zip(shares, ends, strict=True)]]
        axes.errorbar(
            positions,
            shares,
            yerr=errors,
            label=name,
            color=COLOURS[kind % len(COLOURS)],
            marker=MARKERS[kind % len(MARKERS)],
            markerfacecolor="white" if without else None,
            linestyle="--" if without else "-." if both else "-",
            capsize=3,
            linewidth=1.5,
        )
    shares = [100 * accuracy.share for accuracy in chance]
    axes.plot(shares, label="chance: the most frequent verb", color="black", linestyle=":", linewidth=1.2)
    axes.set_xticks(range(len(classes)), classes)
    axes.set(
        xlabel="distance from the start of the clause to its verb, words",
        ylabel="clauses with the correct final verb, %",
        ylim=(-2, 102),
    )
    axes.grid(alpha=0.3, axis="y")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    save(figure, picture)


def draw_gates(title: str, recording: Recording, over: Recording, pieces: Sequence[str], picture: Path) -> None:
    """Draw each gate over the pieces of a sentence: its mean, its units, and the saturation of its units.

    The units are sorted by the share of their state that they keep over the sentence, the largest share at the top. The
    saturation is that over many sentences, `over`; `recording` has the gates of the sentence, (T, 1, H).
    """
    names = list(recording.gates)
    figure = new_figure(4.6 + 0.42 * len(pieces), 2.6 + 2.1 * len(names))
    figure.suptitle(title, fontsize=12, parse_math=False)
    heights = (1.2, *(1.6 for _ in names))
    rows = figure.subplots(len(names) + 1, 2, height_ratios=heights, width_ratios=(0.42 * len(pieces), 2.4))
    (means, corner), *gates = rows
    order = recording.kept[:, 0].mean(dim=0).argsort(descending=True)
    for number, name in enumerate(names):
        values = recording.gates[name][:, 0]
        style = {"color": COLOURS[number], "marker": MARKERS[number], "markersize": 4}
        means.plot(values.mean(dim=1).tolist(), label=name, **style)
        axes, scatter = gates[number]
        signed = name == "candidate"
        limits = {"cmap": "PuOr", "vmin": -1, "vmax": 1} if signed else {"cmap": "cividis", "vmin": 0, "vmax": 1}
        image = axes.imshow(values[:, order].t().tolist(), aspect="auto", interpolation="nearest", **limits)
        axes.set(ylabel=f"{name}\nunit")
        axes.set_xticks([])
        figure.colorbar(image, ax=axes, ticks=[-1, 0, 1] if signed else [0, 0.5, 1])
        if signed:
            scatter.axis("off")
            continue
        left, right = (share.tolist() for share in over.saturation(name))
        scatter.scatter(right, left, s=9, color=COLOURS[number], alpha=0.5)
        scatter.plot([0, 1], [1, 0], color="black", linewidth=0.6)
        scatter.set(
            xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="share below 0.1", title=f"{name}: one point per unit"
        )
        scatter.set_xlabel("share above 0.9")
    means.set(ylabel="mean over\nunits", xlim=(-0.5, len(pieces) - 0.5))
    means.set_xticks([])
    means.grid(alpha=0.3)
    corner.axis("off")
    corner.legend(*means.get_legend_handles_labels(), loc="upper center", ncols=2, frameon=False, fontsize=9)
    below = f"{over.mask.size(1)} validation sentences:\nshare of pieces"
    corner.text(0.5, -0.15, below, ha="center", va="bottom", transform=corner.transAxes, fontsize=9)
    last = gates[-1][0]
    last.set_xticks(range(len(pieces)), pieces, rotation=60, ha="right", rotation_mode="anchor", parse_math=False)
    save(figure, picture)
