"""Checks of a user's correction against the model that is to learn it."""

from nmt.data import UNK_ID, Correction, normalise
from nmt.decoding.translator import Translator
from nmt.errors import UserError


def checked_correction(
    translator: Translator, source: str, correction: str, translation: str, src_lang: str, tgt_lang: str
) -> Correction:
    """Return a user's correction in normal form, if the translator's model can learn it.

    Args:
        translator: translator that made the translation.
        source: source sentence; if it begins with the tag of a target language, that is its target language.
        correction: wanted translation.
        translation: translation by the model.
        src_lang: language code of the source.
        tgt_lang: language code of the target of lines without a tag.

    Raises:
        UserError: as `encode_correction`, or a text is empty.
    """
    line, wanted = normalise(source), normalise(correction)
    tag, text = translator.src.split_tag(line)
    encode_correction(translator, line, wanted, "the correction")
    return Correction(text, wanted, normalise(translation), src_lang, tag[2:-1] if tag else tgt_lang)


def encode_correction(translator: Translator, line: str, wanted: str, place: str) -> tuple[list[int], list[int]]:
    """Return the ids of a source line and of its wanted translation; `place` names the correction in errors.

    Raises:
        UserError: a text is empty, the source lacks factors or is translated in several parts, or the vocabulary cannot
            write the wanted translation.
    """
    translator.src.check(line, place)
    parts = translator.parts([line])[0]
    if len(parts) > 1:
        raise UserError(f"{place}: the source has several sentences or is too long; correct one sentence at a time")
    [source], [target] = translator.src.encode([line]), translator.tgt.encode([wanted])
    if not source or not target:
        raise UserError(f"{place}: the {'correction' if source else 'source'} is empty; write the sentence there")
    if UNK_ID in target:
        word = next((word for word in wanted.split() if UNK_ID in translator.tgt.encode([word])[0]), wanted)
        raise UserError(f"{place}: the vocabulary of the model cannot write {word!r:.80}; use other words")
    return source, target
