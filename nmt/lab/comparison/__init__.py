"""Comparison of systems over their runs, with significance tests."""
