"""Encoders: source token ids to memory, mask and final state."""
