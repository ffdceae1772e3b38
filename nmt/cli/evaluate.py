"""nmt-evaluate: BLEU, chrF and TER of a run on a split, or on files of your own."""

import hashlib
import logging
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.machine import settle
from nmt.config import EvaluateConfig, with_search
from nmt.data import read_lines
from nmt.evaluation import evaluate_lines, load_translator, show_scores
from nmt.run import RunDirectory

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    config = run.config()
    asked, search = with_search(EvaluateConfig, cfg, config.search)
    machine = settle(asked.machine)
    others = [RunDirectory.open(path) for path in asked.ensemble]
    translator, step = load_translator(run, asked.checkpoint, search, machine.device, others)
    machine.lower_precision(translator)
    if asked.src is None or asked.ref is None:
        name, (src, references) = asked.split, run.text(asked.split)
    else:
        name = f"{Path(asked.src).name}.{digest(asked.src, asked.ref)}"
        src, references = (list(read_lines(Path(path).expanduser())) for path in (asked.src, asked.ref))
    if others:  # the run's own scores stay
        name += f".ensemble.{digest(*asked.ensemble)}"
    stem = run.folder("scores") / name
    chosen = {"checkpoint": asked.checkpoint, "ensemble": asked.ensemble}
    show_scores(evaluate_lines(src, references, translator, step, config, stem, chosen))
    log.info("%s.json has the scores, %s.hyp the translations", stem, stem)


def digest(*paths: str) -> str:
    """What tells files and runs from namesakes in another folder."""
    joined = "\n".join(str(Path(path).absolute()) for path in paths)
    return hashlib.sha256(joined.encode()).hexdigest()[:8]


def main() -> None:
    app.run("evaluate", command)


if __name__ == "__main__":
    main()
