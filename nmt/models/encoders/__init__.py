"""Encoders: source ids to memory, mask and final state."""
