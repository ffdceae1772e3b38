"""Decoders: the whole target sequence in training, one step in search."""
