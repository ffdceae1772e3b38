"""Evaluating a run."""

from nmt.evaluation.evaluate import (
    evaluate_lines,
    evaluate_split,
    load_translator,
    show_scores,
    translate_with_bar,
)
from nmt.evaluation.plots import draw_attention, draw_learning_curves

__all__ = [
    "draw_attention",
    "draw_learning_curves",
    "evaluate_lines",
    "evaluate_split",
    "load_translator",
    "show_scores",
    "translate_with_bar",
]
