"""Formats of documents."""

from enum import StrEnum
from pathlib import PurePath


class DocumentFormat(StrEnum):
    """Format of a document, whose markup is kept when it is translated."""

    text = "text"
    markdown = "markdown"
    html = "html"
    srt = "srt"
    vtt = "vtt"
    tmx = "tmx"
    xliff = "xliff"


class InputFormat(StrEnum):
    """Format of the input of `translate`."""

    auto = "auto"
    lines = "lines"
    text = "text"
    markdown = "markdown"
    html = "html"
    srt = "srt"
    vtt = "vtt"
    tmx = "tmx"
    xliff = "xliff"


SUFFIXES = {
    ".md": DocumentFormat.markdown,
    ".markdown": DocumentFormat.markdown,
    ".html": DocumentFormat.html,
    ".htm": DocumentFormat.html,
    ".xhtml": DocumentFormat.html,
    ".srt": DocumentFormat.srt,
    ".vtt": DocumentFormat.vtt,
    ".tmx": DocumentFormat.tmx,
    ".xlf": DocumentFormat.xliff,
    ".xliff": DocumentFormat.xliff,
}
"""Suffixes of names of documents. Text has none, because a text file can have one sentence per line."""


def document_format(name: str, chosen: InputFormat = InputFormat.auto) -> DocumentFormat | None:
    """Return the format of a document by its name, or the chosen one; None for text with one sentence per line."""
    if chosen == InputFormat.auto:
        return SUFFIXES.get(PurePath(name).suffix.lower())
    return None if chosen == InputFormat.lines else DocumentFormat(chosen)
