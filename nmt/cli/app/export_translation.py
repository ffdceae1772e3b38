"""Translation with an exported folder by the command `translate`, without torch."""

import sys

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.document_translation import check_search_of_documents, translate_as_document
from nmt.cli.app.file_translation import translate_file
from nmt.cli.app.prompt import Prompt, refuse_at_prompt
from nmt.cli.app.terms_and_tags import TermsAndTags
from nmt.config import DataConfig, OutputFormat, TranslateConfig, user_path, with_search
from nmt.data import STANDARD, check_new_text_file, sha256_of
from nmt.decoding.constraint_files import read_constraints
from nmt.errors import UserError
from nmt.export import exported_translator, open_export, refuse_run_settings
from nmt.export.folder import SUMS

RUN_KEYS = (
    *("ensemble", "alignments", "constraints", "checkpoint"),
    *("glossary", "glossary_report", "corrections"),
)
"""Keys that need the run."""


def translate_with_export(cfg: DictConfig) -> None:
    """Translate with an exported folder.

    Raises:
        UserError: the folder is damaged, or a setting needs the run.
    """
    folder = open_export(app.required(cfg, "run"))
    config, search = with_search(TranslateConfig, cfg, folder.settings.search)
    given = {key: getattr(config, key) for key in RUN_KEYS}
    refuse_run_settings(folder, given | {"output_format": config.output_format != OutputFormat.text})
    if config.document is not None:
        check_search_of_documents(search.n_best)
    if config.output is not None and not config.overwrite:
        check_new_text_file(config.output, "output")
    interactive = config.input is None and sys.stdin is not None and sys.stdin.isatty()
    if interactive and config.prefixes:
        raise UserError("prefixes needs a text; give input=FILE, or type :prefix at the prompt")
    if interactive:
        refuse_at_prompt(config)
    translator = exported_translator(folder, config.machine, search)
    translator.set_languages(config.src_lang, config.tgt_lang)
    if interactive:
        Prompt(translator, config.prefix or "").loop()
        return
    src_lang, tgt_lang = folder.settings.directions[0]
    data = DataConfig(src_lang=src_lang, tgt_lang=tgt_lang)
    if config.document is not None:
        translate_as_document(translator, config, config.document, data, sha256_of(folder.path / SUMS))
        return
    handling = TermsAndTags(translator, config, data)
    translate_file(
        translator,
        user_path(config.input or STANDARD),
        config.output,
        constraints=read_constraints(config, translator.tgt),
        handling=handling if handling.needed else None,
    )
    handling.finish()
