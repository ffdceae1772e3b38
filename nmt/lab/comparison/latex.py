"""Tables as LaTeX, with the package booktabs, and as files in Markdown and LaTeX."""

from collections.abc import Sequence
from pathlib import Path

from nmt.lab.comparison.report import TitledTable, markdown

PACKAGES = "% Needs \\usepackage{booktabs} and \\usepackage{longtable}, and an engine that reads UTF-8.\n"
FLOAT_ROWS = 30
"""Maximum number of rows in a floating table. A longer table can break across pages."""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar\allowbreak{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "/": r"/\allowbreak{}",
    "_": r"\_\allowbreak{}",
    "\n": " ",
} | {character: f"\\{character}" for character in "#$%&{}"}


def latex_text(text: str) -> str:
    """Return text with the characters escaped that have a meaning in LaTeX. Long signatures and paths can break."""
    return "".join(SPECIAL.get(character, character) for character in text)


def latex(grid: TitledTable, columns: str) -> str:
    """Return a table of at least one row, with the argument of `tabular` as `columns`, and its notes below it."""
    head = " & ".join(map(latex_text, grid.headings)) + r" \\"
    rows = [" & ".join(map(latex_text, row)) + r" \\" for row in grid.rows]
    notes = [rf"{{\footnotesize {latex_text(note)}\par}}" for note in grid.notes]
    caption = rf"\caption{{{latex_text(grid.title)}}}"
    if len(rows) > FLOAT_ROWS:
        lines = [rf"\begin{{longtable}}{{{columns}}}", rf"{caption} \\", r"\toprule", head, r"\midrule", r"\endhead"]
        lines += [r"\bottomrule", r"\endfoot", *rows, r"\end{longtable}", *notes]
    else:
        lines = [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head]
        lines += [r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\par\smallskip", *notes, r"\end{table}"]
    return "\n".join(lines) + "\n"


def write_tables(
    tables: Sequence[TitledTable], stem: Path, columns: str | None = None, heading: str = ""
) -> list[Path]:
    """Write tables to STEM.md and STEM.tex, and return both paths.

    Args:
        tables: tables with at least one row each.
        stem: path without its suffix.
        columns: alignment of the LaTeX columns; None: the first column to the left, the others to the right.
        heading: first line of the Markdown file, without its mark.
    """
    alignments = [columns or "l" + "r" * (len(grid.headings) - 1) for grid in tables]
    texts = {
        ".md": "\n".join([f"# {heading}\n"] * bool(heading) + [markdown(grid) for grid in tables]),
        ".tex": PACKAGES + "\n".join(map(latex, tables, alignments)),
    }
    paths = [stem.with_name(stem.name + suffix) for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8", errors="replace")
    return paths
