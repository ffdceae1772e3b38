"""nmt-evaluate: score a run on a split, on a test set of sacrebleu, or on the user's files."""

import hashlib
import json
import logging
import sys
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import Config, EvaluateConfig, user_path, with_described_tests, with_location, with_search
from nmt.data import Tokenizer, is_regular
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations, scores_name, show_scores
from nmt.metrics import Comet, check_tokenizer
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    trained = run.config()
    config, search = with_search(EvaluateConfig, cfg, trained.search)
    check_tokenizer(trained.data.bleu_tokenize)
    folder = scores_folder(config, run)
    runtime = setup_runtime(config.machine)
    others = [RunDirectory.open(path) for path in config.ensemble]
    # Acquire everything that can fail (test sets, COMET model) before decoding.
    tests = select_test_sets(config, run, trained)
    comet = Comet(config.comet, runtime.device.type == "cuda") if config.comet else None
    translator, step = load_translator(run, config.checkpoint, search, runtime.device, others)
    translator.set_languages(config.src_lang, config.tgt_lang)
    runtime.prepare_search(translator)
    suffix = f".ensemble.{digest(*config.ensemble)}" if others else ""  # keeps the scores of the run alone
    chosen = {"checkpoint": run.checkpoint_link(config.checkpoint), "ensemble": config.ensemble, **own_files(config)}
    for name, test in tests.items():
        stem = folder / (config.name or name + suffix)
        scored = score_translations(test, translator, step, trained, chosen, comet)
        if len(tests) > 1:
            print(f"{name}, {len(test.src):,} sentences:")
        show_scores(scored.scores)
        sys.stdout.flush()
        scored.keep(stem)
        log.info("wrote the scores to %s.json and the translations to %s.hyp", stem, stem)


def scores_folder(config: EvaluateConfig, run: RunDirectory) -> Path:
    """Create the folder for the files of scores, and return its path.

    Raises:
        UserError: the folder cannot be written.
    """
    folder = run.path / "scores" if config.output is None else user_path(config.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); choose another folder with output=FOLDER"
        ) from None


def select_test_sets(config: EvaluateConfig, run: RunDirectory, trained: Config) -> dict[str, EvaluationSet]:
    """Return the test sets by the stems of their score files: the user's files, a set of sacrebleu, or splits.

    `trained` is the configuration of the run, which has the languages.
    """
    target = f".{config.tgt_lang}" if config.tgt_lang else ""
    if config.src is not None and config.ref is not None:
        paths = [config.src, config.ref, *config.further_refs]
        test = EvaluationSet.of_files(*paths)
        if not all(is_regular(user_path(path)) for path in paths):  # another pipe can have the same name
            return {f"pipe.{digest_of(json.dumps(test.identity()))}{target}": test}
        return {f"{Path(config.src).name}.{digest(*paths)}{target}": test}
    if config.testset is not None:
        pair = f"{config.src_lang or trained.data.src_lang}-{config.tgt_lang or trained.data.tgt_lang}"
        return {scores_name(config.testset, pair): EvaluationSet.of_sacrebleu(config.testset, pair)}
    data = with_location(with_described_tests(trained.data), config.data)
    names = [config.split]
    if config.splits == "all":
        names = [name for name in data.test_names if name != "test" or run.has_split(name)]
        if not names:
            raise UserError(f"{run.path} has no test set; give your own files by src=FILE ref=FILE")
    tests = {name: EvaluationSet.of_run(run, name, data) for name in names}
    if config.tgt_lang is None:
        return tests
    tokenizer = run.tokenizer("src").with_target(config.tgt_lang)
    return {f"{name}{target}": only_target(test, tokenizer, config.tgt_lang) for name, test in tests.items()}


def own_files(config: EvaluateConfig) -> dict[str, list[str]]:
    """Return the absolute paths of the user's files for the record of the scores; empty for splits and for pipes."""
    paths = [user_path(path) for path in (config.src, config.ref, *config.further_refs) if path is not None]
    files = config.src is not None and all(map(is_regular, paths))
    return {"files": [str(path.absolute()) for path in paths]} if files else {}


def only_target(test: EvaluationSet, tokenizer: Tokenizer, tgt_lang: str) -> EvaluationSet:
    """Return the lines of a split of a multilingual corpus whose tag is that of the target language.

    Raises:
        UserError: there are none.
    """
    rows = [row for row in zip(test.src, *test.references, strict=True) if tokenizer.has_target(row[0])]
    if not rows:
        raise UserError(f"split={test.name} has no line for tgt_lang={tgt_lang}; give src=FILE ref=FILE")
    src, *references = (list(column) for column in zip(*rows, strict=True))
    return EvaluationSet(f"{test.name}.{tgt_lang}", src, references)


def digest(*paths: str) -> str:
    """Return a digest that distinguishes files and runs from those of the same name in another folder."""
    return digest_of("\n".join(str(Path(path).absolute()) for path in paths))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def main() -> None:
    app.run("evaluate", command)


if __name__ == "__main__":
    main()
