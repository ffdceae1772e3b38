"""Division of a text into sentences to translate and the parts between them, for plain text and HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

from nmt.data.sentence_ends import split_sentences

KEPT = frozenset({"script", "style", "code", "pre", "textarea", "kbd", "samp", "svg", "math"})
"""Elements whose text is not translated."""
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


@dataclass(frozen=True)
class DividedText:
    """Sentences of a text, and what stands before, between and behind them."""

    sentences: list[str]
    between: list[str]
    """One text more than there are sentences."""
    html: bool = False

    def join(self, translations: Sequence[str]) -> str:
        """Return the text with its sentences replaced."""
        texts = [escape(text, quote=False) for text in translations] if self.html else translations
        return self.between[0] + "".join(text + after for text, after in zip(texts, self.between[1:], strict=True))


def divide(text: str, language: str) -> DividedText:
    """Divide a plain text. Line ends, blank lines and the spaces around sentences are kept."""
    sentences: list[str] = []
    between = [""]
    for line in re.split(r"(\r\n|\r|\n)", text):
        for sentence in [line] if not line.strip() else split_sentences(line, language):
            core = sentence.strip()
            if not core:
                between[-1] += sentence
                continue
            start = sentence.index(core)
            between[-1] += sentence[:start]
            sentences.append(core)
            between.append(sentence[start + len(core) :])
    return DividedText(sentences, between)


def divide_html(text: str, language: str) -> DividedText:
    """Divide HTML. The text between two tags is translated by itself; tags, comments and code are kept."""
    parser = TextFinder(language)
    parser.feed(text)
    parser.close()
    return DividedText(parser.sentences, parser.between, html=True)


class TextFinder(HTMLParser):
    """Parser that finds the text of an HTML document, and keeps everything else as it is."""

    def __init__(self, language: str) -> None:
        super().__init__(convert_charrefs=True)
        self.language = language
        self.sentences: list[str] = []
        self.between = [""]
        self.run = ""
        """Text since the last tag."""
        self.open: list[tuple[str, bool]] = []
        """Open elements, and whether their text is kept."""

    @property
    def keeping(self) -> bool:
        """True inside of an element whose text is not translated."""
        return any(kept for _, kept in self.open)

    def keep(self, text: str) -> None:
        """Add markup, before which the text collected so far is divided."""
        if self.run:
            run, self.run = self.run, ""
            if self.keeping:
                raw = self.open[-1][0] in ("script", "style")
                self.between[-1] += run if raw else escape(run, quote=False)
            else:
                divided = divide(run, self.language)
                between = [escape(part, quote=False) for part in divided.between]
                self.between[-1] += between[0]
                self.between += between[1:]
                self.sentences += divided.sentences
        self.between[-1] += text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.keep(self.get_starttag_text() or "")
        if tag not in VOID:
            self.open.append((tag, tag in KEPT or ("translate", "no") in attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.keep(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self.keep(f"</{tag}>")
        places = [place for place, (name, _) in enumerate(self.open) if name == tag]
        if places:
            del self.open[places[-1] :]

    def handle_data(self, data: str) -> None:
        self.run += data

    def handle_comment(self, data: str) -> None:
        self.keep(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.keep(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.keep(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.keep(f"<?{data}>")

    def close(self) -> None:
        super().close()
        self.keep("")
