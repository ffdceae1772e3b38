"""Calibration of the confidence of words: isotonic regression on the validation set, stored with a run.

A word of a translation counts as right if it occurs in the reference, by clipped matching of counts as in the unigram
precision of BLEU (Papineni et al. 2002, 2.1). Isotonic regression (Zadrozny and Elkan 2002) maps the probability of a
word to the share of right words, by the pool-adjacent-violators algorithm. The expected calibration error is that of
Guo et al. 2017, eq. 3, with 15 bins of equal width.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data import read_json, write_json
from nmt.decoding import Candidate, Translator
from nmt.errors import UserError
from nmt.evaluation.confidence import word_probabilities, word_texts
from nmt.run import RunDirectory

FILE = "calibration.json"
FORMAT = 1
BINS = 15
RESAMPLES = 1000
SEED = 12345
MAX_POINTS = 100_000

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledWords:
    """Probabilities of words, and whether each is right. N words."""

    probabilities: Numbers
    """Probability of each word, (N,)."""
    right: Numbers
    """1 for a right word, otherwise 0, (N,)."""
    sentences: NDArray[np.int64]
    """Number of the sentence of each word, (N,)."""


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error with its 95 % bootstrap interval over sentences."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Monotone map from the probability of a word to its confidence, with the errors before and after."""

    step: int
    """Training step of the checkpoint that it was fitted for."""
    probabilities: tuple[float, ...]
    """Points of the map, in increasing order; between them it is linear."""
    confidences: tuple[float, ...]
    """Confidence at each point."""
    fitted_words: int
    """Number of words of the validation set."""
    tested_words: int
    """Number of words of the held-out set that the errors are measured on."""
    before: CalibrationError
    """Error of the probabilities on the held-out set."""
    after: CalibrationError
    """Error of the confidences on the held-out set."""

    def __call__(self, probabilities: Sequence[float] | Numbers) -> list[float]:
        """Return the confidence of words with these probabilities."""
        values: list[float] = np.interp(probabilities, self.probabilities, self.confidences).tolist()
        return values


def label_words(words: Sequence[str], reference: str) -> list[bool]:
    """Return whether each word of a translation occurs in the reference.

    Words are compared without punctuation at their ends, with upper and lower case. A word that the translation has
    more often than the reference is right only as often as there, from left to right.
    """
    left = Counter(inner_text(word) for word in word_texts(reference))
    labels = []
    for word in map(inner_text, words):
        labels.append(left[word] > 0)
        left[word] -= 1
    return labels


def inner_text(word: str) -> str:
    """Return a word without punctuation at its ends; a word of punctuation alone stays."""
    inside = [at for at, sign in enumerate(word) if unicodedata.category(sign)[0] != "P"]
    return word[inside[0] : inside[-1] + 1] if inside else word


def labelled_words(
    translator: Translator, lines: Sequence[str], translations: Sequence[Candidate], references: Sequence[str]
) -> LabelledWords:
    """Return the words of the translations with their probabilities and labels."""
    found = word_probabilities(translator, lines, [[candidate] for candidate in translations])
    probabilities: list[float] = []
    right: list[bool] = []
    sentences: list[int] = []
    for number, (candidate, of_line, reference) in enumerate(zip(translations, found, references, strict=True)):
        words = word_texts(candidate.text)
        if len(words) != len(of_line[0]):
            continue  # a word without visible characters is not in the text
        probabilities += of_line[0]
        right += label_words(words, reference)
        sentences += [number] * len(words)
    return LabelledWords(np.array(probabilities, dtype=float), np.array(right, dtype=float), np.array(sentences))


def isotonic(probabilities: Numbers, right: Numbers) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the points of the non-decreasing function with the smallest squared error to the labels.

    Pool-adjacent-violators: labels in the order of their probabilities form blocks, and two neighbouring blocks are
    joined while the mean of the first is not below that of the second. The points are the ends of the blocks.

    Args:
        probabilities: probability of each word, (N,).
        right: label of each word, (N,).
    """
    blocks: list[tuple[float, float, float, float]] = []  # sum, count, first and last probability
    values, inverse = np.unique(probabilities, return_inverse=True)
    sums, counts = np.bincount(inverse, weights=right), np.bincount(inverse)
    for value, of_value, count in zip(values.tolist(), sums.tolist(), counts.tolist(), strict=True):
        block = (float(of_value), float(count), float(value), float(value))
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            below = blocks.pop()
            block = (below[0] + block[0], below[1] + block[1], below[2], block[3])
        blocks.append(block)
    points = dict[float, float]()
    for total, size, first, last in blocks:
        points[first] = points[last] = total / size
    return tuple(points), tuple(points.values())


def bin_sums(confidences: Numbers, right: Numbers) -> Numbers:
    """Return number of words, sum of confidences and number of right words of each bin, (BINS, 3)."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    rows = (np.ones_like(right), confidences, right)
    return np.stack([np.bincount(bins, weights=row, minlength=BINS) for row in rows], axis=1)


def calibration_error(confidences: Numbers, words: LabelledWords) -> CalibrationError:
    """Return the expected calibration error of confidences, with a bootstrap interval over sentences."""
    sentences, rows = np.unique(words.sentences, return_inverse=True)
    sums = np.zeros((len(sentences), BINS, 3))
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    for column, values in enumerate((np.ones_like(words.right), confidences, words.right)):
        np.add.at(sums[:, :, column], (rows, bins), values)
    draws = np.random.default_rng(SEED).multinomial(
        len(sentences), np.full(len(sentences), 1 / len(sentences)), size=RESAMPLES
    )
    samples = errors(np.einsum("rs,sbc->rbc", draws.astype(float), sums))
    low, high = np.percentile(samples, (2.5, 97.5))
    return CalibrationError(float(errors(sums.sum(axis=0, keepdims=True))[0]), float(low), float(high))


def errors(sums: Numbers) -> Numbers:
    """Return Σ_b |sum of confidences - number of right words| / number of words, (R,), of sums (R, BINS, 3)."""
    differences: Numbers = np.abs(sums[:, :, 1] - sums[:, :, 2]).sum(axis=1) / sums[:, :, 0].sum(axis=1)
    return differences


def fit(step: int, fitting: LabelledWords, testing: LabelledWords) -> Calibration:
    """Return the calibration fitted on some words, with its errors on others.

    Raises:
        UserError: there are no words.
    """
    if not len(fitting.right) or not len(testing.right):
        raise UserError("the translations have no words; train the model longer before its confidence is calibrated")
    points = isotonic(fitting.probabilities, fitting.right)
    before = calibration_error(testing.probabilities, testing)
    after = calibration_error(np.interp(testing.probabilities, *points), testing)
    return Calibration(step, *points, len(fitting.right), len(testing.right), before, after)


def calibration_path(run: RunDirectory) -> Path:
    """Return the file of a run's calibration."""
    return run.path / FILE


def write_calibration(run: RunDirectory, calibration: Calibration) -> None:
    """Store a calibration with a run.

    Raises:
        UserError: the run cannot be written.
    """
    try:
        write_json(calibration_path(run), {"format": FORMAT, **asdict(calibration)})
    except OSError as error:
        raise UserError(f"{calibration_path(run)}: {error.strerror}; give the run write permission") from None


def read_calibration(run: RunDirectory) -> Calibration | None:
    """Return the calibration of a run; None if it has none.

    Raises:
        UserError: the file is damaged.
    """
    path = calibration_path(run)
    if not path.is_file():
        return None
    try:
        return parse(read_json(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged; delete it, and fit it again with diagnose.py calibration") from None


def parse(record: dict[str, Any]) -> Calibration:
    """Return the calibration of a file's content; raise ValueError, KeyError or TypeError if it is not one."""
    points, values = (tuple(map(float, record[name])) for name in ("probabilities", "confidences"))
    numbers = [record[name] for name in ("format", "step", "fitted_words", "tested_words")]
    found = [
        CalibrationError(*(float(record[name][key]) for key in ("value", "low", "high")))
        for name in ("before", "after")
    ]
    shares = [*points, *values, *(number for error in found for number in asdict(error).values())]
    ordered = all(a < b for a, b in pairwise(points)) and all(a <= b for a, b in pairwise(values))
    if not (
        0 < len(points) == len(values) <= MAX_POINTS
        and ordered
        and all(math.isfinite(share) and 0 <= share <= 1 for share in shares)
        and all(type(number) is int and number >= 0 for number in numbers)
        and numbers[0] == FORMAT
    ):
        raise ValueError
    return Calibration(numbers[1], points, values, numbers[2], numbers[3], *found)


def calibration_for(run: RunDirectory, step: int) -> tuple[Calibration | None, str]:
    """Return the calibration of a checkpoint, and the reason if the run has one for another checkpoint.

    Args:
        run: the run.
        step: training step of the checkpoint.

    Raises:
        UserError: the file is damaged.
    """
    found = read_calibration(run)
    if found is None or found.step == step:
        return found, ""
    return None, f"{calibration_path(run)} is for step {found.step}, not for step {step}; it is not used"
