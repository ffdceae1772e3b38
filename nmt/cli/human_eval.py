"""nmt-human-eval: have people judge translations: write blind sheets, read the answers, score the systems."""

import json
import logging
import sys
from collections.abc import Sequence

import torch
from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ACTIONS, HumanEvalConfig, from_hydra, user_path
from nmt.errors import UserError
from nmt.lab.comparison.report import show_tables
from nmt.lab.judgements.answers import one_per_item, read_ratings, read_sheet, write_ratings
from nmt.lab.judgements.checks import CheckLimits, check_raters
from nmt.lab.judgements.design import Sizes, make_design
from nmt.lab.judgements.export import write_campaign
from nmt.lab.judgements.judged_systems import systems_of_files, systems_of_runs
from nmt.lab.judgements.key_file import read_key
from nmt.lab.judgements.pearmut import is_pearmut_file, read_annotations
from nmt.lab.judgements.report import correlations_of, evaluate_ratings, evaluation_tables, write_evaluation
from nmt.metrics import Comet, check_tokenizer

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    app.first_word(cfg, "action", ACTIONS)
    config = from_hydra(HumanEvalConfig, cfg)
    {"export": export, "import": import_answers, "score": score}[config.action](config)


def export(config: HumanEvalConfig) -> None:
    folder = app.new_path(config.folder, "folder")
    if config.runs:
        judged = systems_of_runs(config.runs, config.split)
    else:
        assert config.src is not None
        assert config.ref is not None
        judged = systems_of_files(config.hyps, config.src, config.ref)
    sizes = Sizes(config.sentences, config.raters, config.ratings, config.repeats, config.damaged)
    test = judged.test
    design = make_design(config.kind, test.name, test.src, test.references[0], judged.systems, sizes, config.seed)
    try:
        key, *paths = write_campaign(design, folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}; choose another folder") from None
    for path in paths:
        print(path)
    items = ", ".join(str(len(sheet)) for sheet in design.sheets)
    log.info("items per sheet: %s. Keep %s from the raters: it names the systems", items, key)


def import_answers(config: HumanEvalConfig) -> None:
    folder = user_path(config.folder)
    design = read_key(folder)
    ratings, empty = [], []
    for name in config.answers:
        path = user_path(name)
        found = read_annotations(path, design) if is_pearmut_file(path) else read_sheet(path, design)
        ratings += found
        if not found:
            empty.append(name)
    if not ratings:
        files = f"{' and '.join(empty)} {'has' if len(empty) == 1 else 'have'}"
        raise UserError(f"{files} no answers; give filled sheets")
    for name in empty:
        log.warning("%s has no answers", name)
    ratings = one_per_item(ratings, ", ".join(config.answers))
    written = write_ratings(ratings, folder)
    for check in check_raters(ratings, design, CheckLimits.of(config, design.kind)):
        answered = {rating.item for rating in ratings if rating.rater == check.rater}
        items = sum(len(sheet) for sheet in design.sheets if any(item.id in answered for item in sheet))
        verdict = "; ".join(check.failures) or "passed the checks"
        print(f"{check.rater}: {check.answered} of {items} items, {verdict}")
    log.info("wrote %s; score the systems with: nmt-human-eval score folder=%s", written, folder)


def score(config: HumanEvalConfig) -> None:
    check_tokenizer(config.bleu_tokenize)
    output = None if config.output is None else app.new_path(config.output)
    folder = user_path(config.folder)
    design = read_key(folder)
    limits = CheckLimits.of(config, design.kind)
    evaluation = evaluate_ratings(design, read_ratings(folder, design), limits, config.exclude_failed)
    comet = Comet(config.comet, torch.cuda.is_available()) if config.comet else None
    correlations = correlations_of(evaluation, config.bleu_tokenize, comet)
    tables = evaluation_tables(evaluation, correlations, limits)
    try:
        show_tables(tables)
        sys.stdout.flush()
    finally:  # write the files even if standard output fails
        if output is not None:
            write_evaluation(evaluation, correlations, tables, output)
            log.info("wrote human_eval.md and human_eval.json to %s", output)


def with_action_as_key(words: Sequence[str]) -> list[str]:
    """Return the command line with the action as `action=WORD`.

    The action is the word that names one. If there is none, the first word without a key takes its place, so that its
    error lists the actions. The word after an option is its value.
    """
    if any(word in ACTIONS for word in words):
        return [f"action={word}" if word in ACTIONS else word for word in words]
    for at, (before, word) in enumerate(zip(["", *words], words, strict=False)):
        if "=" not in word and not word.startswith("-") and not before.startswith("-"):
            return [*words[:at], f"action={json.dumps(word, ensure_ascii=False)}", *words[at + 1 :]]
    return list(words)


def main() -> None:
    sys.argv[1:] = with_action_as_key(sys.argv[1:])
    app.run("human_eval", command)


if __name__ == "__main__":
    main()
