"""nmt-translate: translate interactively on a terminal, as a filter in a pipe, or from file to file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.file_translation import translate_file
from nmt.cli.app.prompt import Prompt
from nmt.cli.app.sources import open_source, trained_search
from nmt.config import TranslateConfig, user_path, with_search
from nmt.data import STANDARD, check_new_text_file
from nmt.decoding import LineTranslator
from nmt.decoding.constraint_files import read_constraints
from nmt.errors import UserError
from nmt.export import ExportedFolder, exported_translator, refuse_run_settings

if TYPE_CHECKING:  # an exported folder is translated without torch
    from nmt.config import SearchConfig
    from nmt.run import RunDirectory


def command(cfg: DictConfig) -> None:
    run = open_source(app.required(cfg, "run"))
    config, search = with_search(TranslateConfig, cfg, trained_search(run))
    for key, path in (("output", config.output), ("alignments", config.alignments)):
        if path is not None:
            check_new_text_file(path, key)
    interactive = config.input is None and sys.stdin is not None and sys.stdin.isatty()
    if config.alignments is not None and interactive:
        raise UserError("alignments needs a text; give input=FILE or a pipe, or type :attention at the prompt")
    if interactive and (config.prefixes or config.constraints):
        raise UserError(
            "prefixes and constraints need a text; give input=FILE, or type :prefix and :hold at the prompt"
        )
    translator: LineTranslator
    if isinstance(run, ExportedFolder):
        keys = ("ensemble", "alignments", "constraints", "checkpoint")
        refuse_run_settings(run, {key: getattr(config, key) for key in keys})
        translator = exported_translator(run, config.machine, search)
    else:
        translator = run_translator(run, config, search)
    translator.set_languages(config.src_lang, config.tgt_lang)
    if config.alignments is not None and translator.attention("", "") is None:
        raise UserError(f"alignments={config.alignments}: {run.path} has no attention; leave alignments out")
    if interactive:
        Prompt(translator, config.prefix or "").loop()
        return
    constraints = read_constraints(config, translator.tgt)
    translate_file(translator, user_path(config.input or STANDARD), config.output, config.alignments, constraints)


def run_translator(run: RunDirectory, config: TranslateConfig, search: SearchConfig) -> LineTranslator:
    """Return the translator of a run, or of several as an ensemble."""
    from nmt.decoding import load_translator
    from nmt.run import RunDirectory
    from nmt.runtime import setup_runtime

    runtime = setup_runtime(config.machine)
    others = [RunDirectory.open(path) for path in config.ensemble]
    translator, _ = load_translator(run, config.checkpoint, search, runtime.device, others)
    runtime.lower_precision(translator)
    return translator


def main() -> None:
    app.run("translate", command)


if __name__ == "__main__":
    main()
