"""Markdown: paragraphs, headings, items and cells are passages; code, links' targets and everything else is kept.

The dialect is CommonMark with tables, strikethrough, task lists, footnotes, alerts, definition lists and formulas.

markdown-it-py parses the document. It keeps lines of blocks but not the places of inline elements, so its inline rules
are wrapped here to record them. The only file that imports markdown_it.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
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
FORMULA = (
    r"(?<!\$)\$\$(?!\$)(?s:.+?)(?<!\$)\$\$(?!\$)|(?<![\w$])\$`[^`$\n]+`\$(?!\w)"
    r"|(?<![\w$])\$(?![\s$`])(?:[^$\\`\n]|\\.)*(?<!\s)\$(?![\w$])"
)
"""Formula within a text, in single or double dollars."""
INLINE_FORMULA = re.compile(FORMULA)
FORMULA_END = re.compile(r"\$\$[ \t]*(?:\([^()]*\)[ \t]*)?$")
"""End of a block with a formula, with its label."""
FOOTNOTE = re.compile(r"\[\^[^\]\[\s]+\]")
CONTAINER = re.compile(r"\[\^[^\]\[\s]+\]:[ \t]*|:[ \t]+(?=\S)")
"""Marker of a footnote's text or of a definition."""
MARKERS = {
    "list_item_open": re.compile(r"\[[ xX]\](?:\s+|$)"),
    "blockquote_open": re.compile(r"\[![\w-]+\][-+]?(?:[ \t]*\\?(?:\n|$)|[ \t]+)"),
}
"""Marker of a task or an alert at the beginning of a block."""
SPECIAL = re.compile(
    r"(?P<kept>(?<!`)(`+)(?!`)(?s:.+?)(?<!`)\2(?!`)|<?\b[a-z][a-z0-9+.-]+://[^\s<>]*>?|" + FORMULA + ")"
    r"|[\\`*\[\]<|~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|\$(?=[^$]*\$)|^(?:#{1,6}|[-+>:])(?=\s|$)|(?P<number>^\d+(?=[.)]\s))"
)
"""Code, addresses and formulas, which are kept, and the characters that Markdown reads as markup."""
RULE = Callable[[StateInline, bool], bool]
PLACES = "places"
"""Key of the parser's environment for the recorded places."""
UNCLOSED = "unclosed"
"""Key of the parser's environment for the ends of the parts in which no formula ends."""


class Inline(NamedTuple):
    """Token of the inline parser with its place in the content of a block."""

    token: Token
    start: int
    end: int


def escape(text: str) -> str:
    """Escape the characters that Markdown reads as markup, except in code, addresses and formulas."""

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
            marker, divided = marker_ends(tokens, number)
            passages += inline_passages(text, token.content, places, environment, marker, divided)
    return ParsedDocument(text, passages)


def marker_ends(tokens: list[Token], number: int) -> tuple[int, int]:
    """Return the end of the marker in the content of a block, and the end of the lines that are passages of their own.

    These lines are the title of an alert, and the terms before a definition.
    """
    content = tokens[number].content
    if tokens[number - 1].type != "paragraph_open":
        return 0, 0
    if number + 2 < len(tokens) and tokens[number + 2].type == "definition_open":
        return 0, len(content)
    around = tokens[number - 2].type if number > 1 else ""
    match = MARKERS[around].match(content) if around in MARKERS else None
    if match is None:
        return 0, 0
    titled = around == "blockquote_open" and not match[0].endswith("\n")
    return match.end(), content.find("\n") + 1 if titled else 0


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


def inline_passages(
    document: str, content: str, places: list[Span], environment: dict[str, object], at: int = 0, divided: int = 0
) -> list[Passage]:
    """Return the passages of a block's content, which a line break divides unless a sentence runs over it.

    Args:
        document: text of the document.
        content: text of the block.
        places: place in the document of each character of the content.
        environment: environment of the parser.
        at: first character that is not part of a marker.
        divided: end of the lines that are passages of their own.
    """
    recorded: list[Inline] = []
    environment[PLACES] = recorded
    recording_parser().inline.parse(content, recording_parser(), environment, [])
    passages = []
    builder = PassageBuilder(document, escape)
    for token, start, end in sorted(widened(recorded), key=lambda inline: inline[1:]):
        if start < at:
            continue
        add_text(builder, content, places, at, start)
        at = end
        first, last = places[start][0], places[end - 1][1]
        name = token.type.removesuffix("_open").removesuffix("_close")
        if token.type == "text_special":
            builder.add(token.content, first, last)
        elif token.type in ("code_inline", "autolink", "formula"):
            builder.add_fixed(first, last)
        elif token.type == "footnote":
            builder.add_standalone(first, last)
        elif token.type == "softbreak" and start >= divided:
            builder.add(" ", first, last)
        elif token.type == "softbreak" or (token.type == "hardbreak" and not content[end : end + 1].islower()):
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
    """Return the parser of CommonMark and its extensions, which records the places of inline tokens."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.block.ruler.before(
        "fence", "formula", formula_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.block.ruler.before("reference", "container", container_block, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.after("escape", "formula", partial(pattern_rule, "formula", INLINE_FORMULA))
    parser.inline.ruler.before("link", "footnote", partial(pattern_rule, "footnote", FOOTNOTE))
    for rule in parser.inline.ruler.__rules__:
        if rule.name != "text":
            parser.inline.ruler.at(rule.name, recording_rule(rule.name, rule.fn))
    return parser


def pattern_rule(name: str, pattern: re.Pattern[str], state: StateInline, silent: bool) -> bool:
    """Add a token for the text that a pattern matches. Inline rule of markdown-it."""
    match = pattern.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push(name, "", 0).content = match[0]
    state.pos = match.end()
    return True


def formula_block(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """Add a token for a formula between lines of double dollars. Block rule of markdown-it."""
    start = state.bMarks[line] + state.tShift[line]
    failed = state.env.setdefault(UNCLOSED, set())
    if state.is_code_block(line) or not state.src.startswith("$$", start) or end in failed:
        return False
    for number in range(line, end):
        start = state.bMarks[number] + state.tShift[number] + 2 * (number == line)
        written = state.src[start : state.eMarks[number]]
        if FORMULA_END.search(written):
            break
        if (number == line and "$$" in written) or (written and state.sCount[number] < state.blkIndent):
            return False
    else:
        failed.add(end)
        return False
    if not silent:
        state.line = number + 1
        state.push("formula_block", "", 0).map = [line, state.line]
    return True


def container_block(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """Add the blocks of a footnote or a definition, behind its marker. Block rule of markdown-it."""
    match = CONTAINER.match(state.src, state.bMarks[line] + state.tShift[line], state.eMarks[line])
    if match is None or state.is_code_block(line):
        return False
    if silent:
        return True
    name = "definition" if match[0].startswith(":") else "footnote"
    before = state.tokens[-1].type if state.tokens else ""
    if name == "definition" and before not in ("paragraph_close", "definition_close"):
        return False
    opening = state.push(f"{name}_open", "", 1)
    kept = state.bMarks[line], state.tShift[line], state.sCount[line], state.blkIndent, state.parentType
    state.blkIndent = state.sCount[line] + 2 if name == "definition" else state.blkIndent + 4
    state.bMarks[line], state.tShift[line], state.sCount[line] = match.end(), 0, state.blkIndent
    state.parentType = name
    state.md.block.tokenize(state, line, end)
    state.bMarks[line], state.tShift[line], state.sCount[line], state.blkIndent, state.parentType = kept
    opening.map = [line, state.line]
    state.push(f"{name}_close", "", -1)
    return True


def recording_rule(name: str, rule: RULE) -> RULE:
    """Return an inline rule that records the tokens it adds."""

    def record(state: StateInline, silent: bool) -> bool:
        recorded = state.env.get(PLACES)
        if silent or recorded is None:
            return rule(state, silent)
        if state.pending and state.src[state.pos] != "\n":
            state.pushPending()
        start, count = state.pos, len(state.tokens)
        label_end = (
            state.md.helpers.parseLinkLabel(state, start, True) if name == "link" and state.src[start] == "[" else -1
        )
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
