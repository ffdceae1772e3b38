"""The rule by which a validation becomes the best checkpoint and counts as progress."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmt.config import Metric
from nmt.training.progress import Progress

LEAST_BLEU = 1.0
"""Corpus BLEU below which a few matching n-grams more or less decide."""


@dataclass(frozen=True)
class Verdict:
    """Result of comparing a validation with those before it."""

    best: bool
    """Its checkpoint becomes the best one."""
    progress: bool
    """Patience and the plateau schedule start counting again."""


def means_something(metrics: Mapping[str, float]) -> bool:
    """Return whether a validation's BLEU is more than noise: at least 1, and 4-grams match, without smoothing."""
    return metrics["valid/bleu"] >= LEAST_BLEU and metrics["valid/matching_4grams"] > 0


def compare_validation(metrics: Mapping[str, float], progress: Progress, metric: Metric) -> Verdict:
    """Compare a validation with the best so far.

    loss and perplexity: a lower one is better.

    bleu: the first validation whose BLEU means something is better than all before it. From then on a higher BLEU is
    better, and of two equal ones that of lower perplexity. Until then the lower perplexity is better, and a new
    highest BLEU counts as progress too. So a target whose BLEU stays at 0, because its tokenizer finds no words or
    because training has only begun, keeps the checkpoint of the lowest perplexity and is not stopped while perplexity
    falls.

    A value that is not finite is never better than one that is. The first finite BLEU is the best so far, whatever
    the perplexity is.

    Args:
        metrics: `valid/bleu`, `valid/matching_4grams` and `valid/perplexity`; `valid/loss` for that metric.
        progress: the best validation before.
        metric: `train.metric`.
    """
    if metric != Metric.bleu:
        score = -metrics[f"valid/{metric}"]
        better = math.isfinite(score) and (progress.best is None or score > progress.best)
        return Verdict(better, better)
    bleu, perplexity = metrics["valid/bleu"], metrics["valid/perplexity"]
    lowest = math.inf if progress.best_perplexity is None else progress.best_perplexity
    if not math.isfinite(bleu):
        better = False
    elif progress.best is None:
        better = True
    elif progress.bleu_means_something:
        better = (bleu, -perplexity) > (progress.best, -lowest)
    else:
        better = means_something(metrics) or perplexity < lowest
        return Verdict(better, better or bleu > progress.highest_bleu)
    return Verdict(better, better)


def record_validation(metrics: Mapping[str, float], progress: Progress, metric: Metric) -> Verdict:
    """Compare a validation with the best so far, and enter the result in `progress`."""
    verdict = compare_validation(metrics, progress, metric)
    if verdict.best:
        score, perplexity = metrics[f"valid/{metric}"], metrics["valid/perplexity"]
        progress.best = score if metric == Metric.bleu else -score
        progress.best_perplexity = perplexity if math.isfinite(perplexity) else None
        progress.best_step = progress.step
    if metric == Metric.bleu and math.isfinite(metrics["valid/bleu"]):
        progress.highest_bleu = max(progress.highest_bleu, metrics["valid/bleu"])
        progress.bleu_means_something = progress.bleu_means_something or means_something(metrics)
    progress.since_best = 0 if verdict.progress else progress.since_best + 1
    return verdict


def with_missing_fields(state: Mapping[str, Any], metric: Metric) -> dict[str, Any]:
    """Return the progress of a checkpoint with the fields that versions before this rule did not write."""
    known = metric == Metric.bleu and (state["best"] or 0) >= LEAST_BLEU
    return {"bleu_means_something": known, "highest_bleu": state["best"] or 0.0, **state}
