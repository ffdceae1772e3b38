"""Checks of a user's correction against the model that is to learn it."""

from nmt.data import UNK_ID, Correction, normalise
from nmt.data.sentence_ends import split_sentences
from nmt.decoding.lines import LineTranslator
from nmt.errors import UserError


def checked_correction(
    translator: LineTranslator, source: str, correction: str, translation: str, src_lang: str, tgt_lang: str
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
    encode_correction(translator, line, wanted, "the correction", src_lang)
    return Correction(text, wanted, normalise(translation), src_lang, tag[2:-1] if tag else tgt_lang)


def encode_correction(
    translator: LineTranslator, line: str, wanted: str, place: str, src_lang: str
) -> tuple[list[int], list[int]]:
    """Return the ids of a source line and of its wanted translation.

    A line of several sentences is refused even if it is short enough to be translated at once: documents and the page
    translate sentence by sentence, so the correction would not come out there.

    Args:
        translator: translator of the model that is to learn the correction.
        line: source sentence in normal form, with the tag of the target language if the model has tags.
        wanted: wanted translation in normal form.
        place: name of the correction in errors.
        src_lang: language code of the source, by whose rules sentences end; empty: that of the translator.

    Raises:
        UserError: a text is empty, the source lacks factors, has several sentences or is translated in several parts,
            or the vocabulary cannot write the wanted translation.
    """
    translator.src.check(line, place)
    text = translator.src.plain(translator.src.split_tag(line)[1])
    count = sum(bool(sentence.strip()) for sentence in split_sentences(text, src_lang or translator.src_lang))
    if count > 1:
        raise UserError(f"{place}: the source has {count} sentences; correct one sentence at a time")
    if len(translator.parts([line])[0]) > 1:
        raise UserError(f"{place}: the source is too long to be translated at once; correct a shorter sentence")
    [source], [target] = translator.src.encode([line]), translator.tgt.encode([wanted])
    if not source or not target:
        raise UserError(f"{place}: the {'correction' if source else 'source'} is empty; write the sentence there")
    if UNK_ID in target:
        word = next((word for word in wanted.split() if UNK_ID in translator.tgt.encode([word])[0]), wanted)
        raise UserError(f"{place}: the vocabulary of the model cannot write {word!r:.80}; use other words")
    return source, target
