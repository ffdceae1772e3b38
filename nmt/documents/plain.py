"""Translation of plain sentences by a `Translator`, with word alignment, for `nmt.documents.inline`."""

from collections.abc import Callable, Sequence

from nmt.config import DataConfig, SearchKind
from nmt.data import UNK_ID, normalise
from nmt.decoding import ConstraintBuilder, TargetConstraints, Translator, align_words
from nmt.documents.inline import PlainRequest, PlainTranslation, Translate

Constrain = Callable[[Sequence[PlainRequest]], Sequence[TargetConstraints] | None]
"""Function that returns the constraints of each sentence."""


def plain_translation(translator: Translator, constrain: Constrain | None = None) -> Translate:
    """Return the function that translates plain sentences with a translator, the best translation of each.

    Args:
        translator: the translator.
        constrain: function that returns the constraints of each sentence; None: those of `symbol_constraints`.
    """
    constraints_of = constrain or symbol_constraints(translator)
    attends = has_attention(translator)

    def translate(requests: Sequence[PlainRequest]) -> list[PlainTranslation]:
        """Translate plain sentences."""
        lines = [request.text for request in requests]
        best = [of_line[:1] for of_line in translator.translate(lines, constraints=constraints_of(requests))]
        links = align_words(translator, lines, best) if attends else None
        return [
            PlainTranslation(of_line[0].text, None if links is None else tuple(links[number][0]))
            for number, of_line in enumerate(best)
        ]

    return translate


def has_attention(translator: Translator) -> bool:
    """Check if the model has attention."""
    return translator.attention("", "") is not None


def symbol_constraints(translator: Translator) -> Constrain:
    """Return the function by which a beam search writes each placeholder symbol; other searches have no constraints."""
    builder = ConstraintBuilder(translator.tgt)

    def constrain(requests: Sequence[PlainRequest]) -> list[TargetConstraints] | None:
        """Return the constraints of each sentence."""
        if translator.config.kind != SearchKind.beam or not any(request.required for request in requests):
            return None
        return [builder.make("", request.required, "a sentence with protected text") for request in requests]

    return constrain


def writes_text(translator: Translator) -> Callable[[str], bool]:
    """Return the function that checks if the vocabularies can read and write a text without unknown pieces."""

    def writes(text: str) -> bool:
        """Check if the source has pieces for a text, and the target can write it."""
        line = normalise(text)
        src, tgt = translator.src.encode([line])[0], translator.tgt.encode([line])
        return line == text and UNK_ID not in src and translator.tgt.decode(tgt) == [line]

    return writes


def placeholder_symbols(translator: Translator, data: DataConfig) -> tuple[str, ...]:
    """Return the user symbols of a run that stand for protected text: those without a space that both sides write.

    A tag of a target language, such as <2de>, is not one of them.
    """
    writes = writes_text(translator)
    tags = set(translator.src.tags)
    return tuple(symbol for symbol in data.tokenizer.user_symbols if symbol not in tags and writes(symbol))
