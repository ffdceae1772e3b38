"""Functions of logits without ever holding all the logits, where no gradient is written by hand."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.models import Seq2Seq

ROWS = 256
"""Rows of logits made at once, as in nmt/models/output.py."""


def map_log_probs_chunked(model: Seq2Seq, function: Callable[..., Tensor], vectors: Tensor, *rows: Tensor) -> Tensor:
    """`function(log_probs, *rows)` of a few rows at a time, put together again.

    Nothing of a chunk is kept for the backward pass, which makes its logits once more.

    Args:
        model: whose projection makes the logits.
        function: of log-probabilities (n, V) in float32 and the other arguments' rows (n, ...), to (n,).
        vectors: (N, E).
        rows: further arguments, each (N, ...).
    """

    def of_chunk(vectors: Tensor, *rows: Tensor) -> Tensor:
        return function(model.project(vectors).float().log_softmax(dim=-1), *rows)

    results = []
    for start in range(0, max(1, len(vectors)), ROWS):
        chunk = (tensor[start : start + ROWS] for tensor in (vectors, *rows))
        results.append(checkpoint(of_chunk, *chunk, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(results)
