"""Figures of comparisons, questions, diagnostics and sweeps."""
