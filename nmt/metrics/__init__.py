"""Scores of translations."""

from nmt.metrics.pairwise import pairwise
from nmt.metrics.scores import Score, all_scores, bleu, sentence_scores

__all__ = ["Score", "all_scores", "bleu", "pairwise", "sentence_scores"]
