"""Rule that decides whether a validation becomes the best checkpoint and whether it counts as progress."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmt.config import Metric
from nmt.training.progress import Progress

LEAST_BLEU = 1.0
"""Corpus BLEU below which a few matching n-grams decide, so that it is noise."""


@dataclass(frozen=True)
class ValidationVerdict:
    """Result of comparing a validation with those before it."""

    best: bool
    """True if its checkpoint becomes the best one."""
    progress: bool
    """True if patience and the plateau schedule start counting again."""


def is_meaningful(metrics: Mapping[str, float]) -> bool:
    """Return whether a validation's BLEU is more than noise: at least 1, and 4-grams match, without smoothing."""
    return metrics["valid/bleu"] >= LEAST_BLEU and metrics["valid/matching_4grams"] > 0


def compare_validation(metrics: Mapping[str, float], progress: Progress, metric: Metric) -> ValidationVerdict:
    """Compare a validation with the best so far.

    loss and perplexity: a lower one is better.

    bleu: the first validation whose BLEU is more than noise is better than all before it. From then on a higher BLEU is
    better, and of two equal ones that with the lower perplexity. Until then the lower perplexity is better, and a new
    highest BLEU also counts as progress. BLEU stays at 0 if the tokenizer finds no words in the target, or at the
    beginning of training; the checkpoint of the lowest perplexity is then kept, and patience does not run out while
    perplexity falls.

    A value that is not finite is never better than one that is. The first finite BLEU is the best so far with any
    perplexity.

    Args:
        metrics: `valid/bleu`, `valid/matching_4grams` and `valid/perplexity`; `valid/loss` for metric loss.
        progress: counts that hold the best validation so far.
        metric: `train.metric`.
    """
    if metric != Metric.bleu:
        score = -metrics[f"valid/{metric}"]
        better = math.isfinite(score) and (progress.best is None or score > progress.best)
        return ValidationVerdict(better, better)
    bleu, perplexity = metrics["valid/bleu"], metrics["valid/perplexity"]
    lowest = math.inf if progress.best_perplexity is None else progress.best_perplexity
    if not math.isfinite(bleu):
        better = False
    elif progress.best is None:
        better = True
    elif progress.bleu_means_something:
        better = (bleu, -perplexity) > (progress.best, -lowest)
    else:
        better = is_meaningful(metrics) or perplexity < lowest
        return ValidationVerdict(better, better or bleu > progress.highest_bleu)
    return ValidationVerdict(better, better)


def record_validation(metrics: Mapping[str, float], progress: Progress, metric: Metric) -> ValidationVerdict:
    """Compare a validation with the best so far, and update `progress`."""
    verdict = compare_validation(metrics, progress, metric)
    if verdict.best:
        score, perplexity = metrics[f"valid/{metric}"], metrics["valid/perplexity"]
        progress.best = score if metric == Metric.bleu else -score
        progress.best_perplexity = perplexity if math.isfinite(perplexity) else None
        progress.best_step = progress.step
    if metric == Metric.bleu and math.isfinite(metrics["valid/bleu"]):
        progress.highest_bleu = max(progress.highest_bleu, metrics["valid/bleu"])
        progress.bleu_means_something = progress.bleu_means_something or is_meaningful(metrics)
    progress.since_best = 0 if verdict.progress else progress.since_best + 1
    return verdict


def with_missing_fields(state: Mapping[str, Any], metric: Metric) -> dict[str, Any]:
    """Return the progress of a checkpoint, with values for fields that earlier versions did not write."""
    meaningful = metric == Metric.bleu and (state["best"] or 0) >= LEAST_BLEU
    return {"bleu_means_something": meaningful, "highest_bleu": state["best"] or 0.0, **state}
