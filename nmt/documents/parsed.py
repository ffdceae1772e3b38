"""Document as its text, the passages to translate, and the sentences in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from nmt.data.sentence_ends import split_sentences
from nmt.documents.inline import Segment, untranslated
from nmt.documents.passages import Passage, Unit, divide_passage


class LanguagePair(NamedTuple):
    """Language codes of a translation."""

    src: str
    tgt: str


class Edit(NamedTuple):
    """Replacement of a part of a document."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class ParsedDocument:
    """Text of a document with its passages in order."""

    text: str
    passages: Sequence[Passage]
    edits: Sequence[Edit] = ()
    """Changes that do not depend on the translations."""
    translated: int = 0
    """Number of passages that have a translation already, which is kept."""


@dataclass
class DividedDocument:
    """Document with its sentences, which takes their translations."""

    document: ParsedDocument
    language: str
    """Language of the text, by whose rules it is divided into sentences."""
    units: list[list[Unit]] = field(init=False)
    """Sentences of each passage."""

    def __post_init__(self) -> None:
        split = partial(split_sentences, language=self.language)
        text = self.document.text
        self.units = [divide_passage(passage, text, split) for passage in self.document.passages]

    @property
    def segments(self) -> list[Segment]:
        """Sentences to translate, in order."""
        return [unit.segment for units in self.units for unit in units]

    @property
    def escapes(self) -> list[Callable[[str], str]]:
        """Functions that escape the text of each sentence's translation."""
        passages = zip(self.document.passages, self.units, strict=True)
        return [passage.escape for passage, units in passages for _ in units]

    @property
    def between(self) -> list[str]:
        """Parts of the document before, between and behind the sentences, for formats without markup."""
        units = [unit for of_passage in self.units for unit in of_passage]
        starts, ends = [unit.start for unit in units], [unit.end for unit in units]
        text = self.document.text
        return [text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True)]

    def join(self, translations: Sequence[str]) -> str:
        """Return the document with the translations of its sentences, markup included.

        A translation that equals its sentence is written as the document writes the sentence, with its line ends and
        escapes.
        """
        rest = iter(translations)
        edits = list(self.document.edits)
        for passage, units in zip(self.document.passages, self.units, strict=True):
            if not units and passage.place is None:
                continue
            start, end = passage.outer or (units[0].start, units[-1].end)
            written = [self.write(passage, unit, next(rest)) for unit in units]
            text = apply_edits(self.document.text, written, start, end)
            if text != self.document.text[start:end]:
                text = passage.finish(text)
            place = passage.place
            edits.append(
                Edit(start, end, text)
                if place is None
                else Edit(place.start, place.end, place.before + text + place.after)
            )
        return apply_edits(self.document.text, edits, 0, len(self.document.text))

    def write(self, passage: Passage, unit: Unit, translation: str) -> Edit:
        """Return the replacement of a sentence."""
        if translation == untranslated(unit.segment, passage.escape):
            return Edit(unit.start, unit.end, self.document.text[unit.start : unit.end])
        return Edit(unit.start, unit.end, unit.before + translation + unit.after)


def apply_edits(text: str, edits: Sequence[Edit], start: int, end: int) -> str:
    """Return a part of a text after replacements, which do not overlap."""
    parts = []
    at = start
    for edit in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:end]])
