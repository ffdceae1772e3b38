"""Translation of a document by the command `translate`."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from nmt.config import DataConfig, DocumentFormat, TranslateConfig, user_path
from nmt.data import STANDARD
from nmt.decoding import Translator
from nmt.documents.document import Escape, translate_document
from nmt.documents.inline import InlineCounts, Segment, translate_segments
from nmt.documents.journal import digest_of
from nmt.documents.parsed import Languages
from nmt.documents.plain import placeholder_symbols, plain_translation, writes_text

log = logging.getLogger(__name__)


def translate_as_document(
    translator: Translator, config: TranslateConfig, kind: DocumentFormat, data: DataConfig, weights: str
) -> None:
    """Translate a document, and report how its markup was kept.

    Args:
        translator: the translator.
        config: configuration of the command.
        kind: format of the document.
        data: data configuration of the run.
        weights: digest of the model's weights.
    """
    translate = plain_translation(translator)
    symbols, writes, counts = placeholder_symbols(translator, data), writes_text(translator), InlineCounts()

    def translate_markup(segments: Sequence[Segment], escape: Escape) -> list[str]:
        """Translate sentences with markup."""
        return translate_segments(translate, segments, escape=escape, symbols=symbols, writes=writes, counts=counts)

    languages = Languages(translator.src_lang, config.tgt_lang or data.tgt_lang)
    settings = digest_of(weights, asdict(translator.config), symbols)
    source = user_path(config.input or STANDARD)
    translate_document(translate_markup, source, config.output, kind, languages, settings)
    if summary := counts.summary():
        log.info("%s", summary)
