"""Significance tests of files of translations, without runs."""

from collections.abc import Mapping, Sequence

from nmt.evaluation import EvaluationSet
from nmt.evaluation.table import LOWER_IS_BETTER, title_of
from nmt.lab.comparison.cells import ScoreCell, cells_with_tests
from nmt.lab.comparison.report import SCORE_HEADINGS, TitledTable, digits_of, reading_notes, score_columns
from nmt.metrics import MeanScorer, Score, Scorer


def file_cells(
    translations: Mapping[str, Sequence[str]], scores: Sequence[Mapping[str, Score]], test: EvaluationSet
) -> dict[str, list[ScoreCell | None]]:
    """Return the cells of each score, one per file. The other files are tested against the first one.

    Args:
        translations: lines of each file, N per file, by name.
        scores: scores of each file, in the same order.
        test: N references, one list or several.
    """
    cells: dict[str, list[ScoreCell | None]] = {}
    for name, score in scores[0].items():
        if score.sentences is not None:
            tables = [[MeanScorer.table(other[name].sentences or ())] for other in scores]
            cells[name] = cells_with_tests(MeanScorer(), tables, name in LOWER_IS_BETTER)
        elif scorer := Scorer.from_signature(score.signature):
            tables = [[scorer.table(lines, *test.references)] for lines in translations.values()]
            cells[name] = cells_with_tests(scorer, tables, name in LOWER_IS_BETTER)
        else:
            cells[name] = [ScoreCell(other[name].score, None, other[name].interval) for other in scores]
    return cells


def files_grid(
    translations: Mapping[str, Sequence[str]], scores: Sequence[Mapping[str, Score]], test: EvaluationSet
) -> TitledTable:
    """Return a table of scores and tests, one row per score and file, from the arguments of `file_cells`."""
    cells = file_cells(translations, scores, test)
    titles = {name: title_of(name, score.signature) for name, score in scores[0].items()}
    rows = [
        [titles[name], file, *score_columns(cell, digits_of(name))]
        for name, column in cells.items()
        for file, cell in zip(translations, column, strict=True)
    ]
    notes = reading_notes([cell for column in cells.values() for cell in column if cell is not None], False)
    notes += [f"{titles[name]}: {score.signature}" for name, score in scores[0].items()]
    references = f", {len(test.references)} references" if len(test.references) > 1 else ""
    return TitledTable(f"{len(test.src):,} sentences{references}", ["score", "file", *SCORE_HEADINGS], rows, notes)
