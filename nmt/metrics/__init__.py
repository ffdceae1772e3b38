"""Scores of translations."""

from nmt.metrics.bootstrap import RESAMPLES, SEED, Score, score_with_interval
from nmt.metrics.comet import Comet
from nmt.metrics.pairwise import pairwise
from nmt.metrics.scores import all_scores, bleu, sentence_scores
from nmt.metrics.testsets import fetch_test_set

__all__ = [
    "RESAMPLES",
    "SEED",
    "Comet",
    "Score",
    "all_scores",
    "bleu",
    "fetch_test_set",
    "pairwise",
    "score_with_interval",
    "sentence_scores",
]
