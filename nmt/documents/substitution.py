"""Terms put in place of the words that a translation has for them, as further hypotheses of a constrained search.

A constrained beam search may put a term that the model finds unlikely at any place, and keep the word that it prefers.
The translation with that word replaced contains the term too. Of both, the one counts whose terms alone are aligned to
their source terms, and otherwise the one with the better score of the model.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmt.data import normalise
from nmt.decoding import Candidate, Translator
from nmt.decoding.alignment import Link
from nmt.decoding.search import length_norm
from nmt.documents.placing import WordAlignment, best_interval, core, overlapping, word_spans
from nmt.documents.protection import Span
from nmt.evaluation.confidence import piece_log_probs


@dataclass(frozen=True)
class Substitution:
    """Translation with other words for some spans of its source."""

    text: str
    links: list[Link]
    """Links of its words: those of each new text to the words of its span, the others as before."""
    replaced: tuple[str, ...]
    """Texts that the new ones replace."""


def substituted(line: str, translation: str, links: Sequence[Link], forms: Mapping[Span, str]) -> Substitution | None:
    """Return a translation with other words for some spans of its source.

    The links are not computed again, because attention to a word that the model finds unlikely is not reliable.

    Args:
        line: source sentence.
        translation: its translation.
        links: links of their words.
        forms: text for the target words that are linked to each span of the source.

    Returns:
        None if a span has no linked word, or two spans have the same.
    """
    alignment = WordAlignment.of(line, translation, links, ())
    known = list(alignment.links)
    edits: list[tuple[int, int, str, list[int]]] = []
    for span, form in forms.items():
        own = overlapping([core(line, word) for word in alignment.src_spans], span)
        known = shared(known, own)
        words = {tgt for src, tgt in known if src in own}
        if not words:
            return None
        first, last = best_interval(words, set())
        start = core(translation, alignment.tgt_spans[first])[0]
        end = core(translation, alignment.tgt_spans[last - 1])[1]
        edits.append((start, end, form, own))
    edits.sort()
    if any(first[1] > second[0] for first, second in itertools.pairwise(edits)):
        return None
    text, at, places = "", 0, list[Span]()
    for start, end, form, _ in edits:
        text += translation[at:start]
        places.append((len(text), len(text) + len(form)))
        text, at = text + form, end
    text += translation[at:]
    spans = word_spans(text)
    new = {tgt: edit[3] for place, edit in zip(places, edits, strict=True) for tgt in overlapping(spans, place)}
    inside = {tgt for start, end, *_ in edits for tgt in overlapping(alignment.tgt_spans, (start, end))}
    kept_before = [tgt for tgt in range(len(alignment.tgt_spans)) if tgt not in inside]
    kept_after = [tgt for tgt in range(len(spans)) if tgt not in new]
    moved = dict(zip(kept_before, kept_after, strict=False))
    result = [(src, moved[tgt]) for src, tgt in known if tgt in moved]
    result += [(src, tgt) for tgt, sources in new.items() for src in sources]
    result.sort(key=lambda link: link[::-1])
    return Substitution(text, result, tuple(translation[start:end] for start, end, *_ in edits))


def shared(links: Sequence[Link], own: Sequence[int]) -> list[Link]:
    """Return the links after words beside a term got their share of its target words.

    A term with more target words than its own number may have taken the one of a neighbour without any, as of a
    possessive: the first one is that of the word before it, and the last one that of the word behind it.

    Args:
        links: links of words.
        own: numbers of the source words of the term, in order.
    """
    words = sorted({tgt for src, tgt in links if src in own})
    linked = {src for src, _ in links}
    given: dict[int, int] = {}
    last = max((src for src, _ in links), default=0)
    for neighbour, at in ((own[0] - 1, 0), (own[-1] + 1, -1)) if own else ():
        if len(words) > len(own) and 0 <= neighbour < last and neighbour not in linked:
            given[words.pop(at)] = neighbour
    return [(given.get(tgt, src) if src in own else src, tgt) for src, tgt in links]


def carried(
    line: str, free: tuple[str, Sequence[Link]], other: tuple[str, Sequence[Link]], forms: Mapping[Span, str]
) -> list[Link]:
    """Return the links of a translation with forms that the model finds unlikely.

    The words of a form are linked to its span alone. A word that occurs once in this and in the free translation has
    the links that it has there, and another word keeps its own.

    Args:
        line: source sentence.
        free: free translation and the links of its words.
        other: translation with the forms and the links of its words.
        forms: form of each span of the source.
    """
    before, after = WordAlignment.of(line, *free, ()), WordAlignment.of(line, *other, ())
    texts, others = (
        [each.tgt[slice(*core(each.tgt, span))].casefold() for span in each.tgt_spans] for each in (before, after)
    )
    sources: list[list[int]] = []
    for tgt, text in enumerate(others):
        known = texts.count(text) == 1 == others.count(text)
        links, at = (before.links, texts.index(text)) if known else (after.links, tgt)
        sources.append([src for src, linked in links if linked == at])
    for span, form in forms.items():
        places = form_places(other[0], form)
        if len(places) == 1:
            own = overlapping([core(line, word) for word in after.src_spans], span)
            for tgt in overlapping(after.tgt_spans, places[0]):
                sources[tgt] = own
    return [(src, tgt) for tgt, own in enumerate(sources) for src in own]


def form_places(text: str, form: str) -> list[Span]:
    """Return the spans of a text that have a form, in any case."""
    return [match.span() for match in re.finditer(re.escape(form), text, re.IGNORECASE)]


def placement(line: str, translation: str, links: Sequence[Link], forms: Mapping[Span, str]) -> tuple[int, int]:
    """Return how well a translation has the forms in place of the spans of its source.

    The first number is that of the spans which are linked to a word of their form. The second one is minus the number
    of other words that are linked to the spans: a translation that has a term beside another word for it has more.

    Args:
        line: source sentence.
        translation: its translation.
        links: links of their words.
        forms: form of each span of the source.
    """
    alignment = WordAlignment.of(line, translation, links, ())
    placed = others = 0
    for span, form in forms.items():
        sources = overlapping(alignment.src_spans, span)
        places = form_places(translation, form)
        targets = {tgt for place in places for tgt in overlapping(alignment.tgt_spans, place)}
        linked = {tgt for src, tgt in alignment.links if src in sources}
        placed += bool(linked & targets)
        others += len(linked - targets)
    return placed, -others


def rescored(translator: Translator, lines: Sequence[str], texts: Sequence[str]) -> list[Candidate | None]:
    """Return the texts as candidates with the score that search would give them; None for a line in several parts.

    The score of a text is that of one segmentation into pieces, and has no coverage penalty.
    """
    parts = translator.parts(lines)
    whole = [number for number, of_line in enumerate(parts) if len(of_line) == 1]
    pieces = translator.tgt.encode([normalise(texts[number]) for number in whole])
    log_probs = piece_log_probs(translator, [parts[number][0].ids for number in whole], pieces)
    result: list[Candidate | None] = [None] * len(lines)
    for number, tokens, of_tokens in zip(whole, pieces, log_probs, strict=True):
        log_prob = math.fsum(of_tokens)
        score = log_prob / float(length_norm(len(tokens) + 1, translator.config))
        result[number] = Candidate(translator.text_of(tokens), log_prob, score, [tokens])
    return result
