"""Columns of the command `translate`: scores, probabilities of words and word alignment, as TSV or JSON lines."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nmt.config import OutputFormat
from nmt.decoding import Candidate, Translator, align_words
from nmt.decoding.alignment import pharaoh
from nmt.evaluation.confidence import word_probabilities, word_texts

COLUMNS = (
    "line",
    "rank",
    "text",
    "score",
    "log_prob",
    "confidence",
    "word_probability",
    "word_confidence",
    "alignment",
)
"""Columns of TSV. Lines and ranks count from 1."""
Calibrate = Callable[[Sequence[float]], list[float]]
"""Function from probabilities of words to calibrated confidences."""


class ColumnWriter:
    """Formatter of translations with their columns."""

    def __init__(
        self, translator: Translator, form: OutputFormat, attends: bool, calibrate: Calibrate | None = None
    ) -> None:
        """
        Args:
            translator: the translator, whose model computes the probabilities of words.
            form: TSV or JSON lines.
            attends: True if the model has attention.
            calibrate: calibration of the run; None: the column word_confidence is empty.
        """
        self.translator = translator
        self.form = form
        self.attends = attends
        self.calibrate = calibrate

    def header(self) -> list[str]:
        """Return the line of column names of TSV."""
        return ["\t".join(COLUMNS)] if self.form == OutputFormat.tsv else []

    def rows(self, first: int, lines: Sequence[str], translations: Sequence[Sequence[Candidate]]) -> Iterator[str]:
        """Yield a row for each translation of each line.

        Args:
            first: number of the first line, from 0.
            lines: source lines.
            translations: the result of `translate` for each line.
        """
        probabilities = word_probabilities(self.translator, lines, translations)
        links = align_words(self.translator, lines, translations) if self.attends else None
        for at, (line, of_line) in enumerate(zip(lines, translations, strict=True)):
            for rank, candidate in enumerate(of_line):
                of_words = probabilities[at][rank]
                row = {
                    "line": first + at + 1,
                    "rank": rank + 1,
                    "source": line,
                    "text": candidate.text,
                    "score": finite(candidate.score),
                    "log_prob": finite(candidate.log_prob),
                    "confidence": finite(candidate.confidence),
                    "words": word_texts(candidate.text),
                    "word_probability": [round(value, 4) for value in of_words],
                    "word_confidence": None
                    if self.calibrate is None
                    else [round(value, 4) for value in self.calibrate(of_words)],
                    "alignment": None if links is None else sorted(links[at][rank]),
                }
                yield tsv_row(row) if self.form == OutputFormat.tsv else json.dumps(row, ensure_ascii=False)


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return round(value, 4) if math.isfinite(value) else None


def tsv_row(row: dict[str, Any]) -> str:
    """Return a row as TSV: numbers of words separated by spaces, the alignment in Pharaoh's format."""
    cells = []
    for name in COLUMNS:
        value = row[name]
        if name == "alignment":
            value = "" if value is None else pharaoh(value)
        elif isinstance(value, list):
            value = " ".join(map(str, value))
        cells.append("" if value is None else str(value))
    return "\t".join(cells)
