"""Tokens of an XML document with their places, after a check that it is safe.

expat checks that the document is well-formed. A document that declares entities is refused, because they can name files
of this machine or expand to gigabytes; nothing is fetched and nothing is expanded. The tokens are then found by regular
expressions, because parsers of XML do not keep the places of markup.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from html import unescape
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from nmt.documents.passages import PassageBuilder
from nmt.errors import UserError

TOKEN = re.compile(
    r"(?P<comment><!--.*?-->)|(?P<cdata><!\[CDATA\[.*?\]\]>)|(?P<instruction><\?.*?\?>|<!DOCTYPE[^>]*>)"
    r"|</(?P<close>[^\s>]+)\s*>|<(?P<open>[^\s/>!?]+)(?P<attributes>(?:[^>\"']|\"[^\"]*\"|'[^']*')*?)(?P<empty>/?)>"
    r"|(?P<reference>&\#?\w+;)|(?P<text>[^<&]+)",
    re.DOTALL,
)
ATTRIBUTE = re.compile(r"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


class XmlToken(NamedTuple):
    """Tag, text or other part of an XML document."""

    kind: str
    """open, close, empty, text, reference, cdata or other."""
    name: str
    """Name of a tag without its prefix."""
    attributes: dict[str, str]
    """Attributes of a tag, with their prefixes."""
    start: int
    """First character in the document."""
    end: int
    """End in the document."""


class Element(NamedTuple):
    """Element of an XML document, by the numbers of its tokens."""

    name: str
    attributes: dict[str, str]
    first: int
    """Number of its opening tag."""
    last: int
    """Number of its closing tag; equal to `first` for an empty element."""


def read_tokens(text: str) -> list[XmlToken]:
    """Return the tokens of an XML document.

    Raises:
        UserError: the document is not well-formed, declares entities or is not in UTF-8.
    """
    check_safe(text)
    tokens = []
    for match in TOKEN.finditer(text):
        name = match["open"] or match["close"] or ""
        attributes = {}
        if match["open"]:
            kind = "empty" if match["empty"] else "open"
            found = ATTRIBUTE.findall(match["attributes"])
            attributes = {key: unescape(double or single) for key, double, single in found}
        else:
            kind = "close" if name else match.lastgroup or ""
            kind = kind if kind in ("close", "text", "reference", "cdata") else "other"
        tokens.append(XmlToken(kind, name.rpartition(":")[2], attributes, *match.span()))
    return tokens


def root_element(tokens: Sequence[XmlToken], name: str) -> XmlToken:
    """Return the tag of the root element.

    Raises:
        UserError: it is missing, or it has another name.
    """
    root = next((token for token in tokens if token.kind in ("open", "empty")), None)
    if root is None or root.name != name:
        found = root.name if root else "missing"
        raise UserError(f"its root element is {found}, not {name}; give the format as format=...")
    return root


def check_safe(text: str) -> None:
    """Check that a document is well-formed XML without declarations of its own.

    Raises:
        UserError: it is not.
    """
    parser = expat.ParserCreate("utf-8")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def refuse(*_: object) -> NoReturn:
        raise UserError(
            f"line {parser.CurrentLineNumber} declares or uses an entity of XML, which can read files or fill the "
            "memory; write the text in place of the entity and delete its declaration"
        )

    def check_doctype(name: str, system: str | None, public: str | None, internal: int) -> None:
        """Refuse declarations within the document; a DTD that it only names is not read."""
        if internal:
            refuse()

    def check_declaration(version: str, encoding: str | None, standalone: int) -> None:
        """Refuse a declared encoding other than that of the text."""
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise UserError(f"line 1 declares encoding {encoding}; convert the file and its declaration to UTF-8")

    parser.StartDoctypeDeclHandler = check_doctype
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SkippedEntityHandler = refuse
    parser.XmlDeclHandler = check_declaration
    try:
        parser.Parse(text.removeprefix("\ufeff").encode(), True)
    except expat.ExpatError as error:
        raise UserError(f"line {error.lineno} is not well-formed XML ({expat.ErrorString(error.code)})") from None


def find_elements(
    tokens: list[XmlToken], names: set[str], first: int = 0, last: int | None = None
) -> Iterator[Element]:
    """Yield the elements of these names among some tokens, in the order of their ends; inner ones come first."""
    stack: list[int] = []
    for number in range(first, len(tokens) if last is None else last + 1):
        token = tokens[number]
        if token.kind == "open":
            stack.append(number)
        elif token.kind == "close" and stack:
            begin = stack.pop()
            if tokens[begin].name in names:
                yield Element(tokens[begin].name, tokens[begin].attributes, begin, number)
        elif token.kind == "empty" and token.name in names:
            yield Element(token.name, token.attributes, number, number)


def escape(text: str) -> str:
    """Escape the characters that XML reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def content_builder(
    document: str,
    tokens: list[XmlToken],
    element: Element,
    opaque: set[str],
    ends: Callable[[XmlToken], str | None],
) -> PassageBuilder:
    """Return a builder with the content of an element.

    Args:
        document: text of the document.
        tokens: its tokens.
        element: element whose content is translated.
        opaque: names of elements whose content is code and belongs to their markup.
        ends: function that returns the key of an element that opens or closes another kind of span: `+KEY` or `-KEY`;
            None: the element is a span of its own, or without text if it is opaque or empty.
    """
    builder = PassageBuilder(document, escape)
    protected: list[tuple[int, int]] = []
    """Last tokens of open elements whose text is copied, and where their text begins."""
    number = element.first + 1
    while number < element.last:
        token = tokens[number]
        last = number
        if token.kind == "open" and token.name in opaque:
            last = closing_tag(tokens, number)
        start, end = token.start, tokens[last].end
        key = ends(token) if token.kind in ("open", "empty") else None
        if token.kind == "text":
            builder.add(document[start:end], start, end)
        elif token.kind == "reference":
            builder.add(unescape(document[start:end]), start, end)
        elif token.kind == "cdata":
            add_cdata(builder, start, end)
        elif key is not None and key[0] == "+":
            builder.open(key[1:], start, end)
        elif key is not None:
            builder.close(key[1:], start, end)
        elif token.kind == "open" and last == number:
            builder.open(token.name, start, end)
            if token.attributes.get("mtype") == "protected" or token.attributes.get("translate") == "no":
                protected.append((closing_tag(tokens, number), len(builder.characters)))
        elif token.kind == "close":
            if protected and protected[-1][0] == number:
                builder.fix(protected.pop()[1])
            builder.close(token.name, start, end)
        else:
            builder.add_standalone(start, end)
        number = last + 1
    return builder


def closing_tag(tokens: list[XmlToken], first: int) -> int:
    """Return the number of the closing tag of an opening tag."""
    found = find_elements(tokens, {tokens[first].name}, first)
    return next(element.last for element in found if element.first == first)


def add_cdata(builder: PassageBuilder, start: int, end: int) -> None:
    """Add the text of a CDATA section. Its first and last character include the section's marks."""
    first, last = start + len("<![CDATA["), end - len("]]>")
    text = builder.document[first:last]
    count = len(builder.characters)
    builder.add(text, first, last)
    if len(builder.characters) > count:
        builder.starts[count] = start
        builder.ends[-1] = end


def content_span(tokens: list[XmlToken], element: Element) -> tuple[int, int]:
    """Return the span of an element's content in the document."""
    start = tokens[element.first].end
    return start, max(start, tokens[element.last].start)


def with_attribute(tag: str, name: str, value: str) -> str:
    """Return an opening tag with the value of an attribute set."""
    pattern = re.compile(rf"(\s{re.escape(name)}\s*=\s*)(?:\"[^\"]*\"|'[^']*')")
    written = escape(value).replace('"', "&quot;")
    if pattern.search(tag):
        return pattern.sub(lambda match: f'{match[1]}"{written}"', tag, count=1)
    end = re.search(r"\s*/?>$", tag)
    at = end.start() if end else len(tag)
    return f'{tag[:at]} {name}="{written}"{tag[at:]}'


def primary(language: str) -> str:
    """Return the language of a code such as de-AT, without its region."""
    return language.replace("_", "-").split("-")[0].lower()
