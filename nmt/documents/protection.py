"""Spans of a sentence that must be copied unchanged, and the sentence without them."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

from nmt.config import Protection
from nmt.data.words import continues_word

Span = tuple[int, int]
"""Start and end of a span of characters."""

PLACEHOLDER = re.compile(
    r"\$?\{\{[^{}\n]{1,80}\}\}"  # {{name}}
    r"|[$%#]?\{[^{}\s]{0,80}\}"  # {name}, {0:.2f}, ${name}, %{name}, #{name}
    r"|%\([A-Za-z_]\w*\)[#0+-]*\d*(?:\.\d+)?[diouxXeEfFgGcrsa]"  # %(name)d
    r"|%(?:\d+\$)?[#0+-]*(?:\d+|\*)?(?:\.\d+)?(?:hh|h|ll|l|L|z|j|t)?[diouxXeEfFgGcrsa@](?![A-Za-z])"  # %s, %1$s, %5.2f
)
"""Placeholders of str.format, gettext, printf, Ruby, shells and templates."""
URL = re.compile(
    r"(?:https?|ftp)://[^\s<>\"]*[^\s<>\"'.,;:!?)\]»”]"
    r"|www\.[^\s<>\"]*[^\s<>\"'.,;:!?)\]»”]"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)
"""Web and e-mail addresses, without the punctuation of the sentence behind them."""
NUMBER = re.compile(r"(?<![\w.,])[+-]?\d+(?:[.,:/]\d+)*(?![\w-]|[.,]\d)")
"""Numbers, dates and times in digits that are not part of a word."""
PATTERNS = {Protection.urls: URL, Protection.placeholders: PLACEHOLDER, Protection.numbers: NUMBER}
"""Pattern of each kind of protected span. Where two match, the first kind counts."""

JOINING = frozenset("_-/\\@#%&+=$~^|")
"""Signs that join a protected span with the letters beside it into one word."""
APOSTROPHES = "'’"


def protected_spans(text: str, kinds: Collection[Protection]) -> tuple[Span, ...]:
    """Return the spans of these kinds in order, without overlaps."""
    spans: list[Span] = []
    for kind, pattern in PATTERNS.items():
        if kind in kinds:
            found = (match.span() for match in pattern.finditer(text))
            spans += [span for span in found if not any(span[0] < end and start < span[1] for start, end in spans)]
    return tuple(sorted(spans))


def is_punctuation(character: str) -> bool:
    """Check if a character is punctuation."""
    return unicodedata.category(character).startswith("P")


def closes(character: str) -> bool:
    """Check if a character stands directly behind a word: a closing bracket or quotation mark, a comma, a full stop."""
    return unicodedata.category(character) in ("Pe", "Pf") or character in ".,;:!?…%'\"”“"


def opens(character: str) -> bool:
    """Check if a character stands directly before a word: an opening bracket or quotation mark."""
    return unicodedata.category(character) in ("Ps", "Pi") or character in "'\"„¿¡"


def widened(text: str, span: Span, boundaries: Collection[int]) -> Span:
    """Return a protected span with the rest of its word, and with the brackets or quotation marks around it.

    A word such as `{name}-Datei` cannot be translated without its span, and `()` not without its content. At the
    beginning of the sentence the punctuation behind the span belongs to it. The span does not extend over a boundary of
    inline markup.
    """
    start, end = span
    while start not in boundaries and start > 0 and joins(text, start - 1, -1):
        start -= 1
    while end not in boundaries and end < len(text) and joins(text, end, 1):
        end += 1
    first, last = start, end
    while first not in boundaries and first > 0 and opens(text[first - 1]):
        first -= 1
    while last not in boundaries and last < len(text) and closes(text[last]) and last - end < start - first:
        last += 1
    if last - end == start - first:
        start, end = first, last
    while not text[:start].strip() and end not in boundaries and end < len(text) and closes(text[end]):
        end += 1
    return start, end


def joins(text: str, at: int, step: int) -> bool:
    """Check if the character at an index belongs to the word of the protected span beside it."""
    if text[at] in APOSTROPHES:
        beyond = text[at + step : at + step + 1] if at + step >= 0 else ""
        return beyond.isalpha()
    return text[at] in JOINING or continues_word(text[at])


def united(spans: Sequence[Span]) -> list[Span]:
    """Return the spans in order, with overlapping ones united and empty ones left out."""
    result: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def joined(text: str, spans: Sequence[Span], boundaries: Collection[int]) -> list[Span]:
    """Return the spans in order; those without letters, digits and markup between them are one span."""
    result: list[Span] = []
    for start, end in united(spans):
        if result:
            first, last = result[-1]
            apart = any(map(str.isalnum, text[last:start])) or any(last <= at <= start for at in boundaries)
            if not apart:
                result[-1] = (first, end)
                continue
        result.append((start, end))
    return result


def without_spans(text: str, spans: Sequence[Span]) -> tuple[str, list[int]]:
    """Return a text without some spans, and the index in it of each index of the text.

    One space stays where a span was between two, and none before punctuation.
    """
    inside = {at for start, end in spans for at in range(start, end)}
    kept: list[str] = []
    offsets: list[int] = []
    after_span = False
    for at, character in enumerate(text):
        if at in inside:
            after_span = True
        elif after_span and character.isspace() and (not kept or kept[-1].isspace()):
            pass
        else:
            if after_span and kept and kept[-1].isspace() and closes(character) and not text[at - 1].isspace():
                kept.pop()
            after_span = False
            offsets.append(len(kept))
            kept.append(character)
            continue
        offsets.append(len(kept))
    if after_span and kept and kept[-1].isspace():
        kept.pop()
    offsets.append(len(kept))
    for at in reversed(range(len(text))):
        offsets[at] = min(offsets[at], offsets[at + 1])
    return "".join(kept), offsets


def with_replacements(text: str, spans: Sequence[Span], symbols: Sequence[str]) -> tuple[str, list[int]]:
    """Return a text with each span replaced by a symbol, and the index in it of each index of the text."""
    result, before = "", 0
    offsets: list[int] = []
    for (start, end), symbol in zip(spans, symbols, strict=True):
        offsets += range(len(result), len(result) + start - before)
        result += text[before:start]
        offsets += [len(result)] * (end - start)
        result += symbol
        before = end
    offsets += range(len(result), len(result) + len(text) - before + 1)
    return result + text[before:], offsets


def occurrences(text: str, piece: str) -> list[Span]:
    """Return the places of a piece in a text, where no letter or digit continues it."""
    before = r"(?<!\w)" if piece[:1].isalnum() else ""
    after = r"(?!\w)" if piece[-1:].isalnum() else ""
    return [match.span() for match in re.finditer(before + re.escape(piece) + after, text)]


def all_kept(source: str, target: str, spans: Sequence[Span]) -> bool:
    """Check if the target has each protected span of the source unchanged, as often as the source."""
    pieces = {source[start:end] for start, end in spans}
    return all(len(occurrences(target, piece)) == len(occurrences(source, piece)) for piece in pieces)


Writes = Callable[[str], bool]
"""Function that returns whether the model's vocabularies can read and write a text."""
