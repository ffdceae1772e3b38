"""Translation with an exported folder by the command `translate`, without torch."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.file_translation import translate_file
from nmt.cli.app.prompt import Prompt
from nmt.config import OutputFormat, TranslateConfig, user_path, with_search
from nmt.data import STANDARD, check_new_text_file
from nmt.decoding.constraint_files import read_constraints
from nmt.errors import UserError
from nmt.export import exported_translator, open_export, refuse_run_settings

RUN_KEYS = (
    *("ensemble", "alignments", "constraints", "checkpoint"),
    *("protect", "glossary", "glossary_report", "corrections"),
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
    given |= {"documents": config.document, "output_format": config.output_format != OutputFormat.text}
    refuse_run_settings(folder, given)
    if config.output is not None and not config.overwrite:
        check_new_text_file(config.output, "output")
    interactive = config.input is None and sys.stdin is not None and sys.stdin.isatty()
    if interactive and config.prefixes:
        raise UserError("prefixes needs a text; give input=FILE, or type :prefix at the prompt")
    translator = exported_translator(folder, config.machine, search)
    translator.set_languages(config.src_lang, config.tgt_lang)
    if interactive:
        Prompt(translator, config.prefix or "").loop()
        return
    source: Path = user_path(config.input or STANDARD)
    translate_file(translator, source, config.output, None, read_constraints(config, translator.tgt))
