"""Diagnostics of trained models: gradients through time, memory by distance, gates and attention."""
