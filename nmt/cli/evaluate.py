"""nmt-evaluate: scores of a run on a split, on a test set of sacrebleu's, or on files of your own."""

import hashlib
import json
import logging
import sys
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import Config, EvaluateConfig, path_of, with_search
from nmt.data import is_regular
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations, scores_name, show_scores
from nmt.metrics import Comet, check_tokenizer
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    config = run.config()
    asked, search = with_search(EvaluateConfig, cfg, config.search)
    check_tokenizer(config.data.bleu_tokenize)
    folder = scores_folder(asked, run)
    machine = setup_runtime(asked.machine)
    others = [RunDirectory.open(path) for path in asked.ensemble]
    # What may not be had is asked for first, and the slow work done when all is there.
    name, test = what_to_score(asked, run, config)
    comet = Comet(asked.comet, machine.device.type == "cuda") if asked.comet else None
    translator, step = load_translator(run, asked.checkpoint, search, machine.device, others)
    machine.lower_precision(translator)
    if others:  # the run's own scores stay
        name += f".ensemble.{digest(*asked.ensemble)}"
    stem = folder / (asked.name or name)
    chosen = {"checkpoint": run.checkpoint_link(asked.checkpoint), "ensemble": asked.ensemble}
    scored = score_translations(test, translator, step, config, chosen, comet)
    show_scores(scored.scores)
    sys.stdout.flush()
    scored.keep(stem)
    log.info("%s.json has the scores, %s.hyp the translations", stem, stem)


def scores_folder(asked: EvaluateConfig, run: RunDirectory) -> Path:
    """Return the folder for the files of scores, once it is known that it can be written to.

    Raises:
        UserError: it cannot.
    """
    folder = run.path / "scores" if asked.output is None else path_of(asked.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror}); give another folder by output=FOLDER"
        ) from None


def what_to_score(asked: EvaluateConfig, run: RunDirectory, config: Config) -> tuple[str, EvaluationSet]:
    """The name of the files of scores, and what they are about: own files, a named test set, or a split."""
    if asked.src is not None and asked.ref is not None:
        paths = [asked.src, asked.ref, *asked.further_refs]
        test = EvaluationSet.of_files(*paths)
        if not all(is_regular(path_of(path)) for path in paths):  # the next pipe may have the same name
            return f"pipe.{digest_of(json.dumps(test.identity()))}", test
        return f"{Path(asked.src).name}.{digest(*paths)}", test
    if asked.testset is not None:
        pair = f"{config.data.src_lang}-{config.data.tgt_lang}"
        return scores_name(asked.testset, pair), EvaluationSet.of_sacrebleu(asked.testset, pair)
    src, references = run.text(asked.split)
    return asked.split, EvaluationSet(asked.split, src, [references])


def digest(*paths: str) -> str:
    """What tells files and runs from namesakes in another folder."""
    return digest_of("\n".join(str(Path(path).absolute()) for path in paths))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def main() -> None:
    app.run("evaluate", command)


if __name__ == "__main__":
    main()
