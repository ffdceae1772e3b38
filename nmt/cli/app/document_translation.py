"""Translation of a document by the command `translate`."""

from dataclasses import asdict

from nmt.cli.app.terms_and_tags import TermsAndTags
from nmt.config import DataConfig, DocumentFormat, TranslateConfig, user_path
from nmt.data import STANDARD
from nmt.decoding import Translator
from nmt.documents.document import translate_document
from nmt.documents.journal import digest_of
from nmt.documents.parsed import LanguagePair


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
    handling = TermsAndTags(translator, config, data)
    languages = LanguagePair(translator.src_lang, config.tgt_lang or data.tgt_lang)
    settings = digest_of(weights, asdict(translator.config), handling.settings())
    source = user_path(config.input or STANDARD)
    translate_document(handling.translate_markup, source, config.output, kind, languages, settings)
    handling.finish()
