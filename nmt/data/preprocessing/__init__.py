"""Preparation of a corpus: sources, download, reading, cleaning, sharding, worker processes, store."""
