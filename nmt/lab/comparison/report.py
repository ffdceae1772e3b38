"""A comparison as tables on a terminal, as Markdown, as JSON, and as tab-separated sentences."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nmt.console import escape_control_characters
from nmt.evaluation.table import SHOWN, title_of
from nmt.lab.comparison.cells import ScoreCell
from nmt.lab.comparison.compare import Comparison, Difference
from nmt.lab.comparison.statistics import Breakdown
from nmt.lab.comparison.systems import sha256_of_set
from nmt.metrics import LEVEL, POWER, RESAMPLES, SEED, TRIALS

UNKNOWN = "-"
COSTS = {
    "parameters": (1e6, "{:.2f} M"),
    "seconds": (60, "{:.1f}"),
    "cpu_seconds": (60, "{:.1f}"),
    "tokens_per_second": (1, "{:,.0f}"),
    "sentences_per_second": (1, "{:,.0f}"),
    "peak_memory_bytes": (2**30, "{:.2f} GiB"),
}
"""Unit and format of each quantity of a system's cost."""
COST_COLUMNS = {
    "parameters": "parameters",
    "seconds": "minutes",
    "tokens_per_second": "tokens/s",
    "peak_memory_bytes": "memory",
}
"""Quantities in the table of costs, with their headings."""
SCORE_HEADINGS = ["mean", "95 % interval", "p bootstrap", "p randomisation", "p corrected", "verdict", "detectable"]
"""Headings of `score_columns`."""
PLAIN_WIDTH = 220  # characters per line if standard output is not a terminal


@dataclass(frozen=True)
class TitledTable:
    """A table with a title and notes. A cell can have several lines."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    notes: list[str]


def comparison_tables(
    comparison: Comparison, breakdowns: Sequence[Breakdown], differences: Sequence[Difference]
) -> list[TitledTable]:
    """Return all tables of a comparison."""
    tables = [scores_grid(comparison), costs_grid(comparison)]
    tables += [breakdown_grid(comparison, breakdown) for breakdown in breakdowns]
    if differences:
        tables.append(sentences_grid(comparison, differences))
    return tables


def scores_grid(comparison: Comparison) -> TitledTable:
    """Return the table of scores and tests, one row per score and system."""
    rows = [
        [title_of(name, comparison.signatures[name]), system.label, *score_columns(cell, digits_of(name))]
        for name, cells in comparison.cells.items()
        for system, cell in zip(comparison.systems, cells, strict=True)
    ]
    test = comparison.test
    references = f", {len(test.references)} references" if len(test.references) > 1 else ""
    title = f"{test.name} set, {len(test.src):,} sentences{references}"
    cells = [cell for cells in comparison.cells.values() for cell in cells if cell is not None]
    notes = [*reading_notes(cells, has_several_seeds(comparison)), *signature_notes(comparison)]
    return TitledTable(title, ["score", "system", *SCORE_HEADINGS], rows, notes)


def costs_grid(comparison: Comparison) -> TitledTable:
    rows = [
        [system.label, " ".join(map(str, system.seeds)), *(cost_text(system.cost, name) for name in COST_COLUMNS)]
        for system in comparison.systems
    ]
    note = (
        "Minutes and target tokens per second are means over the seeds; memory is the peak resident memory. "
        f"{UNKNOWN}: not recorded."
    )
    return TitledTable("Cost of training", ["system", "seeds", *COST_COLUMNS.values()], rows, [note])


def digits_of(metric: str) -> int:
    """Return the number of decimal places of a mean score."""
    return max(2, SHOWN[metric][1]) if metric in SHOWN else 2


def score_columns(cell: ScoreCell | None, digits: int = 2) -> list[str]:
    """Return the columns of `SCORE_HEADINGS` for one cell."""
    if cell is None:
        return [UNKNOWN, *[""] * (len(SCORE_HEADINGS) - 1)]
    tested = cell.bootstrap_p is not None and cell.randomisation_p is not None and cell.corrected_p is not None
    verdict = "" if cell.verdict is None else str(cell.verdict) if tested else f"{cell.verdict}, same translations"
    return [
        mean_text(cell, digits),
        "" if cell.interval is None else interval_text(cell.interval, digits - 1),
        *("" if p is None else p_text(p) for p in (cell.bootstrap_p, cell.randomisation_p, cell.corrected_p)),
        verdict,
        "" if cell.detectable is None else detectable_text(cell.detectable, digits),
    ]


def detectable_text(difference: float, digits: int = 2) -> str:
    """Return a detectable difference, or "none" above 100 points, the range of the scores."""
    return "none" if difference > 100 else f"{difference:.{max(1, digits - 1)}f}"


def mean_text(cell: ScoreCell, digits: int = 2) -> str:
    """Return the mean score, with the standard deviation if there is one."""
    spread = "" if cell.deviation is None else f" ± {cell.deviation:.{digits}f}"
    return f"{cell.mean:.{digits}f}{spread}"


def interval_text(interval: tuple[float, float], digits: int = 1) -> str:
    return f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def p_text(p: float) -> str:
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def cost_text(cost: Mapping[str, float], name: str) -> str:
    """Return a quantity of `System.cost` in its unit."""
    unit, text = COSTS[name]
    return text.format(cost[name] / unit) if name in cost else UNKNOWN


def reading_notes(cells: Sequence[ScoreCell], several_seeds: bool) -> list[str]:
    """Return notes that explain the columns of a table of scores."""
    spread = ", plus the spread between the seeds (Student, Welch 1947)" if several_seeds else ""
    notes = [f"95 % interval: bootstrap with {RESAMPLES:,} resamples of the sentences (Koehn 2004){spread}."]
    if several_seeds:
        notes.insert(0, "±: standard deviation over the seeds.")
    if any(cell.bootstrap_p is not None for cell in cells):
        notes += [
            "p: probability that two equally good systems differ as much as this row and the first system. "
            f"p bootstrap: paired bootstrap of the sentences{spread}. "
            f"p randomisation: approximate randomisation, {TRIALS:,} trials (Riezler and Maxwell 2005). "
            "p corrected: the larger p, corrected for the number of tested systems per score (Holm 1979).",
            f"better, worse: the corrected p is below {LEVEL}. undecided: no difference was shown, which does not mean "
            f"that the systems are equal. detectable: smallest true difference that is found with a probability of "
            f"{POWER:.0%} at the level {LEVEL} / number of tested systems (Bloom 1995); none: above 100 points.",
        ]
    if several_seeds and (pairs := {cell.pairs for cell in cells if cell.pairs}):
        notes.append(
            "Approximate randomisation swaps each sentence between the systems for all pairs of seeds together "
            f"(number of pairs: {', '.join(map(str, sorted(pairs)))}). It treats the seeds as fixed."
        )
    return notes


def signature_notes(comparison: Comparison) -> list[str]:
    """Return the signature of each score and the runs of each system."""
    signatures = [f"{title_of(name, signature)}: {signature}" for name, signature in comparison.signatures.items()]
    runs = [f"{system.label}: {', '.join(str(run.run.path) for run in system.runs)}" for system in comparison.systems]
    return [*signatures, *runs]


def breakdown_grid(comparison: Comparison, breakdown: Breakdown) -> TitledTable:
    name = title_of(comparison.metric, comparison.signatures[comparison.metric])
    title = f"{name} by {breakdown.title}"
    if breakdown.missing:
        return TitledTable(title, [], [], [f"Not available: {breakdown.missing}."])
    rows = [
        [system.label, *(f"{cell.mean:.1f}\n{interval_text(cell.interval)}" for cell in cells if cell.interval)]
        for system, cells in zip(comparison.systems, breakdown.cells, strict=True)
    ]
    rows.append(["sentences", *map(str, breakdown.sizes)])
    return TitledTable(title, ["", *breakdown.groups], rows, [])


def sentences_grid(comparison: Comparison, differences: Sequence[Difference]) -> TitledTable:
    name = title_of(comparison.metric, comparison.signatures[comparison.metric])
    one, other = (system.label for system in comparison.systems)
    rows = [
        [
            str(difference.line),
            f"{difference.src}\n\n{difference.reference}",
            *(f"{text}\n\n{score:.1f}" for text, score in zip(difference.translations, difference.scores, strict=True)),
        ]
        for difference in differences
    ]
    seeds = "; mean score over the seeds, translation of the first seed" if has_several_seeds(comparison) else ""
    title = f"Sentences with the largest difference in sentence {name}{seeds}"
    return TitledTable(title, ["line", "source, reference", one, other], rows, [])


def has_several_seeds(comparison: Comparison) -> bool:
    return any(len(system.runs) > 1 for system in comparison.systems)


def show_tables(tables: Sequence[TitledTable]) -> None:
    """Print the tables on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    for grid in tables:
        console.print(escape_control_characters(grid.title), markup=False, highlight=False, style="bold")
        if grid.rows:
            multiline = any("\n" in cell for row in grid.rows for cell in row)
            table = Table(*(escape(escape_control_characters(text)) for text in grid.headings), show_lines=multiline)
            for row in grid.rows:
                table.add_row(*(Text(escape_control_characters(cell)) for cell in row))
            console.print(table)
        for note in grid.notes:
            console.print(escape_control_characters(note), markup=False, highlight=False)
        console.print()


def write_comparison(
    comparison: Comparison, breakdowns: Sequence[Breakdown], differences: Sequence[Difference], folder: Path
) -> None:
    """Write compare.md and compare.json, and sentences.tsv if there are differing sentences."""
    text = "\n".join(map(markdown, comparison_tables(comparison, breakdowns, differences)))
    (folder / "compare.md").write_text(f"# Comparison\n\n![scores](compare.png)\n\n{text}", encoding="utf-8")
    content = json.dumps(record(comparison, breakdowns, differences), indent=1, ensure_ascii=False)
    (folder / "compare.json").write_text(content + "\n", encoding="utf-8")
    if differences:
        names = ["line", "first_score", "second_score", "source", "reference", "first", "second"]
        lines = [names] + [
            [str(d.line), *(f"{score:.2f}" for score in d.scores), d.src, d.reference, *d.translations]
            for d in differences
        ]
        rows = ["\t".join(" ".join(field.split()) for field in line) + "\n" for line in lines]
        (folder / "sentences.tsv").write_text("".join(rows), encoding="utf-8")


def markdown(grid: TitledTable) -> str:
    """Return a Markdown section with the table and its notes as a list."""
    lines = [f"## {escaped(grid.title)}", "", *(table_lines(grid.headings, grid.rows) if grid.rows else [])]
    return "\n".join([*lines, *(f"- {escaped(note)}" for note in grid.notes), ""])


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, and an empty line after it."""
    return [row_of(headings), "|" + "---|" * len(headings), *map(row_of, rows), ""]


def row_of(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(escaped(cell).replace("\n", "<br>") for cell in cells) + " |"


def escaped(text: str) -> str:
    """Return text with the characters escaped that have a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))


def record(
    comparison: Comparison, breakdowns: Sequence[Breakdown], differences: Sequence[Difference]
) -> dict[str, Any]:
    """Return the content of compare.json."""
    systems = [
        {
            "label": system.label,
            "runs": [str(run.run.path) for run in system.runs],
            "seeds": system.seeds,
            "cost": system.cost,
            "scores": {
                name: None if (cell := cells[number]) is None else asdict(cell)
                for name, cells in comparison.cells.items()
            },
        }
        for number, system in enumerate(comparison.systems)
    ]
    test = comparison.test
    return {
        "test_set": {
            "split": test.name,
            "sentences": len(test.src),
            "references": len(test.references),
            "sha256": sha256_of_set(test),
        },
        "signatures": comparison.signatures,
        "tests": {"resamples": RESAMPLES, "trials": TRIALS, "seed": SEED, "level": LEVEL, "power": POWER},
        "systems": systems,
        "metric": comparison.metric,
        "breakdowns": [asdict(breakdown) for breakdown in breakdowns],
        "sentences": [asdict(difference) for difference in differences],
    }
