"""Evaluating a run, and comparing runs."""

from nmt.evaluation.comparison import Comparison
from nmt.evaluation.comparison_report import grids
from nmt.evaluation.comparison_report import show as show_grids
from nmt.evaluation.comparison_report import write as write_comparison
from nmt.evaluation.evaluate import evaluate, evaluate_split, load_translator, score_translations, translate_with_bar
from nmt.evaluation.plots import draw_attention, draw_learning_curves
from nmt.evaluation.plots_compare import draw_comparison
from nmt.evaluation.plots_questions import draw_question
from nmt.evaluation.questions import Measured, measure
from nmt.evaluation.questions_page import Answered, Totals, claims_to_paste
from nmt.evaluation.questions_page import page as questions_page
from nmt.evaluation.sets import EvaluationSet, scores_name
from nmt.evaluation.systems import ScoredRun, gather, mean_cost
from nmt.evaluation.systems import measured as cost_of
from nmt.evaluation.table import show_scores

__all__ = [
    "Answered",
    "Comparison",
    "EvaluationSet",
    "Measured",
    "ScoredRun",
    "Totals",
    "claims_to_paste",
    "cost_of",
    "draw_attention",
    "draw_comparison",
    "draw_learning_curves",
    "draw_question",
    "evaluate",
    "evaluate_split",
    "gather",
    "grids",
    "load_translator",
    "mean_cost",
    "measure",
    "questions_page",
    "score_translations",
    "scores_name",
    "show_grids",
    "show_scores",
    "translate_with_bar",
    "write_comparison",
]
