"""nmt-translate: translate interactively on a terminal, as a filter in a pipe, or from file to file."""

import sys

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.file_translation import translate_file
from nmt.cli.app.prompt import Prompt
from nmt.config import TranslateConfig, user_path, with_search
from nmt.data import STANDARD, check_new_corrections, check_new_text_file
from nmt.decoding import load_translator
from nmt.decoding.constraint_files import read_constraints
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    config, search = with_search(TranslateConfig, cfg, run.config().search)
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
    if config.corrections is not None:
        if not interactive:
            raise UserError("corrections is for the prompt, and standard input is not a terminal; leave it out")
        check_new_corrections(user_path(config.corrections))
    runtime = setup_runtime(config.machine)
    others = [RunDirectory.open(path) for path in config.ensemble]
    translator, _ = load_translator(run, config.checkpoint, search, runtime.device, others)
    translator.set_languages(config.src_lang, config.tgt_lang)
    runtime.lower_precision(translator)
    if config.alignments is not None and translator.attention("", "") is None:
        raise UserError(f"alignments={config.alignments}: {run.path} has no attention; leave alignments out")
    if interactive:
        data = run.config().data
        languages = (config.src_lang or data.src_lang, config.tgt_lang or data.tgt_lang)
        Prompt(translator, config.prefix or "", config.corrections, languages).loop()
        return
    constraints = read_constraints(config, translator.tgt)
    translate_file(translator, user_path(config.input or STANDARD), config.output, config.alignments, constraints)


def main() -> None:
    app.run("translate", command)


if __name__ == "__main__":
    main()
