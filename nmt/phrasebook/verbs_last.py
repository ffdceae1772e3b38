"""German subordinate clauses with their verbs at the end, and the distance of these verbs from the clause's start."""

from collections.abc import Iterator
from typing import NamedTuple

from nmt.phrasebook import english, german
from nmt.phrasebook.german import CLOSE, OPEN, VERBS
from nmt.phrasebook.grammar import Sentence
from nmt.phrasebook.sentences import SentenceSampler


class VerbsLast(NamedTuple):
    """Verb-final subordinate clause of a sentence."""

    en: str
    de: str
    """The whole German sentence; `en` is its translation."""
    verbs: str
    """Final verbs of the clause, such as "mag" or "gesehen haben"."""
    distance: int
    """Number of words of the clause before its verbs, including nested clauses but not the conjunction."""
    part: int
    """Index of the part between punctuation marks that ends with the verbs, from 0."""


def verbs_last(seed: int, depth: int) -> Iterator[VerbsLast]:
    """Yield the clause with the largest distance of each random sentence that has one; endless unless depth is 0."""
    draw = SentenceSampler(seed).sentence
    while depth > 0:
        if clauses := list(subordinate_clauses(draw(depth))):
            yield max(clauses, key=lambda clause: clause.distance)


def subordinate_clauses(sentence: Sentence) -> Iterator[VerbsLast]:
    """Yield the subordinate clauses with a finite verb, in the order of their ends."""
    en, de, text = english.sentence(sentence), german.sentence(sentence), german.marked(sentence)
    starts: list[int] = []  # number of words before each open clause
    for at, mark in enumerate(text):
        before = text[:at]
        if mark == OPEN:
            starts.append(count_words(before))
        elif mark == VERBS:
            distance = count_words(before) - starts.pop()
        elif mark == CLOSE:
            verbs = before.rpartition(VERBS)[2]
            yield VerbsLast(en, de, verbs, distance, len(parts(before)) - 1)


def count_words(text: str) -> int:
    """Return the number of words of a text."""
    return len(text.split())


def parts(text: str) -> list[str]:
    """Return the parts of a German sentence between its punctuation marks."""
    for sign in ".?":
        text = text.replace(sign, ",")
    return text.split(",")
