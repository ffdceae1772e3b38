"""Where the German verbs wait for the end of their clause, and how far that is."""

from collections.abc import Iterator
from typing import NamedTuple

from nmt.phrasebook import english, german
from nmt.phrasebook.german import CLOSE, OPEN, VERBS
from nmt.phrasebook.grammar import Sentence
from nmt.phrasebook.sentences import Sentences


class VerbsLast(NamedTuple):
    """A subordinate clause of a sentence, which ends with its verbs."""

    en: str
    de: str
    """The whole sentence."""
    verbs: str
    """What the clause ends with: "mag", "gesehen haben"."""
    distance: int
    """Words of the clause before its verbs, those of clauses inside it too; a conjunction is not counted."""
    part: int
    """Which of the parts between punctuation marks the verbs end, counted from 0."""


def verbs_last(seed: int, depth: int) -> Iterator[VerbsLast]:
    """Of each random sentence the clause whose verbs wait the longest, if it has any: endless, but none at depth 0."""
    draw = Sentences(seed).sentence
    while depth > 0:
        if clauses := list(subordinate_clauses(draw(depth))):
            yield max(clauses, key=lambda clause: clause.distance)


def subordinate_clauses(sentence: Sentence) -> Iterator[VerbsLast]:
    """Those with a finite verb, in the order of their ends."""
    en, de, text = english.sentence(sentence), german.sentence(sentence), german.marked(sentence)
    opened: list[int] = []
    """How many words stand before each clause that has not ended."""
    for at, mark in enumerate(text):
        before = text[:at]
        if mark == OPEN:
            opened.append(words(before))
        elif mark == VERBS:
            distance = words(before) - opened.pop()
        elif mark == CLOSE:
            verbs = before.rpartition(VERBS)[2]
            yield VerbsLast(en, de, verbs, distance, len(parts(before)) - 1)


def words(text: str) -> int:
    return len(text.split())


def parts(text: str) -> list[str]:
    """A German sentence between its punctuation marks."""
    for sign in ".?":
        text = text.replace(sign, ",")
    return text.split(",")
