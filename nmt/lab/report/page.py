"""A run as a page to read and as a model card: two renderings of one set of facts. The only file that imports jinja2.

Whatever a user gave (sentences, settings, names) is escaped by the template engine, not by the templates' authors: in
the page by jinja2's autoescape, in the card by `finalize`.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import nmt
from nmt.decoding import AttentionMap
from nmt.evaluation.plots import draw_learning_curves
from nmt.lab.comparison.report import escaped, interval_text
from nmt.lab.report.facts import Facts
from nmt.metrics import RESAMPLES

TEMPLATES = Path(__file__).parent / "templates"
CELL_WIDTH, CELL_HEIGHT, LETTER, MARGIN = 21, 17, 6.3, 10
FAINT = 0.015
"""Weights below this are not drawn: a page with ten maps would be twice as long, and look the same."""


@dataclass(frozen=True)
class HeatMap:
    """Where the parts of an attention map stand, in pixels."""

    width: int
    height: int
    columns: list[tuple[float, str]]
    rows: list[tuple[float, str]]
    cells: list[tuple[float, float, float]]
    """x, y and weight."""
    left: float
    top: float
    cell: tuple[int, int] = (CELL_WIDTH, CELL_HEIGHT)


def heat_map(attention: AttentionMap) -> HeatMap:
    """Source pieces across, target pieces down."""
    left = MARGIN + LETTER * max(map(len, attention.tgt))
    top = MARGIN + LETTER * max(map(len, attention.src))
    xs = [left + CELL_WIDTH * column for column in range(len(attention.src))]
    ys = [top + CELL_HEIGHT * row for row in range(len(attention.tgt))]
    return HeatMap(
        width=round(left + CELL_WIDTH * len(xs) + 2 * MARGIN),
        height=round(top + CELL_HEIGHT * len(ys) + MARGIN),
        columns=list(zip(xs, attention.src, strict=True)),
        rows=list(zip(ys, attention.tgt, strict=True)),
        cells=[
            (x, y, weight)
            for y, weights in zip(ys, attention.weights, strict=True)
            for x, weight in zip(xs, weights, strict=True)
            if weight >= FAINT
        ],
        left=left,
        top=top,
    )


def curves(facts: Facts) -> str:
    """The learning curves as a PNG in base64; empty if there is nothing to draw."""
    with TemporaryDirectory() as folder:
        lines, picture = Path(folder) / "metrics.jsonl", Path(folder) / "curves.png"
        lines.write_text("".join(json.dumps(line) + "\n" for line in facts.metrics), encoding="utf-8")
        draw_learning_curves(lines, picture)
        return base64.b64encode(picture.read_bytes()).decode("ascii") if picture.is_file() else ""


class Verbatim(str):
    """Text of an indented block of Markdown, where nothing has a meaning."""


def indented(text: str) -> Verbatim:
    return Verbatim("".join(f"    {line}\n" for line in text.split("\n")))


def in_markdown(value: Any) -> str:
    """What stands in the card for a value."""
    return value if isinstance(value, Verbatim) else " ".join(escaped(str(value)).split())


def page(facts: Facts) -> str:
    """The facts as one HTML file that needs nothing else."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"heat_map": heat_map, "interval": interval_text}
    template = environment.get_template("report.html")
    return template.render(facts=facts, curves=curves(facts), resamples=RESAMPLES, version=nmt.__version__)


def model_card(facts: Facts) -> str:
    """The facts under the headings of Mitchell et al. 2019."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        finalize=in_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"indented": indented, "interval": interval_text}
    return environment.get_template("model_card.md").render(facts=facts, resamples=RESAMPLES, version=nmt.__version__)


def write_report(facts: Facts, folder: Path) -> list[Path]:
    """Writes report.html and model_card.md."""
    files = {folder / "report.html": page(facts), folder / "model_card.md": model_card(facts)}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", errors="replace")
    return list(files)
