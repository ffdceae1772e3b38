"""Correlation of the judgements with automatic metrics, on the judged sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from nmt.evaluation import EvaluationSet, comet_score
from nmt.lab.judgements.design import Design
from nmt.lab.judgements.scores import Values
from nmt.metrics import Comet, MeanScorer, Scorer, all_scores, kendall_tau, resample

METRICS = ("bleu", "chrf")


@dataclass(frozen=True)
class MetricCorrelation:
    """Kendall's tau-b between the judgements and a metric."""

    metric: str
    """Name of the score, such as bleu."""
    signature: str
    scores: list[float]
    """Score of each system on the judged sentences."""
    system_tau: float
    """tau-b over the systems; NaN for a single system or equal scores."""
    segment_tau: float
    """Mean over the sentences of tau-b over the systems (group by item); NaN if no sentence has it."""
    interval: tuple[float, float] | None
    """95 % bootstrap interval of `segment_tau`."""
    segments: int
    """Number of sentences on which neither the judgements nor the metric are equal for all systems."""


def metric_correlations(
    design: Design, segment_scores: Values, system_scores: Sequence[float], tokenize: str, comet: Comet | None
) -> list[MetricCorrelation]:
    """Return the correlations with BLEU, chrF and, if it is given, COMET.

    Args:
        design: systems and judged sentences.
        segment_scores: judgements (S, N), NaN where there is none.
        system_scores: judgements of the systems, (S,).
        tokenize: tokenizer of sacrebleu for BLEU.
        comet: COMET model.
    """
    references = [segment.reference for segment in design.segments]
    systems = [[segment.translations[at] for segment in design.segments] for at in range(len(design.systems))]
    scores = [all_scores(lines, references, tokenize) for lines in systems]
    names = list(METRICS)
    if comet is not None:
        test = EvaluationSet(design.test_set, [segment.src for segment in design.segments], [references])
        for lines, found in zip(systems, scores, strict=True):
            found["comet"] = comet_score(comet, test, lines)
        names.append("comet")
    correlations = []
    for name in names:
        signature = scores[0][name].signature
        if (scorer := Scorer.from_signature(signature)) is not None:
            sentences: Any = [scorer.sentence_scores(scorer.table(lines, references)) for lines in systems]
        else:
            sentences = [found[name].sentences for found in scores]
        corpus = [found[name].score for found in scores]
        correlations.append(correlation(name, signature, corpus, np.array(sentences), segment_scores, system_scores))
    return correlations


def correlation(
    name: str,
    signature: str,
    corpus: Sequence[float],
    sentences: Values,
    segment_scores: Values,
    system_scores: Sequence[float],
) -> MetricCorrelation:
    taus = []
    for judged, measured in zip(segment_scores.T, sentences.T, strict=True):
        present = ~np.isnan(judged)
        taus.append(kendall_tau(judged[present].round(9).tolist(), measured[present].tolist()))
    defined = [tau for tau in taus if not np.isnan(tau)]
    interval = resample(MeanScorer(), [MeanScorer.table(defined)]).interval() if len(defined) > 1 else None
    return MetricCorrelation(
        name,
        signature,
        list(corpus),
        kendall_tau(system_scores, corpus),
        mean(defined) if defined else float("nan"),
        interval,
        len(defined),
    )
