"""Report page and model card, rendered from the facts of a run. This is the only file that imports jinja2.

The template engine escapes all text from users (sentences, settings, names), by autoescape in the page and by
`finalize` in the card. The templates do not escape.
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
from nmt.lab.report.facts import RunFacts
from nmt.metrics import RESAMPLES

TEMPLATES = Path(__file__).parent / "templates"
CELL_WIDTH, CELL_HEIGHT, LETTER, MARGIN = 21, 17, 6.3, 10
MIN_DRAWN_WEIGHT = 0.015
"""Smaller weights are not drawn. They are hardly visible and would double the size of the page."""


@dataclass(frozen=True)
class HeatMap:
    """Layout of an attention map, in pixels."""

    width: int
    height: int
    columns: list[tuple[float, str]]
    rows: list[tuple[float, str]]
    cells: list[tuple[float, float, float]]
    """x, y and weight of each drawn cell."""
    left: float
    top: float
    cell: tuple[int, int] = (CELL_WIDTH, CELL_HEIGHT)


def heat_map(attention: AttentionMap) -> HeatMap:
    """Lay out an attention map: one column per source piece, one row per target piece."""
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
            if weight >= MIN_DRAWN_WEIGHT
        ],
        left=left,
        top=top,
    )


def curves(facts: RunFacts) -> str:
    """Return the learning curves as a PNG in base64; empty without metrics."""
    with TemporaryDirectory() as folder:
        lines, picture = Path(folder) / "metrics.jsonl", Path(folder) / "curves.png"
        lines.write_text("".join(json.dumps(line) + "\n" for line in facts.metrics), encoding="utf-8")
        draw_learning_curves(lines, picture)
        return base64.b64encode(picture.read_bytes()).decode("ascii") if picture.is_file() else ""


class Verbatim(str):
    """Text of an indented code block of Markdown, which needs no escaping."""


def indented(text: str) -> Verbatim:
    """Return the text as an indented code block."""
    return Verbatim("".join(f"    {line}\n" for line in text.split("\n")))


def in_markdown(value: Any) -> str:
    """Escape a value of the card, and put it on one line."""
    return value if isinstance(value, Verbatim) else " ".join(escaped(str(value)).split())


def page(facts: RunFacts) -> str:
    """Render the facts as one self-contained HTML page."""
    return render("report.html", {"autoescape": True}, facts=facts, curves=curves(facts))


def model_card(facts: RunFacts) -> str:
    """Render the facts as a model card, with the headings of Mitchell et al. 2019."""
    options = {"autoescape": False, "finalize": in_markdown, "keep_trailing_newline": True}
    return render("model_card.md", options, facts=facts)


def render(template: str, options: dict[str, Any], **values: Any) -> str:
    """Render a template in an environment with these options."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options
    )
    environment.filters |= {"heat_map": heat_map, "indented": indented, "interval": interval_text}
    return environment.get_template(template).render(**values, resamples=RESAMPLES, version=nmt.__version__)


def write_report(facts: RunFacts, folder: Path) -> list[Path]:
    """Write report.html and model_card.md. Return their paths."""
    files = {folder / "report.html": page(facts), folder / "model_card.md": model_card(facts)}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", errors="replace")
    return list(files)
