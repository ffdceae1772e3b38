"""Sentences with inline markup, and the translation that puts the markup back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class InlineTag:
    """Span of characters of a sentence with the markup before and after it."""

    start: int
    end: int
    opening: str
    closing: str
    """Markup after the span; empty with start == end for an element without text."""


@dataclass(frozen=True)
class Segment:
    """One sentence to translate, without its inline markup."""

    text: str
    tags: tuple[InlineTag, ...] = ()
    fixed: tuple[tuple[int, int], ...] = ()
    """Spans of the text that are copied unchanged."""


def translate_segments(
    translate: Callable[[Sequence[str]], Sequence[str]],
    segments: Sequence[Segment],
    escapes: Sequence[Callable[[str], str]],
) -> list[str]:
    """Return the translations with markup. The markup of a changed sentence stands at its ends."""
    results = []
    for segment, text, escape in zip(segments, translate([each.text for each in segments]), escapes, strict=True):
        opening = "".join(tag.opening for tag in segment.tags)
        closing = "".join(tag.closing for tag in reversed(segment.tags))
        unchanged = text == segment.text
        results.append(markup_of(segment, escape) if unchanged else opening + escape(text) + closing)
    return results


def markup_of(segment: Segment, escape: Callable[[str], str]) -> str:
    """Return a sentence with its own markup, as a translation into the same words has it."""
    events: list[tuple[int, int, str]] = []
    for tag in segment.tags:
        events.append((tag.start, 1, tag.opening))
    closings = sorted(segment.tags, key=lambda tag: (tag.end, -tag.start))
    events += [(tag.end, 0, tag.closing) for tag in closings if tag.start < tag.end]
    events.sort(key=lambda event: event[:2])
    result, at = "", 0
    for place, _, markup in events:
        result += escaped(segment, at, place, escape) + markup
        at = place
    return result + escaped(segment, at, len(segment.text), escape)


def escaped(segment: Segment, start: int, end: int, escape: Callable[[str], str]) -> str:
    """Return a part of a sentence, escaped except for its fixed spans."""
    result, at = "", start
    for first, last in segment.fixed:
        if start <= first and last <= end:
            result += escape(segment.text[at:first]) + segment.text[first:last]
            at = last
    return result + escape(segment.text[at:end])
