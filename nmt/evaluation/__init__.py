"""Evaluating a run."""

from nmt.evaluation.evaluate import (
    evaluate,
    evaluate_split,
    load_translator,
    translate_with_bar,
)
from nmt.evaluation.plots import draw_attention, draw_learning_curves
from nmt.evaluation.sets import EvaluationSet
from nmt.evaluation.table import show_scores

__all__ = [
    "EvaluationSet",
    "draw_attention",
    "draw_learning_curves",
    "evaluate",
    "evaluate_split",
    "load_translator",
    "show_scores",
    "translate_with_bar",
]
