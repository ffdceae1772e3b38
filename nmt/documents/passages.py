"""Passages of a document: running text with inline markup, each with its place in the document."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.documents.inline import InlineTag, Segment

Span = tuple[int, int]
"""Start and end of characters of a document or of a passage."""


def unescaped(text: str) -> str:
    """Return a text as it is, for formats without escapes."""
    return text


class PlacedTag(NamedTuple):
    """Inline element of a passage."""

    start: int
    """First character of the passage's text that it spans."""
    end: int
    opening: Span
    """Place of its opening markup in the document."""
    closing: Span
    """Place of its closing markup; an empty span for an element without text."""
    replaced_closing: str | None = None
    """Closing markup for a changed text, if it differs from the document's."""
    spaced: bool = False
    """True for an element without text that has white space before and behind it."""


class Place(NamedTuple):
    """Place of the document where the translation of a passage is written, instead of the passage itself."""

    start: int
    end: int
    before: str
    """Markup before the translation."""
    after: str
    """Markup after the translation."""


@dataclass(frozen=True)
class Passage:
    """Running text between two block boundaries of a document."""

    text: str
    """Text without markup, with white space collapsed."""
    starts: Sequence[int]
    """Start in the document of each character of the text."""
    ends: Sequence[int]
    """End in the document of each character of the text."""
    tags: tuple[PlacedTag, ...] = ()
    """Inline elements, an outer one before those in it."""
    fixed: tuple[Span, ...] = ()
    """Spans of the text that are copied unchanged."""
    escape: Callable[[str], str] = unescaped
    """Function that escapes the characters of a text which the format reads as markup."""
    place: Place | None = None
    finish: Callable[[str], str] = unescaped
    """Function that lays out the translation of the passage, markup included."""
    outer: Span | None = None
    """Span in the document that the translation replaces; None: that of its sentences."""


@dataclass(frozen=True)
class Unit:
    """One sentence of a passage."""

    start: int
    """Start in the document of what the translation replaces."""
    end: int
    segment: Segment
    before: str = ""
    """White space that the markup at the beginning of the sentence encloses."""
    after: str = ""
    """White space that the markup at its end encloses."""


@dataclass
class PassageBuilder:
    """Collector of the text and elements of a passage, from its beginning to its end."""

    document: str
    escape: Callable[[str], str] = unescaped
    collapse: bool = True
    """True if white space is collapsed to one space."""
    characters: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    tags: list[PlacedTag] = field(default_factory=list)
    opened: list[tuple[str, int, Span]] = field(default_factory=list)
    """Names, positions in the text and places of the elements that are open."""
    fixed: list[Span] = field(default_factory=list)

    def add(self, text: str, start: int, end: int) -> None:
        """Add text that `document[start:end]` writes."""
        exact = len(text) == end - start
        for offset, character in enumerate(text):
            first, last = (start + offset, start + offset + 1) if exact else (start, end)
            if self.collapse and character.isspace() and character != "\u00a0":
                if not self.characters or self.characters[-1] == " ":
                    self.mark_spaced(first)
                    continue
                character = " "
            self.characters.append(character)
            self.starts.append(first)
            self.ends.append(last)

    def mark_spaced(self, start: int) -> None:
        """Note white space that begins at a character of the document behind an element without text."""
        if self.tags and self.tags[-1].closing == (start, start):
            self.tags[-1] = self.tags[-1]._replace(spaced=True)

    def add_fixed(self, start: int, end: int) -> None:
        """Add a part of the document that is copied unchanged."""
        first = len(self.characters)
        self.characters += self.document[start:end]
        self.starts += range(start, end)
        self.ends += range(start + 1, end + 1)
        self.fix(first)

    def fix(self, first: int) -> None:
        """Keep the text from a character to the last one as it is."""
        self.fixed.append((first, len(self.characters)))

    def add_standalone(self, start: int, end: int) -> None:
        """Add an element without text."""
        place = len(self.characters)
        self.tags.append(PlacedTag(place, place, (start, end), (end, end)))

    def open(self, name: str, start: int, end: int) -> None:
        """Open an element."""
        self.opened.append((name, len(self.characters), (start, end)))

    def close(self, name: str, start: int, end: int, replaced: str | None = None) -> None:
        """Close the innermost open element of a name. Elements that it leaves open become markup without text."""
        if name not in (entry[0] for entry in self.opened):
            self.add_standalone(start, end)
            return
        while self.opened:
            found, first, opening = self.opened.pop()
            if found == name:
                break
            self.tags.append(PlacedTag(first, first, opening, (opening[1], opening[1])))
        last = len(self.characters)
        if first < last:
            self.tags.append(PlacedTag(first, last, opening, (start, end), replaced))
            return
        self.tags = [tag for tag in self.tags if tag.opening[0] < opening[0]]
        self.tags.append(PlacedTag(first, first, (opening[0], end), (end, end)))

    def build(
        self,
        place: Place | None = None,
        outer: Span | None = None,
        finish: Callable[[str], str] | None = None,
    ) -> Passage | None:
        """Return the passage, or None if it has no text and no place of its own."""
        while self.opened:
            _, first, opening = self.opened.pop()
            self.tags.append(PlacedTag(first, first, opening, (opening[1], opening[1])))
        if not any(not character.isspace() for character in self.characters) and place is None:
            return None
        text = "".join(self.characters)
        spans = [trimmed(tag.start, tag.end, text) for tag in self.tags]
        tags = [tag._replace(start=start, end=end) for tag, (start, end) in zip(self.tags, spans, strict=True)]
        fixed = [span for span in (trimmed(*span, text) for span in self.fixed) if span[0] < span[1]]
        tags.sort(key=lambda tag: (tag.opening[0], -tag.closing[1]))
        return Passage(
            text, self.starts, self.ends, tuple(tags), tuple(fixed), self.escape, place, finish or unescaped, outer
        )


def trimmed(start: int, end: int, text: str) -> Span:
    """Return a span of a text without the white space at its ends."""
    inner = text[start:end]
    first = start + len(inner) - len(inner.lstrip())
    return first, max(first, start + len(inner.rstrip()))


def divide_passage(passage: Passage, document: str, split: Callable[[str], list[str]]) -> list[Unit]:
    """Divide a passage into sentences.

    Sentences stay together if a fixed span or an element begins within one and ends within another. An element around
    whole sentences stays where it is in the document, and so does the white space between sentences. Sentences
    without letters are left out.

    Args:
        passage: a passage.
        document: text of the document.
        split: function that divides a text into sentences; joined, they are the text.
    """
    spans = merge_spans(sentence_spans(passage.text, split), passage)
    letters = list(passage.text)
    for start, end in passage.fixed:
        letters[start:end] = " " * (end - start)
    translated = [span for span in spans if any(map(str.isalpha, letters[slice(*span)]))]
    starts = [tag.start for tag in passage.tags]
    return [make_unit(passage, document, first, last, starts) for first, last in translated]


def sentence_spans(text: str, split: Callable[[str], list[str]]) -> list[Span]:
    """Return the spans of the sentences of a text, without the white space around them."""
    spans, at = [], 0
    for sentence in split(text) if text.strip() else []:
        if core := sentence.strip():
            start = at + sentence.index(core)
            spans.append((start, start + len(core)))
        at += len(sentence)
    return spans


def merge_spans(spans: list[Span], passage: Passage) -> list[Span]:
    """Join the sentences that a fixed span or an element divides."""
    joined: set[int] = set()
    """Numbers of the sentences that continue the sentence before them."""
    elements = [(tag.start, tag.end) for tag in passage.tags if tag.start < tag.end]
    starts, ends = [first for first, _ in spans], [last for _, last in spans]
    for kept, (start, end) in [*((True, span) for span in passage.fixed), *((False, span) for span in elements)]:
        touched = range(bisect_right(ends, start), bisect_left(starts, end))
        if len(touched) < 2:
            continue
        whole = start <= spans[touched[0]][0] and spans[touched[-1]][1] <= end
        if kept or not whole:
            joined.update(touched[1:])
    result: list[Span] = []
    for number, (first, last) in enumerate(spans):
        if number in joined:
            result[-1] = (result[-1][0], last)
        else:
            result.append((first, last))
    return result


def make_unit(passage: Passage, document: str, first: int, last: int, starts: Sequence[int]) -> Unit:
    """Return the sentence between two characters of a passage, with the elements that begin or end within it.

    `starts` has the first character of each element.
    """
    start, end = passage.starts[first], passage.ends[last - 1]
    near = passage.tags[bisect_left(starts, first - 1) : bisect_right(starts, last + 1)]
    for tag in near:
        if tag.start < tag.end and first <= tag.start and tag.end <= last and (tag.start, tag.end) != (first, last):
            start, end = min(start, tag.opening[0]), max(end, tag.closing[1])
    tags = tuple(
        InlineTag(
            min(max(tag.start, first), last) - first,
            min(max(tag.end, first), last) - first,
            document[slice(*tag.opening)] + " " * tag.spaced,
            document[slice(*tag.closing)] if tag.replaced_closing is None else tag.replaced_closing,
        )
        for tag in near
        if start <= tag.opening[0] and tag.closing[1] <= end
    )
    spans = passage.fixed[bisect_left(passage.fixed, (first, 0)) : bisect_left(passage.fixed, (last, 0))]
    fixed = tuple((a - first, b - first) for a, b in spans if b <= last)
    before = " " if first > 0 and start <= passage.starts[first - 1] < passage.ends[first - 1] else ""
    after = " " if last < len(passage.text) and passage.starts[last] < passage.ends[last] <= end else ""
    return Unit(start, end, Segment(passage.text[first:last], tags, fixed), before, after)
