"""Comparison of systems over their runs, with significance tests."""

from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.files import files_grid
from nmt.lab.comparison.latex import write_tables
from nmt.lab.comparison.paper_table import paper_tables
from nmt.lab.comparison.report import comparison_tables
from nmt.lab.comparison.report import show as show_tables
from nmt.lab.comparison.report import write as write_comparison
from nmt.lab.comparison.systems import ScoredRun, gather, mean_cost
from nmt.lab.comparison.systems import training_cost as cost_of

__all__ = [
    "Comparison",
    "ScoredRun",
    "comparison_tables",
    "cost_of",
    "files_grid",
    "gather",
    "mean_cost",
    "paper_tables",
    "show_tables",
    "write_comparison",
    "write_tables",
]
