"""Terms put in place of the words that a translation has for them, as further hypotheses of a constrained search.

A constrained beam search may put a term that the model finds unlikely at any place, and keep the word that it prefers.
The translation with that word replaced contains the term too. Of both, the one counts whose terms alone are aligned to
their source terms, and otherwise the one with the better score of the model.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence

from nmt.data import normalise
from nmt.decoding import Candidate, Translator
from nmt.decoding.alignment import Link
from nmt.decoding.search import length_norm
from nmt.documents.placing import WordAlignment, best_interval, core, overlapping
from nmt.documents.protection import Span
from nmt.evaluation.confidence import piece_log_probs


def substituted(line: str, translation: str, links: Sequence[Link], forms: Mapping[Span, str]) -> str | None:
    """Return a translation with other words for some spans of its source.

    Args:
        line: source sentence.
        translation: its translation.
        links: links of their words.
        forms: text for the target words that are linked to each span of the source.

    Returns:
        None if a span has no linked word, or two spans have the same.
    """
    alignment = WordAlignment.of(line, translation, links, ())
    edits: list[tuple[int, int, str]] = []
    for span, form in forms.items():
        own = overlapping([core(line, word) for word in alignment.src_spans], span)
        words = {tgt for src, tgt in alignment.links if src in own}
        if not words:
            return None
        first, last = best_interval(words, set())
        start = core(translation, alignment.tgt_spans[first])[0]
        end = core(translation, alignment.tgt_spans[last - 1])[1]
        edits.append((start, end, form))
    edits.sort()
    if any(first[1] > second[0] for first, second in itertools.pairwise(edits)):
        return None
    for start, end, form in reversed(edits):
        translation = translation[:start] + form + translation[end:]
    return translation


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
        places = [match.span() for match in re.finditer(re.escape(form), translation, re.IGNORECASE)]
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
