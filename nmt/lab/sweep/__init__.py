"""Searching for hyper-parameters: the space, the trials on disk, what to try next, and the report."""

from nmt.lab.sweep.choose import Pruning, importance, proposal
from nmt.lab.sweep.report import write_report
from nmt.lab.sweep.space import Parameter, Value, search_space, text, trials_of
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState, best_trial, read_scores

__all__ = [
    "Parameter",
    "Pruning",
    "SweepDirectory",
    "Trial",
    "TrialState",
    "Value",
    "best_trial",
    "importance",
    "proposal",
    "read_scores",
    "search_space",
    "text",
    "trials_of",
    "write_report",
]
