"""Pictures of the diagnostics: their data and axis labels."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from nmt.lab.diagnostics.gates import Recording
from nmt.lab.diagnostics.gradients import ClippedTraining, Decay
from nmt.lab.diagnostics.memory import Accuracy, MeanAccuracy
from nmt.lab.plots import diagnostics as plots_diagnostics
from nmt.lab.plots.diagnostics import GradientPage, draw_gates, draw_gradients, draw_memory


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collect the figures instead of saving them."""
    found: list[Figure] = []
    monkeypatch.setattr(plots_diagnostics, "save", lambda figure, picture: found.append(figure))
    return found


def decay(factor: float, whole: float = 0.5) -> Decay:
    quartiles = [[factor**k / 2, factor**k, factor**k * 2] for k in range(7)]
    return Decay(quartiles, quartiles, None, whole)


def page(unclipped: list[float]) -> GradientPage:
    panels = {"times 0.5": {"rnn": decay(0.5), "gru": decay(0.9)}, "times 4": {"rnn": decay(3.0, whole=8.0)}}
    clipped = ClippedTraining([3.0, 40.0, 2.0], [7.0, 6.0, 5.0])
    return GradientPage("a finding", panels, 2.0, "rnn", clipped, ClippedTraining(unclipped, unclipped), 3)


def test_gradients_by_distance_and_what_clipping_leaves_of_them(figures: list[Figure]) -> None:
    draw_gradients(page([5.0, 60.0]), Path("unused"))
    small, large, norms, losses = figures[0].axes
    assert [axes.get_title() for axes in (small, large)] == ["times 0.5", "times 4"]
    assert [list(line.get_ydata()) for line in small.get_lines()] == [decay(0.5).median(), decay(0.9).median()]
    plain, clipped = large.get_lines()
    assert list(clipped.get_ydata()) == [value / 4 for value in plain.get_ydata()]  # a norm of 8 is clipped to 2
    assert {axes.get_yscale() for axes in figures[0].axes} == {"log"}
    assert [list(line.get_ydata()) for line in norms.get_lines()[:2]] == [[5.0, 60.0], [3.0, 40.0, 2.0]]
    assert list(losses.get_lines()[1].get_xdata()) == [1, 2, 3]
    labels = [str(line.get_label()) for line in norms.get_lines()[:2]]
    assert labels == ["not clipped, not finite after step 2", "clipped"]
    assert all(axes.get_xlabel() for axes in figures[0].axes)


def mean(*of_seeds: Accuracy) -> MeanAccuracy:
    return MeanAccuracy(of_seeds)


def test_memory_by_class_of_distances_with_intervals(figures: list[Figure]) -> None:
    found = {
        "lstm without attention": [mean(Accuracy(90, 100)), mean(Accuracy(20, 80), Accuracy(30, 80))],
        "lstm with attention": [mean(Accuracy(100, 100)), mean(Accuracy(60, 80))],
    }
    by_chance = [mean(Accuracy(5, 100)), mean(Accuracy(4, 80))]
    draw_memory("a finding", ["1 to 3", "4 to 6"], found, by_chance, Path("unused"))
    axes = figures[0].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1 to 3", "4 to 6"]
    for bars, accuracies in zip(axes.containers, found.values(), strict=True):
        line, _, (errors,) = bars.lines
        assert list(line.get_ydata()) == [100 * accuracy.share for accuracy in accuracies]
        ends = [(low[1], high[1]) for low, high in errors.get_segments()]
        for (low, high), each in zip(ends, accuracies, strict=True):
            assert (low / 100, high / 100) == pytest.approx(each.interval)
    dashed, whole = (bars.lines[0] for bars in axes.containers)
    assert (dashed.get_linestyle(), whole.get_linestyle()) == ("--", "-")
    assert dashed.get_color() == whole.get_color()
    (by_chance,) = (line for line in axes.get_lines() if "chance" in str(line.get_label()))
    assert list(by_chance.get_ydata()) == [5.0, 5.0]


def recording(steps: int, batch: int, *names: str) -> Recording:
    random = torch.Generator().manual_seed(1)
    gates = {name: torch.rand(steps, batch, 6, generator=random) for name in names}
    return Recording(gates, torch.ones(steps, batch, dtype=torch.bool), 0.0)


LSTM, GRU = ("forget", "input", "candidate", "output"), ("reset", "update", "candidate")


@pytest.mark.parametrize("names", [LSTM, GRU])
def test_gates_are_shown_unit_by_unit_most_kept_first(figures: list[Figure], names: tuple[str, ...]) -> None:
    one, many = recording(3, 1, *names), recording(9, 5, *names)
    draw_gates("a finding", one, many, ["▁a", "$b$", "</s>"], Path("unused"))
    images = [axes.images[0].get_array() for axes in figures[0].axes if axes.images]
    assert len(images) == len(names)
    kept = images[names.index("forget" if "forget" in names else "update")]
    means = kept.mean(axis=1).tolist()
    assert means == sorted(means, reverse=True)
    order = one.kept[:, 0].mean(dim=0).argsort(descending=True)
    for image, name in zip(images, names, strict=True):
        assert image.tolist() == one.gates[name][:, 0, order].t().tolist()
    points = {
        axes.get_title().partition(":")[0]: axes.collections[0].get_offsets().tolist()
        for axes in figures[0].axes
        if axes.get_title()
    }
    assert set(points) == set(names) - {"candidate"}
    for name, found in points.items():
        left, right = many.saturation(name)
        assert found == torch.stack([right, left], dim=1).tolist()


def test_each_is_a_valid_picture(tmp_path: Path) -> None:
    draw_gradients(page([]), tmp_path / "new" / "gradients.png")
    accuracy = {name: [mean(Accuracy(0, 9))] for name in ("a run", "another run", "one more")}
    draw_memory("a finding", ["1 to 3"], accuracy, [mean(Accuracy(9, 9))], tmp_path / "memory.png")
    draw_gates("$a$ finding", recording(1, 1, *GRU), recording(2, 3, *GRU), ["</s>"], tmp_path / "gates.png")
    for name in ("new/gradients", "memory", "gates"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
