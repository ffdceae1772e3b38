"""Translation of sentences with inline markup and with text that must be copied unchanged.

The model translates the sentence without its markup, and the markup is placed in the translation by word alignment:
an element covers the interval of target words that fits the words linked to its content best. Protected text is left in
the sentence if the model's vocabulary can write it, and the translation is used if it contains the text as often as the
source. Otherwise the sentence is translated without it, and the text is inserted by alignment with its neighbours. A
run whose tokenizer has placeholder symbols translates these in place of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from nmt.console import counted
from nmt.decoding.alignment import Link
from nmt.documents.placing import InlineElement, WordAlignment, build_tree, place_all, render, verbatim_content
from nmt.documents.protection import (
    Span,
    Writes,
    all_kept,
    joined,
    occurrences,
    united,
    widened,
    with_replacements,
    without_spans,
)

MARK = 0xF0000
"""First of the private-use characters that stand for placeholder symbols while markup is placed."""


@dataclass(frozen=True)
class InlineTag:
    """Inline markup on a span of a sentence."""

    start: int
    """Index of the first character in the text without markup."""
    end: int
    """Index behind the last character. It equals `start` for an element without content."""
    opening: str
    """Markup before the span, such as <b>."""
    closing: str
    """Markup behind the span, such as </b>; empty for an element such as <br/>."""


@dataclass(frozen=True)
class Segment:
    """Sentence to translate."""

    text: str
    """Text without inline markup."""
    tags: tuple[InlineTag, ...] = ()
    """Inline markup in the order of the opening tags; elements are nested or apart."""
    fixed: tuple[tuple[int, int], ...] = ()
    """Spans of characters that are copied unchanged: inline code, addresses, placeholders."""


@dataclass(frozen=True)
class PlainRequest:
    """Plain sentence to translate."""

    text: str
    """Sentence without markup."""
    required: tuple[str, ...] = ()
    """Symbols that the translation must contain."""


@dataclass(frozen=True)
class PlainTranslation:
    """Translation of a plain sentence."""

    text: str
    """Text of the translation."""
    links: tuple[Link, ...] | None
    """Links of source and target words, counted as by `nmt.decoding.align_words`; None: the model has no attention."""
    notes: tuple[Any, ...] = ()
    """Facts about the translation for the caller, such as its terms."""


Translate = Callable[[Sequence[PlainRequest]], Sequence[PlainTranslation]]
"""Function that translates plain sentences and aligns their words."""
Steps = Generator[list[PlainRequest], Sequence[PlainTranslation], list[str]]
"""Translation of segments that yields plain sentences, receives their translations, and returns the results."""


@dataclass
class InlineCounts:
    """Numbers of elements and protected spans, by how they were kept. All of them are in the translations."""

    tags: int = 0
    """Inline elements."""
    tags_unaligned: int = 0
    """Elements with content that no target word is aligned to; they are placed beside their neighbours."""
    fixed: int = 0
    """Protected spans."""
    fixed_copied: int = 0
    """Protected spans that the model copied, or that have nothing to translate beside them."""
    fixed_symbols: int = 0
    """Protected spans that the model translated as placeholder symbols."""
    fixed_inserted: int = 0
    """Protected spans that the model did not keep; they are inserted by alignment with their neighbours."""
    without_attention: int = 0
    """Sentences with elements or inserted spans that were placed by relative position, without word alignment."""

    def add(self, other: InlineCounts) -> None:
        """Add other counts."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    def summary(self) -> str:
        """Return the counts as one line."""
        texts = []
        if self.tags:
            texts.append(
                f"{counted(self.tags, 'inline element')}, {self.tags_unaligned} of them without an aligned word"
            )
        if self.fixed:
            texts.append(
                f"{counted(self.fixed, 'protected span')}: {self.fixed_copied} copied, "
                f"{self.fixed_symbols} as symbols, {self.fixed_inserted} inserted by alignment"
            )
        if self.without_attention:
            placed = counted(self.without_attention, "sentence")
            texts.append(f"{placed} with markup placed by position, because the model has no attention")
        return "; ".join(texts)


@dataclass(frozen=True)
class PlainForm:
    """Form in which the plain sentence of a segment is translated."""

    text: str
    """Plain sentence."""
    offsets: list[int]
    """Index in it of each index of the segment's text, of which the last is its length."""
    symbols: tuple[str, ...] = ()
    """Placeholder symbols in place of the protected spans."""
    kept: bool = False
    """True if the protected spans are in the plain sentence, as they are or as symbols."""


@dataclass
class PendingSegment:
    """State of a segment during its translation."""

    original: Segment
    """Segment as it was given."""
    segment: Segment
    """Segment without white space at its ends."""
    cuts: list[Span]
    """Protected spans, extended to whole words."""
    forms: list[PlainForm]
    """Forms of the plain sentence that are still to try, best first."""
    lead: str = ""
    """White space before the sentence."""
    trail: str = ""
    """White space behind it."""
    result: str | None = None
    """Translation with markup."""
    notes: tuple[Any, ...] = ()
    """Notes of the plain translation that was used."""
    counts: InlineCounts = field(default_factory=InlineCounts)


def translate_segments(
    translate: Translate,
    segments: Sequence[Segment],
    *,
    escape: Callable[[str], str] = str,
    symbols: Sequence[str] = (),
    writes: Writes = lambda text: True,
    counts: InlineCounts | None = None,
    notes: list[tuple[Any, ...]] | None = None,
) -> list[str]:
    """Return the translation of each segment with its markup.

    Every tag is in the result once, properly nested, and every protected span unchanged.

    Args:
        translate: function that translates plain sentences.
        segments: the segments.
        escape: function applied to text outside of markup, such as `html.escape`.
        symbols: placeholder symbols of the tokenizer that the model was trained with.
        writes: function that returns whether the model can read and write a protected text.
        counts: counts to which those of these segments are added.
        notes: list to which the notes on each segment's plain translation are added.

    Raises:
        ValueError: elements of a segment overlap, or lie outside of its text, or have content but no closing tag.
    """
    steps = translation_steps(segments, escape=escape, symbols=symbols, writes=writes, counts=counts, notes=notes)
    try:
        requests = next(steps)
        while True:
            requests = steps.send(translate(requests))
    except StopIteration as stop:
        results: list[str] = stop.value
        return results


def translation_steps(
    segments: Sequence[Segment],
    *,
    escape: Callable[[str], str] = str,
    symbols: Sequence[str] = (),
    writes: Writes = lambda text: True,
    counts: InlineCounts | None = None,
    notes: list[tuple[Any, ...]] | None = None,
) -> Steps:
    """Translate segments as `translate_segments`, with a caller that translates the plain sentences.

    A server answers each list of requests when its queue has translated them.
    """
    works = [begin(segment, symbols, writes) for segment in segments]
    for work in works:
        if not work.forms:
            work.result = untranslated(work.original, escape)
            work.counts.fixed_copied += len(work.segment.fixed)
    while pending := [work for work in works if work.result is None]:
        requests = [PlainRequest(work.forms[0].text, work.forms[0].symbols) for work in pending]
        translations = yield requests
        for work, translation in zip(pending, translations, strict=True):
            form = work.forms.pop(0)
            if not work.forms or keeps(work, form, translation.text):
                work.notes = translation.notes
                work.result = restored(work, form, translation, escape)
    if counts is not None:
        for work in works:
            counts.add(work.counts)
    if notes is not None:
        notes += [work.notes for work in works]
    return [work.result or "" for work in works]


def begin(segment: Segment, symbols: Sequence[str], writes: Writes) -> PendingSegment:
    """Return the work on a segment, with the forms of its plain sentence."""
    check(segment)
    text = segment.text.strip()
    shift = segment.text.index(text)
    lead, trail = segment.text[:shift], segment.text[shift + len(text) :]

    def inside(at: int) -> int:
        """Return an index of the segment's text as an index of the text without white space at its ends."""
        return min(max(at - shift, 0), len(text))

    fixed = tuple(united([(inside(start), inside(end)) for start, end in segment.fixed]))

    def outside(at: int) -> int:
        """Return an index, or the end of the protected span that it is in."""
        return next((end for start, end in fixed if start < at < end), at)

    tags = tuple(
        InlineTag(outside(inside(tag.start)), outside(inside(tag.end)), tag.opening, tag.closing)
        for tag in segment.tags
    )
    stripped = Segment(text, tags, fixed)
    boundaries = {at for tag in tags for at in (tag.start, tag.end)}
    cuts = joined(text, [widened(text, span, boundaries) for span in fixed], boundaries)
    counts = InlineCounts(tags=len(tags), fixed=len(fixed))
    pending = list(forms(text, fixed, cuts, symbols, writes))
    work = PendingSegment(segment, stripped, cuts, pending, lead, trail, counts=counts)
    build_tree(elements(work, work.forms[-1] if work.forms else PlainForm(text, list(range(len(text) + 1)))))
    return work


def check(segment: Segment) -> None:
    """Check that the spans of a segment are in its text, and that elements with content have two tags.

    Raises:
        ValueError: a span or an element is not so.
    """
    for tag in segment.tags:
        if tag.start < tag.end and not tag.closing:
            raise ValueError(f"the element {tag.opening} has content but no closing tag")
    for start, end in [*((tag.start, tag.end) for tag in segment.tags), *segment.fixed]:
        if not 0 <= start <= end <= len(segment.text):
            raise ValueError(f"the span {start} to {end} is outside of a text of {len(segment.text)} characters")


def forms(
    text: str, fixed: Sequence[Span], cuts: Sequence[Span], symbols: Sequence[str], writes: Writes
) -> Iterable[PlainForm]:
    """Yield the forms in which the plain sentence of a segment can be translated, best first.

    A sentence without letters and digits outside of its protected spans has none.
    """
    bare, offsets = without_spans(text, cuts)
    if not any(map(str.isalnum, bare)) and (cuts or not bare):
        return
    if cuts:
        free = [symbol for symbol in symbols if symbol not in text]
        if len(free) >= len(cuts):
            used = tuple(free[: len(cuts)])
            yield PlainForm(*with_replacements(text, cuts, used), symbols=used, kept=True)
        elif all(writes(text[start:end]) for start, end in fixed):
            yield PlainForm(text, list(range(len(text) + 1)), kept=True)
    yield PlainForm(bare, offsets)


def keeps(work: PendingSegment, form: PlainForm, translation: str) -> bool:
    """Check if a translation has the protected spans of its sentence."""
    if translation == form.text:
        return True
    if form.symbols:
        return all(translation.count(symbol) == 1 for symbol in form.symbols)
    return all_kept(work.segment.text, translation, work.segment.fixed)


def elements(work: PendingSegment, form: PlainForm) -> list[InlineElement]:
    """Return the inline elements of a segment, and its protected spans if the plain sentence is without them."""
    nodes = [InlineElement(tag.start, tag.end, tag.opening, tag.closing) for tag in work.segment.tags]
    if not form.kept:
        nodes += [InlineElement(start, end) for start, end in work.cuts]
    for node in nodes:
        start, end = form.offsets[node.start], form.offsets[node.end]
        node.plain = (start, end) if form.text[start:end].strip() else (start, start)
    return nodes


def restored(work: PendingSegment, form: PlainForm, translation: PlainTranslation, escape: Callable[[str], str]) -> str:
    """Return a translation with the markup and the protected spans of its segment, and count how they were kept."""
    source, counts = work.segment.text, work.counts
    if form.symbols:
        counts.fixed_symbols += len(work.segment.fixed)
    elif form.kept:
        counts.fixed_copied += len(work.segment.fixed)
    else:
        counts.fixed_inserted += len(work.segment.fixed)
    target = translation.text
    if target == form.text:
        return untranslated(work.original, escape)
    originals: dict[str, str] = {}
    for number, (symbol, span) in enumerate(zip(form.symbols, work.cuts, strict=False)):
        originals[chr(MARK + number)] = source[slice(*span)]
        target = target.replace(symbol, chr(MARK + number))
    nodes = build_tree(elements(work, form))
    if not nodes and not originals:
        return work.lead + escape(target) + work.trail
    counts.without_attention += bool(nodes) and translation.links is None
    alignment = WordAlignment.of(form.text, target, translation.links, anchors(work, form, target))
    counts.tags_unaligned += place_all(alignment, nodes, source)

    def show(text: str) -> str:
        """Return a text with the protected spans in place of their marks."""
        return escape("".join(originals.get(character, character) for character in text))

    return work.lead + render(alignment, nodes, source, show) + work.trail


def anchors(work: PendingSegment, form: PlainForm, target: str) -> list[tuple[Span, Span]]:
    """Return the protected spans of a plain sentence that occur once in it, with their places in the target."""
    if not form.kept:
        return []
    found = []
    for number, (start, end) in enumerate(work.cuts if form.symbols else work.segment.fixed):
        span = (form.offsets[start], form.offsets[end])
        if form.symbols:
            at = target.index(chr(MARK + number))
            found.append(((span[0], span[0] + len(form.symbols[number])), (at, at + 1)))
            continue
        piece = work.segment.text[start:end]
        places = occurrences(target, piece)
        if len(places) == 1 == len(occurrences(form.text, piece)):
            found.append((span, places[0]))
    return found


def untranslated(segment: Segment, escape: Callable[[str], str]) -> str:
    """Return a segment as it is."""
    nodes = build_tree([InlineElement(tag.start, tag.end, tag.opening, tag.closing) for tag in segment.tags])
    return verbatim_content(nodes, (0, len(segment.text)), segment.text, escape)
