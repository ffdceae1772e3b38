"""Instruments built on the library: comparison, diagnostics, doctor, benchmark, sweep, questions, report, plots."""
