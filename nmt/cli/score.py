"""nmt-score: score files of translations, made by any system, and test their differences."""

import logging

import torch
from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import ScoreConfig, from_hydra, user_path
from nmt.data import read_for_scoring, tokenizer_advice
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, comet_score, show_scores
from nmt.lab.comparison.files import files_grid
from nmt.lab.comparison.report import show_tables
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
    further = {path: read_lines(path) for path in config.further_hyps}
    for name, side in [("src", test.src), *(("ref", lines) for lines in test.references), *further.items()]:
        if len(side) != len(hypotheses):
            raise UserError(f"hyp has {len(hypotheses)} lines and {name} {len(side)}; give parallel files")
    if not hypotheses:
        raise UserError(f"hyp={config.hyp} has no lines; give a file with one translation per line")
    comet = Comet(config.comet, torch.cuda.is_available()) if config.comet else None
    reference, *others = test.references
    if advice := tokenizer_advice(reference, config.bleu_tokenize, "use bleu_tokenize={better}"):
        log.warning(advice)
    translations = {config.hyp: hypotheses} | further
    scores = []
    for lines in translations.values():
        scores.append(all_scores(lines, reference, config.bleu_tokenize, others, test.labels))
        if comet is not None:
            scores[-1]["comet"] = comet_score(comet, test, lines)
    if further:
        show_tables([files_grid(translations, scores, test)])
    else:
        show_scores(scores[0])


def read_lines(path: str) -> list[str]:
    return read_for_scoring(user_path(path))


def main() -> None:
    app.run("score", command)


if __name__ == "__main__":
    main()
