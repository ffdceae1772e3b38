"""nmt-score: scores of a file of translations, whoever made them."""

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
    asked = from_hydra(ScoreConfig, cfg)
    check_tokenizer(asked.bleu_tokenize)
    hypotheses = lines_of(asked.hyp)
    if asked.testset is not None:
        assert asked.pair is not None
        test = EvaluationSet.of_sacrebleu(asked.testset, asked.pair)
    else:
        assert asked.ref is not None
        references = [lines_of(ref) for ref in (asked.ref, *asked.further_refs)]
        test = EvaluationSet(asked.ref, lines_of(asked.src) if asked.src else hypotheses, references)
    for name, side in [("src", test.src), *(("ref", lines) for lines in test.references)]:
        if len(side) != len(hypotheses):
            raise UserError(f"hyp has {len(hypotheses)} lines and {name} {len(side)}; give parallel files")
    if not hypotheses:
        raise UserError(f"hyp={asked.hyp} has no line; there is nothing to score")
    comet = Comet(asked.comet, torch.cuda.is_available()) if asked.comet else None
    reference, *others = test.references
    if advice := tokenizer_advice(reference, asked.bleu_tokenize, "use bleu_tokenize={better}"):
        log.warning(advice)
    scores = all_scores(hypotheses, reference, asked.bleu_tokenize, others, test.labels)
    if comet is not None:
        scores["comet"] = comet(test.src, hypotheses, reference, test.labels)
    show_scores(scores)


def lines_of(path: str) -> list[str]:
    return read_scored(path_of(path))


def main() -> None:
    app.run("score", command)


if __name__ == "__main__":
    main()
