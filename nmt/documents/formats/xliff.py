"""XLIFF 1.x and 2.x: each segment without a translation gets a target with its state."""

from nmt.documents.formats.xml_tokens import (
    Element,
    XmlToken,
    content_builder,
    content_span,
    find_elements,
    primary,
    read_tokens,
    root_element,
    with_attribute,
)
from nmt.documents.parsed import Edit, LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, Place
from nmt.errors import UserError

OPAQUE = {"bpt", "ept", "ph", "it"}
"""Elements of XLIFF 1.x whose content is code of the original format."""
BEGINS = {"bpt", "bx", "sc", "sm"}
ENDS = {"ept", "ex", "ec", "em"}
UNTRANSLATED = {"new", "needs-translation", "initial"}
"""States of a target that is replaced."""
STATE_1 = "needs-review-translation"
STATE_2 = "translated"


class XliffReader:
    """Reader of the segments of an XLIFF document."""

    def __init__(self, text: str, languages: LanguagePair) -> None:
        """
        Args:
            text: the document.
            languages: languages of the translation.

        Raises:
            UserError: the text is not safe XML or not XLIFF, or is for other languages.
        """
        self.text = text
        self.languages = languages
        self.tokens = read_tokens(text)
        root = root_element(self.tokens, "xliff")
        self.second = root.attributes.get("version", "1.2").startswith("2")
        self.passages: list[Passage] = []
        self.edits: list[Edit] = []
        self.translated = 0
        if self.second:
            self.set_languages(root, "srcLang", "trgLang")
        else:
            for file in find_elements(self.tokens, {"file"}):
                self.set_languages(self.tokens[file.first], "source-language", "target-language")

    def set_languages(self, token: XmlToken, source: str, target: str) -> None:
        """Check the languages of a tag, and set the target language if it has none.

        Raises:
            UserError: it has another language.
        """
        for name, wanted, key in ((source, self.languages.src, "src_lang"), (target, self.languages.tgt, "tgt_lang")):
            given = token.attributes.get(name)
            if given is not None and primary(given) != primary(wanted):
                line = self.text.count("\n", 0, token.start) + 1
                raise UserError(f"line {line} has {name}={given}, but {key} is {wanted}; use a run for these languages")
        if target not in token.attributes:
            tag = self.text[token.start : token.end]
            self.edits.append(Edit(token.start, token.end, with_attribute(tag, target, self.languages.tgt)))

    def read(self) -> ParsedDocument:
        """Return the document with a passage per segment to translate."""
        around = find_elements(self.tokens, {"file", "group", "unit", "trans-unit"})
        excluded = [element for element in around if element.attributes.get("translate") == "no"]
        for segment in find_elements(self.tokens, {"segment" if self.second else "trans-unit"}):
            if not any(element.first <= segment.first <= element.last for element in excluded):
                self.read_segment(segment)
        return ParsedDocument(self.text, self.passages, self.edits, self.translated)

    def read_segment(self, segment: Element) -> None:
        """Add the passage of a segment, unless it has a translation."""
        parts: dict[str, Element] = {}
        for element in find_elements(self.tokens, {"source", "seg-source", "target", "alt-trans"}, *segment[2:]):
            if element.name == "alt-trans":  # a proposal with a source and a target of its own
                inside = [name for name, part in parts.items() if element.first < part.first < element.last]
                for name in inside:
                    del parts[name]
            else:
                parts.setdefault(element.name, element)
        source, target = parts.get("source"), parts.get("target")
        if source is None or not self.text[slice(*content_span(self.tokens, source))].strip():
            return
        opening = self.tokens[segment.first]
        state = segment.attributes.get("state") if self.second else (target.attributes.get("state") if target else None)
        filled = target is not None and bool(self.text[slice(*content_span(self.tokens, target))].strip())
        if segment.attributes.get("approved") == "yes" or (filled and state not in UNTRANSLATED):
            self.translated += 1
            return
        builder = content_builder(self.text, self.tokens, source, set() if self.second else OPAQUE, pair_key)
        place = self.place(source, parts.get("seg-source"), target)
        if (passage := builder.build(place, content_span(self.tokens, source))) is not None:
            self.passages.append(passage)
        if self.second:
            tag = with_attribute(self.text[opening.start : opening.end], "state", STATE_2)
            self.edits.append(Edit(opening.start, opening.end, tag))

    def place(self, source: Element, divided: Element | None, target: Element | None) -> Place:
        """Return the place of a target: that of the present one, or behind the source, on a line of its own."""
        if target is not None:
            first = self.tokens[target.first]
            tag = self.text[first.start : first.end].removesuffix("/>").rstrip().removesuffix(">") + ">"
            start, end = first.start, self.tokens[target.last].end
            indent = ""
        else:
            begin = self.tokens[source.first].start
            before = self.text[max(0, begin - 1000) : begin]
            indent = before[len(before.rstrip()) :]
            start = end = self.tokens[(divided or source).last].end
            tag = "<target>"
        if not self.second:
            tag = with_attribute(with_attribute(tag, "state", STATE_1), "state-qualifier", "mt-suggestion")
        return Place(start, end, indent + tag, "</target>")


def parse(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return an XLIFF document with a passage per segment to translate.

    Raises:
        UserError: the text is not safe XML or not XLIFF, or is for other languages.
    """
    return XliffReader(text, languages).read()


def pair_key(token: XmlToken) -> str | None:
    """Return `+KEY` for an element that begins a span, `-KEY` for one that ends it, and None for others."""
    if token.name in BEGINS:
        return "+" + (token.attributes.get("rid") or token.attributes.get("id", ""))
    if token.name in ENDS:
        key = token.attributes.get("rid") or token.attributes.get("startRef") or token.attributes.get("id", "")
        return "-" + key
    return None
