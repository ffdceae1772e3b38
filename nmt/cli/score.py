"""nmt-score: score a file of translations, made by any system."""

import logging

import torch
from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ScoreConfig, from_hydra, path_of
from nmt.data import read_scored, tokenizer_advice
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, show_scores
from nmt.metrics import Comet, all_scores, check_tokenizer

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(ScoreConfig, cfg)
    check_tokenizer(config.bleu_tokenize)
    hypotheses = read_lines(config.hyp)
    if config.testset is not None:
        assert config.pair is not None
        test = EvaluationSet.of_sacrebleu(config.testset, config.pair)
    else:
        assert config.ref is not None
        references = [read_lines(ref) for ref in (config.ref, *config.further_refs)]
        test = EvaluationSet(config.ref, read_lines(config.src) if config.src else hypotheses, references)
    for name, side in [("src", test.src), *(("ref", lines) for lines in test.references)]:
        if len(side) != len(hypotheses):
            raise UserError(f"hyp has {len(hypotheses)} lines and {name} {len(side)}; give parallel files")
    if not hypotheses:
        raise UserError(f"hyp={config.hyp} has no lines; give a file with one translation per line")
    comet = Comet(config.comet, torch.cuda.is_available()) if config.comet else None
    reference, *others = test.references
    if advice := tokenizer_advice(reference, config.bleu_tokenize, "use bleu_tokenize={better}"):
        log.warning(advice)
    scores = all_scores(hypotheses, reference, config.bleu_tokenize, others, test.labels)
    if comet is not None:
        scores["comet"] = comet(test.src, hypotheses, reference, test.labels)
    show_scores(scores)


def read_lines(path: str) -> list[str]:
    return read_scored(path_of(path))


def main() -> None:
    app.run("score", command)


if __name__ == "__main__":
    main()
