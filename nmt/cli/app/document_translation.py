"""Translation of a document by the command `translate`."""

from dataclasses import asdict

from nmt.cli.app.terms_and_tags import TermsAndTags
from nmt.config import DataConfig, DocumentFormat, TranslateConfig, user_path
from nmt.data import STANDARD
from nmt.decoding import LineTranslator
from nmt.documents.document import translate_document
from nmt.documents.journal import digest_of
from nmt.documents.parsed import LanguagePair
from nmt.errors import UserError


def check_search_of_documents(n_best: int) -> None:
    """Raise a UserError if the search returns several translations."""
    if n_best > 1:
        raise UserError(f"search.n_best={n_best}: a document has one translation; give search.n_best=1")


def translate_as_document(
    translator: LineTranslator, config: TranslateConfig, kind: DocumentFormat, data: DataConfig, model: str
) -> None:
    """Translate a document, and report how its markup was kept.

    Args:
        translator: the translator.
        config: configuration of the command.
        kind: format of the document.
        data: data configuration of the run.
        model: digest of the model's weights and their precision.
    """
    handling = TermsAndTags(translator, config, data)
    languages = LanguagePair(translator.src_lang, config.tgt_lang or data.tgt_lang)
    settings = digest_of(model, asdict(translator.config), handling.settings())
    source = user_path(config.input or STANDARD)
    translate_document(handling.translate_markup, source, config.output, kind, languages, settings)
    handling.finish()
