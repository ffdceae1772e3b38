"""Functions of log-probabilities computed a few rows at a time, so that the logits of a batch never exist at once."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.models import Seq2Seq

ROWS = 256
"""Rows that are mapped at once."""


def map_log_probs_chunked(model: Seq2Seq, function: Callable[..., Tensor], vectors: Tensor, *rows: Tensor) -> Tensor:
    """Return `function(log_probs, *rows)`, computed for a few rows at a time and concatenated, (N,).

    No chunk is stored for the backward pass, which computes its logits again.

    Args:
        model: its output projection makes the logits.
        function: maps log-probabilities (n, V) in float32 and the rows of the other arguments (n, ...) to (n,).
        vectors: decoder outputs, (N, E).
        rows: further arguments, each (N, ...).
    """

    def map_chunk(vectors: Tensor, *rows: Tensor) -> Tensor:
        return function(model.project(vectors).float().log_softmax(dim=-1), *rows)

    results = []
    for start in range(0, max(1, len(vectors)), ROWS):
        chunk = (tensor[start : start + ROWS] for tensor in (vectors, *rows))
        results.append(checkpoint(map_chunk, *chunk, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(results)
