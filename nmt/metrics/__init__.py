"""Scores of translations."""

from nmt.metrics.bootstrap import RESAMPLES, SEED, Score, score_with_interval
from nmt.metrics.comet import Comet
from nmt.metrics.pairwise import pairwise
from nmt.metrics.scores import all_scores, bleu, check_tokenizer, sentence_scores
from nmt.metrics.significance import (
    TRIALS,
    Resampled,
    Scorer,
    Table,
    approximate_randomisation,
    paired_bootstrap,
    resample,
)
from nmt.metrics.testsets import fetch_test_set

__all__ = [
    "RESAMPLES",
    "SEED",
    "TRIALS",
    "Comet",
    "Resampled",
    "Score",
    "Scorer",
    "Table",
    "all_scores",
    "approximate_randomisation",
    "bleu",
    "check_tokenizer",
    "fetch_test_set",
    "paired_bootstrap",
    "pairwise",
    "resample",
    "score_with_interval",
    "sentence_scores",
]
