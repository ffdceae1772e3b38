"""HTML: the text between two block elements is a passage; inline elements are placed by alignment."""

import html
from functools import partial
from html.parser import HTMLParser

from nmt.documents.parsed import LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, PassageBuilder

KEPT = frozenset({"script", "style", "pre", "textarea", "svg", "math", "template", "noscript", "object", "iframe"})
"""Block elements whose text is not translated."""
KEPT_INLINE = frozenset({"code", "kbd", "samp", "var", "tt"})
"""Inline elements whose text is copied into the translation."""
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
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
        self.kept: list[str] = []
        """Open elements within the outermost one whose text is kept, which comes first."""
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
        self.end_passage()

    def process(self, end: int) -> None:
        """Process the last event, which ends at a character of the document."""
        if self.waiting is None:
            return
        kind, name, kept, start = self.waiting
        if self.kept and self.kept[0] not in INLINE:
            self.leave_kept(kind, name)
        elif kind in ("data", "reference"):
            written = self.document[start:end]
            self.builder.add(html.unescape(written) if kind == "reference" else written, start, end)
        elif kind == "open" and kept and not self.kept and name not in INLINE:
            self.kept = [name]
            self.end_passage()
        elif name == "br" and not self.kept and not self.runs_on(end):
            self.end_passage()
        elif name in INLINE or kind == "other" or self.kept:
            self.add_inline(kind, name, kept, start, end)
        else:
            self.end_passage()

    def add_inline(self, kind: str, name: str, kept: bool, start: int, end: int) -> None:
        """Add an inline element to the passage."""
        if kind == "open":
            self.builder.open(name, start, end)
            if self.kept or kept:
                self.fixed_start = self.fixed_start if self.kept else len(self.builder.characters)
                self.kept.append(name)
        elif kind == "close":
            self.leave_kept(kind, name)
            self.builder.close(name, start, end)
        else:
            if name == "br":
                self.builder.add(" ", start, start)
            self.builder.add_standalone(start, end)

    def leave_kept(self, kind: str, name: str) -> None:
        """Process a tag within an element whose text is kept."""
        if kind == "open":
            self.kept.append(name)
        elif kind == "close" and name in self.kept:
            place = len(self.kept) - 1 - self.kept[::-1].index(name)
            outermost = self.kept[0]
            del self.kept[place:]
            if not self.kept and outermost in INLINE:
                self.builder.fix(self.fixed_start)

    def runs_on(self, end: int) -> bool:
        """Return whether the text behind a line break continues a sentence: its first letter is a small one."""
        return self.document[end : self.end].lstrip()[:1].islower()

    def end_passage(self) -> None:
        """End the passage at a block boundary."""
        if (passage := self.builder.build()) is not None:
            self.passages.append(passage)
        self.builder = PassageBuilder(self.document, escape)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = tag in KEPT or tag in KEPT_INLINE or ("translate", "no") in attrs
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
