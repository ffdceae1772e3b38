"""Evaluation of a run: scores, perplexity, tables and plots."""

from nmt.evaluation.evaluate import comet_score, evaluate_split, score_translations, translate_with_bar
from nmt.evaluation.plots import attention_figure, draw_attention, draw_learning_curves
from nmt.evaluation.sets import EvaluationSet, scores_name
from nmt.evaluation.table import show_scores

__all__ = [
    "EvaluationSet",
    "attention_figure",
    "comet_score",
    "draw_attention",
    "draw_learning_curves",
    "evaluate_split",
    "score_translations",
    "scores_name",
    "show_scores",
    "translate_with_bar",
]
