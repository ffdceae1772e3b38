"""Formats of documents: one module per format, with a function that returns the passages of a document."""

from collections.abc import Callable

from nmt.config import DocumentFormat
from nmt.documents.formats import html, markdown, plain, subtitles, tmx, xliff
from nmt.documents.parsed import LanguagePair, ParsedDocument

PARSERS: dict[DocumentFormat, Callable[[str, LanguagePair], ParsedDocument]] = {
    DocumentFormat.text: plain.parse,
    DocumentFormat.markdown: markdown.parse,
    DocumentFormat.html: html.parse,
    DocumentFormat.srt: subtitles.parse_srt,
    DocumentFormat.vtt: subtitles.parse_vtt,
    DocumentFormat.tmx: tmx.parse,
    DocumentFormat.xliff: xliff.parse,
}
"""Function of each format that returns the passages of a document's text."""
