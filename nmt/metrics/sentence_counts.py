"""Short form of the sentence statistics of BLEU and chrF with one reference, from which they are restored exactly.

The number of n-grams of a text of L units is max(0, L - n + 1), so lengths and matches determine all statistics. The
lengths of the references are kept apart, because all systems share them. The rows hold differences, which are small:

    hypothesis length - reference length, then m(1), m(2) - m(1), m(3) - m(2), ...

where m(n) is the number of n-grams of the hypothesis without a match (order n, 1 to N).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.metrics.pairwise import BLEU_ORDER, CHRF_ORDER
from nmt.metrics.significance import Table

COUNTED = ("bleu", "chrf")
"""Scores whose statistics have a short form."""
Counts = NDArray[np.int64]


def shorten(score: str, table: Table) -> tuple[Counts, Counts]:
    """Return the lengths of the references, (N,), and the short rows, (N, 1 + order).

    Args:
        score: bleu or chrf.
        table: statistics of each sentence as sacrebleu orders them, (N, C).

    Raises:
        ValueError: the statistics have no exact short form, because there are several references or orders are missing.
    """
    table = np.asarray(table)
    columns = 2 + 2 * BLEU_ORDER if score == "bleu" else 3 * CHRF_ORDER
    if table.ndim != 2 or table.shape[1] != columns or table.dtype.kind != "i":
        raise ValueError(f"{score} has statistics of another form than sacrebleu's with one reference")
    if score == "bleu":
        hypotheses, references, matches = table[:, 0], table[:, 1], table[:, 2 : 2 + BLEU_ORDER]
    else:
        hypotheses, references, matches = table[:, 0], table[:, 1], table[:, 2::3]
    missed = numbers_of_ngrams(hypotheses, matches.shape[1]) - matches
    rows = np.column_stack([hypotheses - references, missed[:, :1], np.diff(missed, axis=1)])
    if not np.array_equal(restore(score, references, rows), table):
        raise ValueError(f"{score} has statistics that its lengths and matches do not determine")
    return references, rows


def restore(score: str, references: Counts, rows: Counts) -> Table:
    """Return the statistics of each sentence as sacrebleu orders them, (N, C): the inverse of `shorten`."""
    hypotheses = references + rows[:, 0]
    totals = numbers_of_ngrams(hypotheses, rows.shape[1] - 1)
    matches = totals - np.cumsum(rows[:, 1:], axis=1)
    if score == "bleu":
        return np.column_stack([hypotheses, references, matches, totals])
    of_references = numbers_of_ngrams(references, CHRF_ORDER)
    totals = np.where(of_references > 0, totals, 0)  # sacrebleu skips orders that the reference does not have
    matches = np.where(of_references > 0, matches, 0)
    return np.stack([totals, of_references, matches], axis=2).reshape(len(rows), -1)


def numbers_of_ngrams(lengths: Sequence[int] | Counts, orders: int) -> Counts:
    """Return the number of n-grams of texts of these lengths, (N, orders)."""
    numbers: Counts = np.maximum(np.asarray(lengths)[:, None] - np.arange(orders), 0)
    return numbers
