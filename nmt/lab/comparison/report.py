"""A comparison to read: tables on a terminal, Markdown, JSON, and tab-separated sentences."""

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
from nmt.lab.comparison.compare import Breakdown, Cell, Comparison, Difference
from nmt.metrics import LEVEL, POWER, RESAMPLES, SEED, TRIALS

UNKNOWN = "-"
COSTS = {
    "parameters": (1e6, "{:.2f} M"),
    "seconds": (60, "{:.1f}"),
    "tokens_per_second": (1, "{:,.0f}"),
    "sentences_per_second": (1, "{:,.0f}"),
    "peak_memory_bytes": (2**30, "{:.2f} GiB"),
}
"""The unit of each quantity that a system costs, and how it is written."""
SHOWN_COSTS = ("parameters", "seconds", "tokens_per_second", "peak_memory_bytes")
PLAIN_WIDTH = 220  # characters a line where standard output is no terminal


@dataclass(frozen=True)
class Grid:
    """A table; its cells may have several lines."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    notes: list[str]


def grids(comparison: Comparison, breakdowns: Sequence[Breakdown], differences: Sequence[Difference]) -> list[Grid]:
    """All that there is to show."""
    found = [scores_grid(comparison)]
    found += [breakdown_grid(comparison, each) for each in breakdowns]
    if differences:
        found.append(sentences_grid(comparison, differences))
    return found


def scores_grid(comparison: Comparison) -> Grid:
    costs = ("parameters", "minutes", "tokens/s", "memory")
    headings = ["system", "seeds", *(title_of(*each) for each in comparison.signatures.items()), *costs]
    rows = []
    for number, system in enumerate(comparison.systems):
        cells = [cell_text(found[number], digits_of(name)) for name, found in comparison.cells.items()]
        rows.append(
            [
                system.label,
                " ".join(map(str, system.seeds)),
                *cells,
                *(cost_text(system.cost, name) for name in SHOWN_COSTS),
            ]
        )
    test = comparison.test
    references = f", {len(test.all_references)} references" if test.further_references else ""
    return Grid(
        f"{test.split} set, {len(test.src):,} sentences{references}",
        headings,
        rows,
        [*meaning(comparison), *legend(comparison)],
    )


def digits_of(metric: str) -> int:
    return max(2, SHOWN[metric][1]) if metric in SHOWN else 2


def cell_text(cell: Cell | None, digits: int = 2) -> str:
    if cell is None:
        return UNKNOWN
    spread = "" if cell.deviation is None else f" ± {cell.deviation:.{digits}f}"
    lines = [f"{cell.mean:.{digits}f}{spread}"]
    if cell.interval is not None:
        lines.append(interval_text(cell.interval, digits - 1))
    if cell.bootstrap_p is not None and cell.randomisation_p is not None and cell.corrected_p is not None:
        lines.append(
            f"p {p_text(cell.bootstrap_p)} {p_text(cell.randomisation_p)}, corrected {p_text(cell.corrected_p)}"
        )
    if cell.verdict is not None:
        lines.append(verdict_text(cell, digits))
    return "\n".join(lines)


def verdict_text(cell: Cell, digits: int = 2) -> str:
    """Return the verdict with the smallest difference that the comparison could have shown."""
    if cell.detectable is None:
        return f"{cell.verdict}, same translations"
    return f"{cell.verdict}, detectable {cell.detectable:.{max(1, digits - 1)}f}"


def interval_text(interval: tuple[float, float], digits: int = 1) -> str:
    return f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def p_text(p: float) -> str:
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def cost_text(cost: Mapping[str, float], name: str) -> str:
    """A quantity of `System.cost` in its unit."""
    unit, text = COSTS[name]
    return text.format(cost[name] / unit) if name in cost else UNKNOWN


def meaning(comparison: Comparison) -> list[str]:
    """How to read the numbers."""
    several = any(len(system.runs) > 1 for system in comparison.systems)
    drawn = "sentences" + (" and the seeds' spread (Student, Welch 1947)" if several else "")
    notes = [f"[ ]: 95 % interval, {RESAMPLES:,} resamples of {drawn} (bootstrap, Koehn 2004)."]
    if several:
        notes.insert(0, "±: standard deviation over seeds.")
    cells = [cell for found in comparison.cells.values() for cell in found if cell is not None]
    if any(cell.bootstrap_p is not None for cell in cells):
        notes.append(
            "p: probability that two equally good systems differ as much as this row and the first one, by paired "
            f"bootstrap over {drawn} and by approximate randomisation ({TRIALS:,} trials; Riezler and Maxwell 2005); "
            "corrected: the larger of both, for the number of tested rows of a column (Holm 1979)."
        )
        notes.append(
            f"better, worse: corrected p below {LEVEL}. undecided: the difference was not shown; it does not say that "
            f"the systems are equal. detectable: smallest true difference that would be found with a probability of "
            f"{POWER:.0%} at the level {LEVEL} / number of tested rows (Bloom 1995)."
        )
    if several and (pairs := {cell.pairs for cell in cells if cell.pairs}):
        notes.append(
            "Randomisation swaps each sentence between the systems for all pairs of seeds at once, in their order "
            f"({', '.join(map(str, sorted(pairs)))} pairs); it takes the seeds as they are."
        )
    notes.append(
        "Costs of training: minutes and target tokens a second as means over seeds, peak resident memory; "
        f"{UNKNOWN}: not recorded."
    )
    return notes


def legend(comparison: Comparison) -> list[str]:
    """The signature of each score, and the runs of each system."""
    signatures = [f"{title_of(name, signature)}: {signature}" for name, signature in comparison.signatures.items()]
    runs = [f"{system.label}: {', '.join(str(each.run.path) for each in system.runs)}" for system in comparison.systems]
    return [*signatures, *runs]


def breakdown_grid(comparison: Comparison, breakdown: Breakdown) -> Grid:
    name = title_of(comparison.metric, comparison.signatures[comparison.metric])
    title = f"{name} by {breakdown.title}"
    if breakdown.missing:
        return Grid(title, [], [], [f"There is none: {breakdown.missing}."])
    rows = [
        [system.label, *(f"{cell.mean:.1f}\n{interval_text(cell.interval)}" for cell in cells if cell.interval)]
        for system, cells in zip(comparison.systems, breakdown.cells, strict=True)
    ]
    rows.append(["sentences", *map(str, breakdown.sizes)])
    return Grid(title, ["", *breakdown.groups], rows, [])


def sentences_grid(comparison: Comparison, differences: Sequence[Difference]) -> Grid:
    name = title_of(comparison.metric, comparison.signatures[comparison.metric])
    one, other = (system.label for system in comparison.systems)
    rows = [
        [
            str(each.line),
            f"{each.src}\n\n{each.reference}",
            *(f"{text}\n\n{score:.1f}" for text, score in zip(each.translations, each.scores, strict=True)),
        ]
        for each in differences
    ]
    seeds = "; of several seeds the mean score, and the first one's translation" if several(comparison) else ""
    title = f"The sentences that differ most by {name} of the sentence{seeds}"
    return Grid(title, ["line", "source, reference", one, other], rows, [])


def several(comparison: Comparison) -> bool:
    return any(len(system.runs) > 1 for system in comparison.systems)


def show(tables: Sequence[Grid]) -> None:
    """Prints the tables on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    for grid in tables:
        console.print(escape_control_characters(grid.title), markup=False, highlight=False, style="bold")
        if grid.rows:
            table = Table(*(escape(escape_control_characters(heading)) for heading in grid.headings), show_lines=True)
            for row in grid.rows:
                table.add_row(*(Text(escape_control_characters(cell)) for cell in row))
            console.print(table)
        for note in grid.notes:
            console.print(escape_control_characters(note), markup=False, highlight=False)
        console.print()


def write(
    comparison: Comparison,
    breakdowns: Sequence[Breakdown],
    differences: Sequence[Difference],
    folder: Path,
) -> None:
    """Writes compare.md and compare.json, and with sentences sentences.tsv."""
    text = "\n".join(map(markdown, grids(comparison, breakdowns, differences)))
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


def markdown(grid: Grid) -> str:
    """A section with the table and its notes as a list."""
    lines = [f"## {escaped(grid.title)}", ""]
    if grid.rows:
        lines += [row_of(grid.headings), "|" + "---|" * len(grid.headings), *map(row_of, grid.rows), ""]
    return "\n".join([*lines, *(f"- {escaped(note)}" for note in grid.notes), ""])


def row_of(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell).replace("\n", "<br>") for cell in cells) + " |"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))


def record(
    comparison: Comparison, breakdowns: Sequence[Breakdown], differences: Sequence[Difference]
) -> dict[str, Any]:
    """All of it for JSON."""
    systems = [
        {
            "label": system.label,
            "runs": [str(each.run.path) for each in system.runs],
            "seeds": system.seeds,
            "cost": system.cost,
            "scores": {
                name: None if (cell := found[number]) is None else asdict(cell)
                for name, found in comparison.cells.items()
            },
        }
        for number, system in enumerate(comparison.systems)
    ]
    test = comparison.test
    return {
        "test_set": {
            "split": test.split,
            "sentences": len(test.src),
            "references": len(test.all_references),
            "sha256": test.sha256,
        },
        "signatures": comparison.signatures,
        "tests": {"resamples": RESAMPLES, "trials": TRIALS, "seed": SEED, "level": LEVEL, "power": POWER},
        "systems": systems,
        "metric": comparison.metric,
        "breakdowns": [asdict(each) for each in breakdowns],
        "sentences": [asdict(each) for each in differences],
    }
