"""Figures of comparisons, questions, diagnostics and sweeps."""

from nmt.lab.plots.compare import draw_comparison
from nmt.lab.plots.questions import draw_question

__all__ = ["draw_comparison", "draw_question"]
