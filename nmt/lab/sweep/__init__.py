"""Hyper-parameter search: the search space, the trials on disk, the choice of the next trial, and the report."""

from nmt.lab.sweep.choose import Pruning, importance, proposal
from nmt.lab.sweep.report import write_report
from nmt.lab.sweep.space import Parameter, Value, search_space, text, trials_of
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState, best_trial, read_validations, with_validations

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
    "read_validations",
    "search_space",
    "text",
    "trials_of",
    "with_validations",
    "write_report",
]
