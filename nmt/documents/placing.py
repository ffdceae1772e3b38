"""Placement of inline markup and of protected spans in a translation, by word alignment."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from nmt.data.words import is_unspaced
from nmt.decoding.alignment import Link, word_numbers
from nmt.documents.protection import Span, closes, is_punctuation, opens

Interval = tuple[int, int]
"""First word and the word behind the last one."""


@dataclass
class InlineElement:
    """Inline element, or protected text, of a sentence. Elements contain others."""

    start: int
    """Index of the first character in the source with markup removed and protected text kept."""
    end: int
    """Index behind the last character there."""
    opening: str = ""
    """Markup before the content."""
    closing: str = ""
    """Markup behind the content."""
    children: list[InlineElement] = field(default_factory=list)
    """Elements inside, in the order of the source."""
    plain: Span = (0, 0)
    """Span in the source without protected text. It is empty if nothing inside is translated."""
    place: Span = (0, 0)
    """Span in the target."""
    interval: Interval = (0, 0)
    """Interval of target words."""


@dataclass(frozen=True)
class WordAlignment:
    """Words of a source and a target without markup, and their links."""

    src: str
    tgt: str
    src_spans: list[Span]
    tgt_spans: list[Span]
    links: list[Link]
    anchors: Sequence[tuple[Span, Span]] = ()
    """Spans of the source with their known spans in the target."""

    @classmethod
    def of(
        cls, src: str, tgt: str, links: Sequence[Link] | None, anchors: Sequence[tuple[Span, Span]]
    ) -> WordAlignment:
        """Return the alignment of two texts.

        Args:
            src: source.
            tgt: target.
            links: links of words, counted as by `nmt.decoding.align_words`; None: by relative position.
            anchors: spans of the source and their known spans in the target, which replace the links of their words.
        """
        src_spans, tgt_spans = word_spans(src), word_spans(tgt)
        count, total = len(src_spans), len(tgt_spans)
        if links is None:
            links = [(min(count - 1, (2 * t + 1) * count // (2 * total)), t) for t in range(total) if count]
        kept = [(s, t) for s, t in links if s < count and t < total]
        for src_span, tgt_span in anchors:
            sources, targets = overlapping(src_spans, src_span), overlapping(tgt_spans, tgt_span)
            kept = [(s, t) for s, t in kept if s not in sources and t not in targets]
            kept += [(s, t) for s in sources for t in targets]
        return cls(src, tgt, src_spans, tgt_spans, kept, anchors)


def word_spans(text: str) -> list[Span]:
    """Return the spans of the words of a text: between white space, and single characters in scripts without spaces."""
    spans: list[Span] = []
    for match in re.finditer(r"\S+", text):
        word, start = match.group(), match.start()
        if not any(map(is_unspaced, word)):
            spans.append(match.span())
            continue
        numbers, count = word_numbers(list(word))
        for number in range(count):
            places = [at for at, own in enumerate(numbers) if number in own]
            spans.append((start + places[0], start + places[-1] + 1))
    return spans


def core(text: str, span: Span) -> Span:
    """Return the span of a word without the punctuation at its ends; a word of punctuation alone is its own core."""
    start, end = span
    while start < end and is_punctuation(text[start]):
        start += 1
    while start < end and is_punctuation(text[end - 1]):
        end -= 1
    return (start, end) if start < end else span


def overlapping(spans: Sequence[Span], span: Span) -> list[int]:
    """Return the numbers of the spans that have a character in common with a span."""
    return [number for number, (start, end) in enumerate(spans) if start < span[1] and span[0] < end]


def build_tree(elements: Sequence[InlineElement]) -> list[InlineElement]:
    """Return the outermost elements, with the others inside them. An element given earlier is the outer one.

    Raises:
        ValueError: two elements overlap, but neither contains the other.
    """
    first_wide: dict[int, int] = {}
    for number, node in enumerate(elements):
        if node.start < node.end:
            first_wide.setdefault(node.start, number)

    def order(item: tuple[int, InlineElement]) -> tuple[int, bool, bool, int, int]:
        """Return the key by which outer elements come first, and protected text behind all elements at its start."""
        number, node = item
        leads = node.start == node.end and number < first_wide.get(node.start, 0)
        protected = node.start < node.end and not node.closing
        return node.start, not leads, protected, -node.end, number

    roots: list[InlineElement] = []
    above: list[InlineElement] = []
    for _, node in sorted(enumerate(elements), key=order):
        while above and not contains(above[-1], node):
            if node.start < above[-1].end < node.end:
                raise ValueError(f"inline elements overlap at character {node.start}")
            above.pop()
        (above[-1].children if above else roots).append(node)
        if node.closing:
            above.append(node)
    return roots


def contains(outer: InlineElement, inner: InlineElement) -> bool:
    """Check if an element contains another one; one without width at its end is behind it."""
    if inner.start == inner.end:
        return outer.start <= inner.start < outer.end or outer.start == outer.end == inner.start
    return outer.start <= inner.start and inner.end <= outer.end


def place_all(alignment: WordAlignment, nodes: Sequence[InlineElement], source: str) -> int:
    """Place elements and all elements inside them in the target.

    Args:
        alignment: words of source and target.
        nodes: the outermost elements.
        source: the source with protected text.

    Returns:
        Number of elements with content that no word of the target is aligned to.
    """
    whole = (0, len(alignment.tgt_spans))
    return place(alignment, nodes, whole, (0, len(alignment.tgt)), source)


def place(alignment: WordAlignment, nodes: Sequence[InlineElement], within: Interval, area: Span, source: str) -> int:
    """Place sibling elements in an interval of target words and an area of characters; return as `place_all`."""
    wide = [node for node in nodes if node.plain[0] < node.plain[1]]
    words = linked_words(alignment, wide, within)
    taken: list[Interval] = []
    lost = 0
    for node, own in sorted(zip(wide, words, strict=True), key=lambda pair: not pair[1]):
        others = set().union(*words) - own
        if own:
            node.interval = best_interval(own, others)
        else:
            lost += 1
            node.interval = free_interval(alignment, node, within, taken)
        taken.append(node.interval)
        node.place = clip(characters(alignment, node), area)
        lost += place(alignment, node.children, node.interval, node.place, source)
    gaps: dict[int, int] = {}  # many elements can be before the same word
    for node in nodes:
        if node.plain[0] >= node.plain[1]:
            before = words_before(alignment, node.plain[0])
            if before not in gaps:
                gaps[before] = best_gap(alignment, before, within, taken)
            at, _ = clip((gap_character(alignment, node, gaps[before], source),) * 2, area)
            at = next((end for start, end in (other.place for other in wide) if start < at < end), at)
            node.place = (at, at)
    return lost


def linked_words(alignment: WordAlignment, nodes: Sequence[InlineElement], within: Interval) -> list[set[int]]:
    """Return the target words linked to the source words of each element; a word that two share is the first one's."""
    result: list[set[int]] = []
    cores = [core(alignment.src, span) for span in alignment.src_spans]
    taken: set[int] = set()
    for node in nodes:
        own = overlapping(cores, node.plain) or overlapping(alignment.src_spans, node.plain)
        words = {t for s, t in alignment.links if s in own and within[0] <= t < within[1]} - taken
        taken |= words
        result.append(words)
    return result


def best_interval(words: Set[int], others: Set[int]) -> Interval:
    """Return the interval with the best F1 score for a set of words, without a word of `others`.

    Precision is the share of the interval's words that are in the set, recall the share of the set that is in the
    interval.
    """
    ordered = sorted(words)
    best, result = -1.0, (ordered[0], ordered[0] + 1)
    for first, start in enumerate(ordered):
        for last, end in enumerate(ordered[first:], start=first):
            if any(start < other < end for other in others):
                break
            score = 2 * (last - first + 1) / (end - start + 1 + len(ordered))
            if score > best:
                best, result = score, (start, end + 1)
    return result


def free_interval(
    alignment: WordAlignment, node: InlineElement, within: Interval, taken: Sequence[Interval]
) -> Interval:
    """Return one word beside the gap of an element without linked words, or an empty interval if none is free."""
    gap = best_gap(alignment, words_before(alignment, node.plain[0]), within, taken)
    for start in (gap, gap - 1):
        if within[0] <= start < within[1] and not any(first <= start < last for first, last in taken):
            return start, start + 1
    return gap, gap


def words_before(alignment: WordAlignment, at: int) -> int:
    """Return the number of source words that start before a character."""
    return bisect_left(alignment.src_spans, at, key=lambda span: span[0])


def best_gap(alignment: WordAlignment, before: int, within: Interval, taken: Sequence[Interval]) -> int:
    """Return the target word before which a gap of the source belongs.

    It crosses the smallest number of links, each weighted by 1 / (1 + distance of its source word from the gap), and is
    not inside a taken interval.

    Args:
        alignment: words of source and target.
        before: number of source words before the gap.
        within: interval of target words.
        taken: intervals of other elements.
    """
    weights = [(s < before, t, 1 / (1 + (before - 1 - s if s < before else s - before))) for s, t in alignment.links]
    gaps = [gap for gap in range(within[0], within[1] + 1) if not any(start < gap < end for start, end in taken)]
    costs = [sum(weight for left, t, weight in weights if left != (t < gap)) for gap in gaps]
    return min(zip(costs, gaps, strict=True))[1] if gaps else within[0]


def characters(alignment: WordAlignment, node: InlineElement) -> Span:
    """Return the characters of an element's interval.

    Punctuation at the ends of the interval is outside unless the content of the element has some at this end.
    """
    first, last = node.interval
    spans = alignment.tgt_spans
    if first >= last:
        at = spans[first][0] if first < len(spans) else len(alignment.tgt)
        return at, at
    start, end = spans[first][0], spans[last - 1][1]
    content = alignment.src[slice(*node.plain)].strip()
    if content and not is_punctuation(content[0]):
        start = core(alignment.tgt, spans[first])[0]
    if content and not is_punctuation(content[-1]):
        end = core(alignment.tgt, spans[last - 1])[1]
    for src, tgt in alignment.anchors:
        if src[0] == node.plain[0] and spans[first][0] <= tgt[0] < spans[first][1]:
            start = tgt[0]
        if src[1] == node.plain[1] and spans[last - 1][0] < tgt[1] <= spans[last - 1][1]:
            end = tgt[1]
    return start, end


def gap_character(alignment: WordAlignment, node: InlineElement, gap: int, source: str) -> int:
    """Return the character of the target at which an element without width is placed, for a gap between words."""
    spans, tgt = alignment.tgt_spans, alignment.tgt
    if not spans:
        return 0
    before, after = source[: node.start][-1:], source[node.end :][:1]
    fixed = node.start < node.end
    if gap > 0 and after and is_punctuation(after) and (fixed or (before and not before.isspace())):
        return core(tgt, spans[gap - 1])[1]
    attached = not fixed and bool(before) and not before.isspace()
    if gap < len(spans):
        return spans[gap - 1][1] if gap > 0 and attached else spans[gap][0]
    return core(tgt, spans[-1])[1] if source[node.end :].strip() else spans[-1][1]


def clip(span: Span, area: Span) -> Span:
    """Return a span inside an area."""
    start, end = (min(max(at, area[0]), area[1]) for at in span)
    return start, end


@dataclass(frozen=True)
class MarkupPiece:
    """Piece of the output: text, an opening, closing or empty element, or protected text."""

    kind: str
    """text, open, close, empty or fixed."""
    text: str
    begin: str = ""
    """First visible character; of protected text without its markup."""
    end: str = ""
    """Last visible character."""
    before: bool = False
    """True if white space stood before protected text."""
    after: bool = False
    """True if white space stood behind it."""


def render(alignment: WordAlignment, nodes: Sequence[InlineElement], source: str, escape: Callable[[str], str]) -> str:
    """Return the target with all elements at their places and with spaces around protected text."""
    pieces = list(outputs(alignment.tgt, nodes, (0, len(alignment.tgt)), source, escape))
    result, last, space = "", "", False
    for number, piece in enumerate(pieces):
        if space and piece.kind != "close":
            result += " "
            space, last = False, " "
        if piece.kind == "fixed":
            glued = piece.before or (last.isalnum() and piece.begin.isalnum())
            if last and not last.isspace() and not opens(last) and glued:
                result += " "
            behind = next((other.begin for other in pieces[number + 1 :] if other.begin), "")
            wanted = piece.after or (piece.end.isalnum() and behind.isalnum())
            space = bool(behind) and wanted and not behind.isspace() and not closes(behind)
        result += piece.text
        last = piece.end or last
    return result


def outputs(
    text: str, nodes: Sequence[InlineElement], area: Span, source: str, escape: Callable[[str], str]
) -> Iterator[MarkupPiece]:
    """Yield the pieces of the output in an area of the target."""
    cursor = area[0]
    for node in sorted(nodes, key=lambda node: (node.place[0], node.place[1] > node.place[0])):
        start, end = node.place
        if start > cursor:
            yield MarkupPiece("text", escape(text[cursor:start]), text[cursor], text[start - 1])
        if node.plain[0] < node.plain[1]:
            yield MarkupPiece("open", node.opening)
            yield from outputs(text, node.children, node.place, source, escape)
            yield MarkupPiece("close", node.closing)
        elif content := source[node.start : node.end].strip():
            before, after = source[: node.start][-1:].isspace(), source[node.end :][:1].isspace()
            yield MarkupPiece("fixed", verbatim(node, source, escape), content[0], content[-1], before, after)
        else:
            yield MarkupPiece("empty", verbatim(node, source, escape))
        cursor = max(cursor, end)
    if area[1] > cursor:
        yield MarkupPiece("text", escape(text[cursor : area[1]]), text[cursor], text[area[1] - 1])


def verbatim(node: InlineElement, source: str, escape: Callable[[str], str]) -> str:
    """Return an element as in the source."""
    return node.opening + verbatim_content(node.children, (node.start, node.end), source, escape) + node.closing


def verbatim_content(nodes: Sequence[InlineElement], span: Span, source: str, escape: Callable[[str], str]) -> str:
    """Return a span of the source with the elements in it."""
    result, cursor = "", span[0]
    for node in nodes:
        result += escape(source[cursor : node.start]) + verbatim(node, source, escape)
        cursor = node.end
    return result + escape(source[cursor : span[1]])
