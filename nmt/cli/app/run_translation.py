"""Translation with a run by the command `translate`; it needs torch."""

import logging
import sys

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.document_translation import check_search_of_documents, translate_as_document
from nmt.cli.app.file_translation import translate_file
from nmt.cli.app.output_columns import ColumnWriter
from nmt.cli.app.prompt import Prompt, refuse_at_prompt
from nmt.cli.app.terms_and_tags import TermsAndTags
from nmt.config import OutputFormat, TranslateConfig, user_path, with_search
from nmt.data import STANDARD, check_new_corrections, check_new_text_file
from nmt.decoding import load_translator
from nmt.decoding.constraint_files import read_constraints
from nmt.documents.journal import digest_of, digest_weights
from nmt.documents.plain import has_attention
from nmt.errors import UserError
from nmt.evaluation.calibration import calibration_for
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def translate_with_run(cfg: DictConfig) -> None:
    """Translate with a run, or with several as an ensemble."""
    run = RunDirectory.open(app.required(cfg, "run"))
    config, search = with_search(TranslateConfig, cfg, run.config().search)
    if config.document is not None:
        check_search_of_documents(search.n_best)
    for key, path in (("output", config.output), ("alignments", config.alignments)):
        if path is not None and not config.overwrite:
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
    if interactive:
        refuse_at_prompt(config)
    runtime = setup_runtime(config.machine)
    others = [RunDirectory.open(path) for path in config.ensemble]
    translator, step = load_translator(run, config.checkpoint, search, runtime.device, others)
    translator.set_languages(config.src_lang, config.tgt_lang)
    model = digest_of(digest_weights(translator.model), runtime.translate_in) if config.document is not None else ""
    runtime.prepare_search(translator)
    if config.alignments is not None and not translator.attends:
        raise UserError(f"alignments={config.alignments}: {run.path} has no attention; leave alignments out")
    if interactive:
        data = run.config().data
        languages = (config.src_lang or data.src_lang, config.tgt_lang or data.tgt_lang)
        Prompt(translator, config.prefix or "", config.corrections, languages).loop()
        return
    if config.document is not None:
        translate_as_document(translator, config, config.document, run.config().data, model)
        return
    handling = TermsAndTags(translator, config, run.config().data)
    columns = None
    if config.output_format != OutputFormat.text:
        calibration, unused = (None, "") if others else calibration_for(run, step)
        if unused:
            log.warning(unused)
        columns = ColumnWriter(translator, config.output_format, has_attention(translator), calibration)
    translate_file(
        translator,
        user_path(config.input or STANDARD),
        config.output,
        config.alignments,
        read_constraints(config, translator.tgt),
        handling if handling.needed else None,
        columns,
    )
    handling.finish()
