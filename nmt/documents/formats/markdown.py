"""Markdown: paragraphs, headings, items and cells are passages; code, links' targets and everything else is kept.

markdown-it-py parses the document. It keeps lines of blocks but not the places of inline elements, so its inline rules
are wrapped here to record them. The only file that imports markdown_it.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from nmt.documents.formats.html import html_passages
from nmt.documents.parsed import LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, PassageBuilder, Span

FRONT_MATTER = re.compile(
    r"\ufeff?(---[ \t]*(?:\r\n|\r|\n)(?s:.*?)(?:\r\n|\r|\n)(?:---|\.\.\.)[ \t]*(?:\r\n|\r|\n|\Z))?"
)
"""Settings before the text, between lines of dashes."""
LINE_END = re.compile(r"\r\n?|\n")
SPECIAL = re.compile(
    r"(?P<kept>(?<!`)(`+)(?!`)(?s:.+?)(?<!`)\2(?!`)|<?\b[a-z][a-z0-9+.-]+://[^\s<>]*>?)"
    r"|[\\`*\[\]<|~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|^(?:#{1,6}|[-+>])(?=\s|$)|(?P<number>^\d+(?=[.)]\s))"
)
"""Code and addresses, which are kept, and the characters that Markdown reads as markup."""
RULE = Callable[[StateInline, bool], bool]
PLACES = "places"
"""Key of the parser's environment for the recorded places."""


class Inline(NamedTuple):
    """Token of the inline parser with its place in the content of a block."""

    token: Token
    start: int
    end: int


def escape(text: str) -> str:
    """Escape the characters that Markdown reads as markup, except in code and addresses."""

    def escaped(match: re.Match[str]) -> str:
        """Return a match with its backslash."""
        if match["kept"]:
            return match[0]
        return match[0] + "\\" if match["number"] else "\\" + match[0]

    return SPECIAL.sub(escaped, text)


def parse(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return a Markdown document with its passages."""
    front = FRONT_MATTER.match(text)
    begin = front.end() if front else 0
    lines = [begin, *(match.end() for match in LINE_END.finditer(text, begin)), len(text)]
    parser = recording_parser()
    environment: dict[str, object] = {}
    passages: list[Passage] = []
    row: tuple[int, int] = (-1, 0)
    """Line of the current row of a table, and the end of its last cell."""
    tokens = parser.parse(text[begin:], environment)
    for number, token in enumerate(tokens):
        if token.map is None:
            continue
        first, last = token.map
        if token.type == "html_block" and token.level == 0:
            passages += html_passages(text, lines[first], lines[min(last, len(lines) - 1)])
        if token.type != "inline" or not token.content:
            continue
        if tokens[number - 1].type in ("th_open", "td_open"):
            places = cell_places(text, token.content, row[1] if row[0] == first else lines[first], lines[first + 1])
            row = (first, places[-1][1] if places else row[1])
        else:
            places = content_places(text, token.content, lines[first : last + 1])
        if places is not None:
            passages += inline_passages(text, token.content, places, environment)
    return ParsedDocument(text, passages)


def content_places(document: str, content: str, lines: list[int]) -> list[Span] | None:
    """Return the place in the document of each character of a block's content, or None if they differ.

    Args:
        document: text of the document.
        content: text of the block without the indentation and marks of the blocks around it.
        lines: starts of the block's lines, and the end of the last one.
    """
    places: list[Span] = []
    rows = content.split("\n")
    for number, row in enumerate(rows):
        if number + 1 >= len(lines):
            return None
        raw = document[lines[number] : lines[number + 1]].rstrip("\r\n")
        core = row.strip()
        at = raw.rfind(core)
        if at < 0:
            return None
        start = lines[number] + at
        lead = len(row) - len(row.lstrip()) if core else len(row)
        places += [(start, start)] * lead
        places += [(place, place + 1) for place in range(start, start + len(core))]
        places += [(start + len(core),) * 2] * (len(row) - lead - len(core))
        if number + 1 < len(rows):
            places.append((start + len(core), lines[number + 1]))
    return places


def cell_places(document: str, content: str, start: int, end: int) -> list[Span] | None:
    """Return the place of each character of a table's cell, in which a bar is written with a backslash."""
    pattern = "".join(r"\\?\|" if character == "|" else re.escape(character) for character in content)
    match = re.compile(r"[\s|]*(?<![^\s|])" + f"({pattern})").search(document, start, end)
    if match is None:
        return None
    places, at = [], match.start(1)
    for character in content:
        size = 2 if character == "|" and document[at] == "\\" else 1
        places.append((at, at + size))
        at += size
    return places


def inline_passages(document: str, content: str, places: list[Span], environment: dict[str, object]) -> list[Passage]:
    """Return the passages of a block's content, which a line break divides unless a sentence runs over it."""
    recorded: list[Inline] = []
    environment[PLACES] = recorded
    recording_parser().inline.parse(content, recording_parser(), environment, [])
    passages = []
    builder = PassageBuilder(document, escape)
    at = 0
    for token, start, end in sorted(widened(recorded), key=lambda inline: inline[1:]):
        if start < at:
            continue
        add_text(builder, content, places, at, start)
        at = end
        first, last = places[start][0], places[end - 1][1]
        name = token.type.removesuffix("_open").removesuffix("_close")
        if token.type == "text_special":
            builder.add(token.content, first, last)
        elif token.type in ("code_inline", "autolink"):
            builder.add_fixed(first, last)
        elif token.type == "softbreak":
            builder.add(" ", first, last)
        elif token.type == "hardbreak" and not content[end : end + 1].islower():
            if (passage := builder.build()) is not None:
                passages.append(passage)
            builder = PassageBuilder(document, escape)
        elif token.type == "html_inline" and (tag := re.match(r"<(/?)(\w+)[^>]*?(?<!/)>$", token.content)):
            (builder.close if tag[1] else builder.open)(f"<{tag[2].lower()}>", first, last)
        elif token.type.endswith("_open"):
            builder.open(name, first, last)
        elif token.type.endswith("_close"):
            builder.close(name, first, last, token.meta.get("replaced"))
        else:
            builder.add(" ", first, first)
            builder.add_standalone(first, last)
    add_text(builder, content, places, at, len(content))
    if (passage := builder.build()) is not None:
        passages.append(passage)
    return passages


def add_text(builder: PassageBuilder, content: str, places: list[Span], start: int, end: int) -> None:
    """Add a part of a block's content without markup. A name before code, as in {ref}`code`, is kept with it."""
    for place in range(start, end):
        builder.add(content[place], *places[place])


def widened(recorded: list[Inline]) -> list[Inline]:
    """Return the tokens that are not text, with the place of both characters of a strong element's marks."""
    result = []
    for token, start, end in recorded:
        if token.type == "text":
            continue
        if token.type == "strong_open":
            start -= 1
        if token.type == "strong_close":
            end += 1
        result.append(Inline(token, start, end))
    return result


@cache
def recording_parser() -> MarkdownIt:
    """Return the parser of CommonMark with tables and strikethrough, which records the places of inline tokens."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for rule in parser.inline.ruler.__rules__:
        if rule.name != "text":
            parser.inline.ruler.at(rule.name, recording_rule(rule.name, rule.fn))
    return parser


def recording_rule(name: str, rule: RULE) -> RULE:
    """Return an inline rule that records the tokens it adds."""

    def record(state: StateInline, silent: bool) -> bool:
        recorded = state.env.get(PLACES)
        if silent or recorded is None:
            return rule(state, silent)
        if state.pending and state.src[state.pos] != "\n":
            state.pushPending()
        start, count = state.pos, len(state.tokens)
        label_end = state.md.helpers.parseLinkLabel(state, start, True) if name == "link" else -1
        if not rule(state, silent):
            return False
        added = state.tokens[count:]
        if name in ("emphasis", "strikethrough"):
            at = start
            for token in added:
                recorded.append(Inline(token, at, at + len(token.content)))
                at += len(token.content)
        elif name == "link":
            record_link(state, recorded, added, start, label_end)
        elif name == "autolink":
            recorded.append(Inline(Token("autolink", "", 0), start, state.pos))
        else:
            recorded += [Inline(token, start, state.pos) for token in added if token.type != "text"]
        return True

    return record


def record_link(state: StateInline, recorded: list[Inline], added: list[Token], start: int, end: int) -> None:
    """Record the two tokens of a link. A link by its own text gets that text as the name of its target."""
    opening = next(token for token in added if token.type == "link_open")
    closing = next(token for token in reversed(added) if token.type == "link_close")
    written = state.src[end : state.pos]
    if written in ("]", "][]"):
        closing.meta["replaced"] = f"][{state.src[start + 1 : end]}]"
    recorded.append(Inline(opening, start, start + 1))
    recorded.append(Inline(closing, end, state.pos))
