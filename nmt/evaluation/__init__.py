"""Evaluating a run, and comparing runs."""

from nmt.evaluation.comparison import Comparison
from nmt.evaluation.comparison_report import grids
from nmt.evaluation.comparison_report import show as show_grids
from nmt.evaluation.comparison_report import write as write_comparison
from nmt.evaluation.evaluate import evaluate, evaluate_split, load_translator, translate_with_bar
from nmt.evaluation.plots import draw_attention, draw_learning_curves
from nmt.evaluation.plots_compare import draw_comparison
from nmt.evaluation.sets import EvaluationSet
from nmt.evaluation.systems import gather
from nmt.evaluation.table import show_scores

__all__ = [
    "Comparison",
    "EvaluationSet",
    "draw_attention",
    "draw_comparison",
    "draw_learning_curves",
    "evaluate",
    "evaluate_split",
    "gather",
    "grids",
    "load_translator",
    "show_grids",
    "show_scores",
    "translate_with_bar",
    "write_comparison",
]
