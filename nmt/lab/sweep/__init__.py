"""Hyper-parameter search: the search space, the trials on disk, the choice of the next trial, and the report."""
