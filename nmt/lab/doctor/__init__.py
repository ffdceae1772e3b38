"""Examination of a corpus before training."""
