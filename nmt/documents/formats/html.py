"""HTML: the text between two block elements is a passage; inline elements are placed by alignment."""

import html
from functools import partial
from html.parser import HTMLParser

from nmt.documents.formats.html_elements import VOID, OpenElements
from nmt.documents.parsed import LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, PassageBuilder

KEPT = frozenset({"script", "style", "pre", "textarea", "svg", "math", "template", "noscript", "object", "iframe"})
"""Block elements whose text is not translated."""
KEPT_INLINE = frozenset({"code", "kbd", "samp", "var", "tt"})
"""Inline elements whose text is copied into the translation."""
INLINE = KEPT_INLINE | {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "cite", "data", "del", "dfn", "em", "font", "i", "img"),
    *("ins", "label", "mark", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "time", "u", "wbr"),
}
escape = partial(html.escape, quote=False)


def parse(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return an HTML document with its passages."""
    return ParsedDocument(text, html_passages(text, 0, len(text)))


def html_passages(document: str, start: int, end: int) -> list[Passage]:
    """Return the passages of the HTML between two characters of a document."""
    finder = PassageFinder(document, start, end)
    finder.feed(document[start:end])
    finder.close()
    return finder.passages


class PassageFinder(HTMLParser):
    """Parser that collects the passages of HTML with their places.

    An event ends where the next one begins, so that each event is processed when the next one is known.
    """

    def __init__(self, document: str, start: int, end: int) -> None:
        """
        Args:
            document: text of the document.
            start: first character of the HTML.
            end: end of the HTML.
        """
        super().__init__(convert_charrefs=False)
        self.document = document
        self.end = end
        self.lines = [start]
        """Start in the document of each line."""
        position = start
        while (position := document.find("\n", position, end)) >= 0:
            position += 1
            self.lines.append(position)
        self.passages: list[Passage] = []
        self.builder = PassageBuilder(document, escape)
        self.waiting: tuple[str, str, bool, int] | None = None
        """Kind, name, whether its text is kept, and start of the last event."""
        self.elements = OpenElements()
        self.fixed_start = 0
        """First character of the text that is copied, within the passage."""

    def event(self, kind: str, name: str = "", kept: bool = False) -> None:
        """Process the last event and store this one."""
        line, offset = self.getpos()
        self.process(self.lines[line - 1] + offset)
        self.waiting = (kind, name, kept, self.lines[line - 1] + offset)

    def close(self) -> None:
        """Process what is left of the HTML."""
        super().close()
        self.process(self.end)
        self.waiting = None
        if self.elements.kept in INLINE:
            self.builder.fix(self.fixed_start)
        self.end_passage()

    def process(self, end: int) -> None:
        """Process the last event, which ends at a character of the document."""
        if self.waiting is None:
            return
        kind, name, kept, start = self.waiting
        inside = self.update_elements(kind, name)
        if kind == "open":
            self.elements.open(name, kept)
        if inside is not None and inside not in INLINE:
            return
        if kind in ("data", "reference"):
            written = self.document[start:end]
            self.builder.add(html.unescape(written) if kind == "reference" else written, start, end)
        elif inside is None and self.ends_passage(kind, name, end):
            self.end_passage()
        else:
            self.add_inline(kind, name, start, end)
            if kind == "open" and kept and inside is None:
                self.fixed_start = len(self.builder.characters)

    def ends_passage(self, kind: str, name: str, end: int) -> bool:
        """Check if a tag or another event outside of kept text is a block boundary."""
        if name == "br":
            return not self.runs_on(end)
        return name not in INLINE and kind != "other"

    def update_elements(self, kind: str, name: str) -> str | None:
        """Close the elements that a tag closes. Return the outermost open element whose text is kept, if any."""
        before = self.elements.kept
        if kind in ("open", "void"):
            self.elements.close_before(name)
        elif kind == "close":
            self.elements.close(name)
        inside = self.elements.kept
        if before in INLINE and inside != before:
            self.builder.fix(self.fixed_start)
            self.fixed_start = len(self.builder.characters)
        return inside

    def add_inline(self, kind: str, name: str, start: int, end: int) -> None:
        """Add an inline element to the passage."""
        if kind == "open":
            self.builder.open(name, start, end)
        elif kind == "close":
            self.builder.close(name, start, end)
        else:
            if name == "br":
                self.builder.add(" ", start, start)
            self.builder.add_standalone(start, end)

    def runs_on(self, end: int) -> bool:
        """Return whether the text behind a line break continues a sentence: its first letter is a small one."""
        return self.document[end : self.end].lstrip()[:1].islower()

    def end_passage(self) -> None:
        """End the passage at a block boundary."""
        if (passage := self.builder.build()) is not None:
            self.passages.append(passage)
        self.builder = PassageBuilder(self.document, escape)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = tag in KEPT or tag in KEPT_INLINE or is_kept(attrs)
        self.event("void" if tag in VOID else "open", tag, kept)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.event("void", tag)

    def handle_endtag(self, tag: str) -> None:
        self.event("close", tag)

    def handle_data(self, data: str) -> None:
        self.event("data")

    def handle_charref(self, name: str) -> None:
        self.event("reference")

    def handle_entityref(self, name: str) -> None:
        self.event("reference")

    def handle_comment(self, data: str) -> None:
        self.event("other")

    def handle_decl(self, decl: str) -> None:
        self.event("other", "!doctype")

    def unknown_decl(self, data: str) -> None:
        self.event("other")

    def handle_pi(self, data: str) -> None:
        self.event("other")


def is_kept(attributes: list[tuple[str, str | None]]) -> bool:
    """Check if the attributes of an element exclude its text from translation."""
    return any(name == "translate" and (value or "").lower() == "no" for name, value in attributes)
