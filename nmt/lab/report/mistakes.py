"""Kinds of errors that can be told without a person: each is a definition with its thresholds, and finds what it names.

A kind looks at one translation beside another one of the same sentence. Judged is the system's beside the reference;
with the two in each other's place it says how often the same definition accuses a person's translation, which is how
much a count means.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.data.words import words_of
from nmt.decoding import AttentionMap
from nmt.decoding.alignment import source_words, word_numbers
from nmt.decoding.parts import Part

TOO_SHORT, TOO_LONG, LEAST_CHARACTERS = 0.7, 1.4, 10
IN_A_ROW, AGAIN = 4, 3
COPIED_WORDS, COPIED_SHARE = 2, 0.25
COVERED, UNCOVERED, UNCOVERED_WORDS = 0.8, 0.2, 2
TOO_MUCH = 2.0

Coverage = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """A translation to judge, and the one it is judged by."""

    src: str
    text: str
    other: str
    coverage: Coverage | None = None
    """How many words of `text` each word of `src` has the attention of, (S,); None: not known."""
    other_coverage: Coverage | None = None
    """The same of `other`."""


@dataclass(frozen=True)
class Kind:
    """A kind of error."""

    name: str
    definition: str
    find: Callable[[Reading], str]
    """What is wrong, in words; empty if nothing is."""
    by_attention: bool = False


def too_short(reading: Reading) -> str:
    own, other = visible(reading.text), visible(reading.other)
    return f"{own} characters, not {other}" if own < TOO_SHORT * other and other - own >= LEAST_CHARACTERS else ""


def too_long(reading: Reading) -> str:
    own, other = visible(reading.text), visible(reading.other)
    return f"{own} characters, not {other}" if own > TOO_LONG * other and own - other >= LEAST_CHARACTERS else ""


def visible(text: str) -> int:
    return len("".join(text.split()))


def repetition(reading: Reading) -> str:
    found = set(repeated(words_of(reading.text))) - set(repeated(words_of(reading.other)))
    longest: tuple[str, ...] = max(found, key=lambda words: (len(words), words), default=())
    return " ".join(longest)


def repeated(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Runs of words that stand twice, one behind the other or, if they are longer, anywhere."""
    for length in range(1, IN_A_ROW + 1):
        for at in range(len(words) - 2 * length + 1):
            if words[at : at + length] == words[at + length : at + 2 * length]:
                yield tuple(words[at : at + length])
    grams = Counter(tuple(words[at : at + AGAIN]) for at in range(len(words) - AGAIN + 1))
    yield from (gram for gram, count in grams.items() if count > 1)


def copied(reading: Reading) -> str:
    own, source, other = (words_of(line) for line in (reading.text, reading.src, reading.other))
    found = [word for word in own if word in source and word not in other and not word.isnumeric()]
    return " ".join(found) if len(found) >= COPIED_WORDS and len(found) >= COPIED_SHARE * len(own) else ""


def numbers_lost(reading: Reading) -> str:
    src, own, other = (numbers_in(line) for line in (reading.src, reading.text, reading.other))
    return " ".join(number for number in src if number in other and number not in own)


def numbers_in(line: str) -> list[str]:
    """Digits of each number; 1,000 and 1.000 are the same one."""
    return [re.sub(r"\D", "", number) for number in re.findall(r"\d(?:[.,:]?\d)*", line)]


def names_lost(reading: Reading) -> str:
    src, own, other = (re.findall(r"[^\W\d_]+", line) for line in (reading.src, reading.text, reading.other))
    names = dict.fromkeys(word for word in src[1:] if len(word) > 1 and word[0].isupper())
    return " ".join(name for name in names if name in other and name not in own)


def under_translation(reading: Reading) -> str:
    words = list(covered(reading))
    left_out = [word for word, own, other in words if own < UNCOVERED and other >= COVERED]
    return " ".join(left_out) if len(left_out) >= UNCOVERED_WORDS else ""


def over_translation(reading: Reading) -> str:
    return " ".join(word for word, own, other in covered(reading) if own >= other + TOO_MUCH)


def covered(reading: Reading) -> Iterator[tuple[str, float, float]]:
    """Each source word with a letter or digit, and the coverage of it by both translations."""
    if reading.coverage is None or reading.other_coverage is None:
        return
    for word, own, other in zip(reading.src.split(), reading.coverage, reading.other_coverage, strict=True):
        if re.search(r"[^\W_]", word):
            yield word, float(own), float(other)


def coverage(src: str, attention: AttentionMap) -> Coverage:
    """How many target words each word of the source has the attention of, (S,).

    A target word's attention is the mean over its pieces and sums to one over the source and its end, so that each word
    is handed out once. Tu et al. 2016, section 3.2, without the fertility: what was left out gets little, what was
    said twice gets much.

    Args:
        src: the line as it came; its words are those between white space.
        attention: of this line.
    """
    owners = [words[-1] for words in source_words(src, [Part([], attention.src[:-1])], characters=False)]
    of_pieces, count = word_numbers(attention.tgt[:-1], characters=False)
    numbers = [words[-1] for words in of_pieces]
    sums = np.zeros((count, len(src.split())))  # (T, S)
    if owners and count:
        weights = np.array(attention.weights)[:-1, :-1]
        np.add.at(sums, (np.array(numbers)[:, None], np.array(owners)[None, :]), weights)
        sums /= np.bincount(numbers, minlength=count)[:, None]
    found: Coverage = sums.sum(axis=0)
    return found


KINDS = (
    Kind(
        "too short",
        f"less than {TOO_SHORT:g} times the characters of the reference (white space aside), and at least "
        f"{LEAST_CHARACTERS} fewer",
        too_short,
    ),
    Kind(
        "too long",
        f"more than {TOO_LONG:g} times the characters of the reference, and at least {LEAST_CHARACTERS} more",
        too_long,
    ),
    Kind(
        "repetition",
        f"one to {IN_A_ROW} words twice in a row, or {AGAIN} words twice anywhere, which the reference does not repeat "
        "(words between white space, without punctuation, whatever their case)",
        repetition,
    ),
    Kind(
        "copied source",
        f"at least {COPIED_WORDS} words, and a share of {COPIED_SHARE:g} of the translation, that stand in the source "
        "and not in the reference",
        copied,
    ),
    Kind(
        "number lost", "a number in digits that source and reference have, and the translation does not", numbers_lost
    ),
    Kind(
        "name lost",
        "a word with a capital letter, not the first of the source, that source and reference spell alike, and that "
        "the translation does not have",
        names_lost,
    ),
    Kind(
        "under-translation",
        f"at least {UNCOVERED_WORDS} words of the source that have the attention of less than {UNCOVERED:g} words of "
        f"the translation, and of {COVERED:g} words or more of the reference",
        under_translation,
        by_attention=True,
    ),
    Kind(
        "over-translation",
        f"a word of the source that has the attention of at least {TOO_MUCH:g} more words of the translation than of "
        "the reference",
        over_translation,
        by_attention=True,
    ),
)
