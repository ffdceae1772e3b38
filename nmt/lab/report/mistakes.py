"""Kinds of translation errors that are detected automatically, each by a definition with thresholds.

A kind compares a translation with another translation of the same sentence. Usually this is the system's translation
against the reference. The reverse comparison counts how often the definition finds the error in a reference, and so
estimates its false alarms.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.data.words import split_words
from nmt.decoding import AttentionMap
from nmt.decoding.alignment import source_words, word_numbers
from nmt.decoding.parts import Part

TOO_SHORT, TOO_LONG, MIN_CHARACTERS = 0.7, 1.4, 10
MAX_ADJACENT, REPEATED_NGRAM = 4, 3
COPIED_WORDS, COPIED_SHARE = 2, 0.25
COVERED, UNCOVERED, UNCOVERED_WORDS = 0.8, 0.2, 2
EXCESS_COVERAGE = 2.0

Coverage = NDArray[np.float64]


@dataclass(frozen=True)
class JudgedTranslation:
    """A translation to check and the translation that it is compared with."""

    src: str
    text: str
    other: str
    coverage: Coverage | None = None
    """Attention that each source word receives from the words of `text`, (S,); None: not known."""
    other_coverage: Coverage | None = None
    """Attention that each source word receives from the words of `other`, (S,)."""


@dataclass(frozen=True)
class ErrorKind:
    """Kind of error."""

    name: str
    definition: str
    find: Callable[[JudgedTranslation], str]
    """Function that describes the error; it returns an empty string if there is none."""
    by_attention: bool = False
    """True if the kind needs coverage."""


def too_short(pair: JudgedTranslation) -> str:
    length, other_length = count_characters(pair.text), count_characters(pair.other)
    is_error = length < TOO_SHORT * other_length and other_length - length >= MIN_CHARACTERS
    return f"{length} characters, not {other_length}" if is_error else ""


def too_long(pair: JudgedTranslation) -> str:
    length, other_length = count_characters(pair.text), count_characters(pair.other)
    is_error = length > TOO_LONG * other_length and length - other_length >= MIN_CHARACTERS
    return f"{length} characters, not {other_length}" if is_error else ""


def count_characters(text: str) -> int:
    """Return the number of characters without white space."""
    return len("".join(text.split()))


def repetition(pair: JudgedTranslation) -> str:
    repeated = set(repeated_words(split_words(pair.text))) - set(repeated_words(split_words(pair.other)))
    longest: tuple[str, ...] = max(repeated, key=lambda words: (len(words), words), default=())
    return " ".join(longest)


def repeated_words(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield sequences of words that occur twice in a row, and n-grams of `REPEATED_NGRAM` words that occur twice."""
    for length in range(1, MAX_ADJACENT + 1):
        for at in range(len(words) - 2 * length + 1):
            if words[at : at + length] == words[at + length : at + 2 * length]:
                yield tuple(words[at : at + length])
    grams = Counter(tuple(words[at : at + REPEATED_NGRAM]) for at in range(len(words) - REPEATED_NGRAM + 1))
    yield from (gram for gram, count in grams.items() if count > 1)


def copied(pair: JudgedTranslation) -> str:
    text, source, other = (split_words(line) for line in (pair.text, pair.src, pair.other))
    kept = [word for word in text if word in source and word not in other and not word.isnumeric()]
    return " ".join(kept) if len(kept) >= COPIED_WORDS and len(kept) >= COPIED_SHARE * len(text) else ""


def numbers_lost(pair: JudgedTranslation) -> str:
    src, text, other = (numbers_in(line) for line in (pair.src, pair.text, pair.other))
    return " ".join(number for number in src if number in other and number not in text)


def numbers_in(line: str) -> list[str]:
    """Return the digits of each number; 1,000 and 1.000 are the same number."""
    return [re.sub(r"\D", "", number) for number in re.findall(r"\d(?:[.,:]?\d)*", line)]


def names_lost(pair: JudgedTranslation) -> str:
    src, text, other = (re.findall(r"[^\W\d_]+", line) for line in (pair.src, pair.text, pair.other))
    names = dict.fromkeys(word for word in src[1:] if len(word) > 1 and word[0].isupper())
    return " ".join(name for name in names if name in other and name not in text)


def under_translation(pair: JudgedTranslation) -> str:
    words = list(word_coverage(pair))
    left_out = [word for word, text, other in words if text < UNCOVERED and other >= COVERED]
    return " ".join(left_out) if len(left_out) >= UNCOVERED_WORDS else ""


def over_translation(pair: JudgedTranslation) -> str:
    return " ".join(word for word, text, other in word_coverage(pair) if text >= other + EXCESS_COVERAGE)


def word_coverage(pair: JudgedTranslation) -> Iterator[tuple[str, float, float]]:
    """Yield each source word that has a letter or digit, with its coverage by both translations."""
    if pair.coverage is None or pair.other_coverage is None:
        return
    for word, text, other in zip(pair.src.split(), pair.coverage, pair.other_coverage, strict=True):
        if re.search(r"[^\W_]", word):
            yield word, float(text), float(other)


def coverage(src: str, attention: AttentionMap) -> Coverage:
    """Return the attention that each source word receives, summed over the target words, (S,).

    A target word's attention is the mean over its pieces. It sums to one over the source words and eos. Omitted source
    words receive little attention, repeated ones receive much (Tu et al. 2016, section 3.2, without fertility).
    """
    owners = [words[-1] for words in source_words(src, [Part([], attention.src[:-1])], characters=False)]
    of_pieces, count = word_numbers(attention.tgt[:-1], characters=False)
    numbers = [words[-1] for words in of_pieces]
    sums = np.zeros((count, len(src.split())))  # (T, S)
    if owners and count:
        weights = np.array(attention.weights)[:-1, :-1]
        np.add.at(sums, (np.array(numbers)[:, None], np.array(owners)[None, :]), weights)
        sums /= np.bincount(numbers, minlength=count)[:, None]
    received: Coverage = sums.sum(axis=0)
    return received


KINDS = (
    ErrorKind(
        "too short",
        f"fewer than {TOO_SHORT:g} times the characters of the reference without white space, and at least "
        f"{MIN_CHARACTERS} fewer",
        too_short,
    ),
    ErrorKind(
        "too long",
        f"more than {TOO_LONG:g} times the characters of the reference without white space, and at least "
        f"{MIN_CHARACTERS} more",
        too_long,
    ),
    ErrorKind(
        "repetition",
        f"one to {MAX_ADJACENT} words twice in a row, or {REPEATED_NGRAM} words twice anywhere, which the reference "
        "does not repeat (words are case-folded and have no punctuation)",
        repetition,
    ),
    ErrorKind(
        "copied source",
        f"at least {COPIED_WORDS} words, and a share of at least {COPIED_SHARE:g} of the translation, that are in the "
        "source and not in the reference",
        copied,
    ),
    ErrorKind(
        "number lost",
        "a number in digits that the source and the reference have and the translation does not have",
        numbers_lost,
    ),
    ErrorKind(
        "name lost",
        "a capitalised word, not the first word of the source, that the source and the reference have and the "
        "translation does not have",
        names_lost,
    ),
    ErrorKind(
        "under-translation",
        f"at least {UNCOVERED_WORDS} source words that receive the attention of fewer than {UNCOVERED:g} words of the "
        f"translation and of at least {COVERED:g} words of the reference",
        under_translation,
        by_attention=True,
    ),
    ErrorKind(
        "over-translation",
        f"a source word that receives the attention of at least {EXCESS_COVERAGE:g} more words of the translation than "
        "of the reference",
        over_translation,
        by_attention=True,
    ),
)
