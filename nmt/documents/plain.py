"""Translation of plain sentences by a translator, with word alignment, for `nmt.documents.inline`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nmt.config import DataConfig, SearchKind
from nmt.data import UNK_ID, normalise
from nmt.decoding import (
    Candidate,
    ConstraintBuilder,
    LineTranslator,
    TargetConstraints,
    align_words,
)
from nmt.documents.inline import PlainRequest, PlainTranslation, Translate

if TYPE_CHECKING:  # it needs torch
    from nmt.documents.terms import TermTranslation


def plain_translation(translator: LineTranslator, terms: TermTranslation | None = None) -> Translate:
    """Return the function that translates plain sentences with a translator, the best translation of each.

    Args:
        translator: the translator.
        terms: translation of the same translator with a glossary; None: without terms.
    """
    builder = ConstraintBuilder(translator.tgt)
    attends = has_attention(translator)

    def translate(requests: Sequence[PlainRequest]) -> list[PlainTranslation]:
        """Translate plain sentences."""
        lines = [request.text for request in requests]
        if terms is None:
            found = translator.translate(lines, constraints=symbol_constraints(translator, builder, requests))
            return aligned(translator, lines, [of_line[0] for of_line in found], attends)
        results = terms(lines, [request.required for request in requests])
        translations = aligned(translator, lines, [result.candidate for result in results], attends)
        return [
            replace(
                translation,
                notes=result.uses,
                links=translation.links if result.links is None else tuple(result.links),
            )
            for translation, result in zip(translations, results, strict=True)
        ]

    return translate


def aligned(
    translator: LineTranslator, lines: Sequence[str], best: Sequence[Candidate], attends: bool
) -> list[PlainTranslation]:
    """Return the translations of sentences with the links of their words, if the model has attention."""
    if not attends:
        return [PlainTranslation(candidate.text, None) for candidate in best]
    links = align_words(translator, lines, [[candidate] for candidate in best], punctuation=False)
    return [PlainTranslation(candidate.text, tuple(of_line[0])) for candidate, of_line in zip(best, links, strict=True)]


def has_attention(translator: LineTranslator) -> bool:
    """Check if the model has attention."""
    return translator.attends


def symbol_constraints(
    translator: LineTranslator, builder: ConstraintBuilder, requests: Sequence[PlainRequest]
) -> list[TargetConstraints] | None:
    """Return constraints by which a beam search writes each placeholder symbol; None for other searches."""
    if translator.config.kind != SearchKind.beam or not any(request.required for request in requests):
        return None
    return [builder.make("", request.required, "a sentence with protected text") for request in requests]


def writes_text(translator: LineTranslator) -> Callable[[str], bool]:
    """Return the function that checks if the vocabularies can read and write a text without unknown pieces."""

    def writes(text: str) -> bool:
        """Check if the source has pieces for a text, and the target can write it."""
        line = normalise(text)
        src, tgt = translator.src.encode([line])[0], translator.tgt.encode([line])
        return line == text and UNK_ID not in src and translator.tgt.decode(tgt) == [line]

    return writes


def placeholder_symbols(translator: LineTranslator, data: DataConfig) -> tuple[str, ...]:
    """Return the user symbols of a run that can stand for protected text: those that both sides write.

    A tag of a target language, such as <2de>, is not one of them.
    """
    writes = writes_text(translator)
    tags = set(translator.src.tags)
    return tuple(symbol for symbol in data.tokenizer.user_symbols if symbol not in tags and writes(symbol))
