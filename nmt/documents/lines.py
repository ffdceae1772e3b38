"""Lines of text with protected spans and inline tags, as segments."""

import re
from collections.abc import Collection
from dataclasses import replace

from nmt.config import Protection
from nmt.documents.inline import InlineTag, Segment
from nmt.documents.protection import protected_spans

TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]*)(?:\s[^<>]*?)?(/?)>")
"""Opening, closing or empty tag of HTML or XML."""

FOR_DOCUMENTS = (Protection.placeholders, Protection.tags, Protection.urls)
"""Kinds of text that are protected in documents unless a configuration says otherwise."""


def segment_of_line(line: str, kinds: Collection[Protection]) -> Segment:
    """Return a line as a segment, with its tags taken out if `tags` is among the kinds."""
    segment = without_tags(line) if Protection.tags in kinds else Segment(line)
    return with_protection(segment, kinds)


def with_protection(segment: Segment, kinds: Collection[Protection]) -> Segment:
    """Return a segment whose protected spans are also those of these kinds."""
    return replace(segment, fixed=segment.fixed + protected_spans(segment.text, kinds))


def without_tags(line: str) -> Segment:
    """Return a line with its tags taken out. A tag without its partner is an element without content."""
    text = ""
    tags: list[InlineTag] = []
    opened: list[tuple[str, int]] = []  # name, and number among the tags
    before = 0
    for match in TAG.finditer(line):
        text += line[before : match.start()]
        before = match.end()
        closing, name, empty = match.groups()
        names = [other for other, _ in opened]
        if closing and name in names:
            while opened:
                other, number = opened.pop()
                if other == name:
                    tags[number] = InlineTag(tags[number].start, len(text), tags[number].opening, match.group())
                    break
            continue
        tags.append(InlineTag(len(text), len(text), match.group(), ""))
        if not closing and not empty:
            opened.append((name, len(tags) - 1))
    return Segment(text + line[before:], tuple(tags))
