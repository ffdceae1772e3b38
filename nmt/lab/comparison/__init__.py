"""Comparison of systems over their runs, with significance tests."""

from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.files import files_grid
from nmt.lab.comparison.report import grids
from nmt.lab.comparison.report import show as show_grids
from nmt.lab.comparison.report import write as write_comparison
from nmt.lab.comparison.systems import ScoredRun, gather, mean_cost
from nmt.lab.comparison.systems import training_cost as cost_of

__all__ = [
    "Comparison",
    "ScoredRun",
    "cost_of",
    "files_grid",
    "gather",
    "grids",
    "mean_cost",
    "show_grids",
    "write_comparison",
]
