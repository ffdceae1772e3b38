"""nmt-evaluate: BLEU, chrF and TER of a run on a split, or on files of your own."""

import hashlib
import logging
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.machine import settle
from nmt.config import EvaluateConfig, with_search
from nmt.data import read_lines
from nmt.evaluation import evaluate_lines, evaluate_split, load_translator, show_scores
from nmt.run import RunDirectory

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    config = run.config()
    asked, search = with_search(EvaluateConfig, cfg, config.search)
    machine = settle(asked.machine)
    translator, step = load_translator(run, asked.checkpoint, search, machine.device)
    machine.lower_precision(translator)
    if asked.src is None or asked.ref is None:
        stem = run.path / "scores" / asked.split
        scores = evaluate_split(run, translator, asked.split, step, config)
    else:
        src, references = (list(read_lines(Path(path).expanduser())) for path in (asked.src, asked.ref))
        stem = run.folder("scores") / own_name(asked.src, asked.ref)
        scores = evaluate_lines(src, references, translator, step, config, stem)
    show_scores(scores)
    log.info("%s.json has the scores, %s.hyp the translations", stem, stem)


def own_name(src: str, ref: str) -> str:
    """A name for the scores of own files: the source's, and what tells it from a namesake in another folder."""
    digest = hashlib.sha256(f"{Path(src).absolute()}\n{Path(ref).absolute()}".encode()).hexdigest()[:8]
    return f"{Path(src).name}.{digest}"


def main() -> None:
    app.run("evaluate", command)


if __name__ == "__main__":
    main()
