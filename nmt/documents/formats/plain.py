"""Plain text: paragraphs, with lines that a narrow column divides joined for translation."""

import re

from nmt.documents.parsed import LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, PassageBuilder

MIN_COLUMN, MAX_COLUMN = 40, 120
"""Widths of a column of text: longest lines of a paragraph for which its line ends can be those of a column."""
LINES = re.compile(r"[^\r\n]+|\r\n|\r|\n")
MARKED = re.compile(r"\s*([-*+•]|\(?\w{1,3}[.)])\s")
"""Beginning of an item of a list, which is not joined to the line before it."""


def parse(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return a text with its passages.

    A line is a passage. Lines of a paragraph are one passage if each was divided because the next word did not fit:
    with it, the line would be longer than the longest line of the paragraph.
    """
    passages: list[Passage | None] = []
    paragraph: list[tuple[int, int]] = []
    after_line = False
    for match in LINES.finditer(text):
        if match[0][0] in "\r\n":
            if not after_line:
                passages += paragraph_passages(text, paragraph)
                paragraph = []
            after_line = False
        elif match[0].strip():
            paragraph.append(match.span())
            after_line = True
    passages += paragraph_passages(text, paragraph)
    return ParsedDocument(text, [passage for passage in passages if passage is not None])


def paragraph_passages(text: str, lines: list[tuple[int, int]]) -> list[Passage | None]:
    """Return the passages of a paragraph.

    Args:
        text: the document.
        lines: spans of the paragraph's lines.
    """
    column = max((len(text[start:end].rstrip()) for start, end in lines), default=0)
    passages = []
    builder = PassageBuilder(text, collapse=False)
    for number, (start, end) in enumerate(lines):
        line = text[start:end]
        core = line.strip()
        first = start + line.index(core)
        builder.add(core, first, first + len(core))
        following = text[slice(*lines[number + 1])] if number + 1 < len(lines) else ""
        fits = len(line.rstrip()) + 1 + len(following.split(maxsplit=1)[0]) <= column if following else True
        if fits or MARKED.match(following) or not MIN_COLUMN <= column <= MAX_COLUMN:
            passages.append(builder.build())
            builder = PassageBuilder(text, collapse=False)
        else:
            builder.add(" ", first + len(core), lines[number + 1][0])
    return passages
