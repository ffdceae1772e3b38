"""Report and model card of one run."""
