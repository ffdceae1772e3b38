"""Corpus files to the prepared store: sources, download, reading, cleaning, shards, worker processes."""
