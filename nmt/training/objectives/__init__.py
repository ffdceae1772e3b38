"""Training objectives: a model and a batch to a loss."""
