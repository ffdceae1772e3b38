"""Objectives: (model, batch) -> (loss_sum, token_count, logs). The loop knows none of them by name."""

from collections.abc import Callable

import torch
from torch import Tensor

from nmt.data import Batch
from nmt.models import Seq2Seq, projected_cross_entropy

Objective = Callable[[Seq2Seq, Batch], tuple[Tensor, int, dict[str, Tensor]]]
"""The loss is a sum over tokens: whoever accumulates batches or processes divides by the tokens of all of them."""


def cross_entropy(label_smoothing: float) -> Objective:
    """Cross-entropy against a target smoothed over the vocabulary (Szegedy et al. 2016, 7).

    Its `nll` is the sum of the true words' negative log-probabilities, from which perplexity comes.
    """

    def objective(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        vectors = model.vectors(batch.src, batch.src_mask, batch.tgt_in)[batch.tgt_mask]  # (N, E), N real tokens
        target = batch.tgt_out[batch.tgt_mask]  # (N,)
        loss, nll = projected_cross_entropy(vectors, model.output_weight, model.output_bias, target, label_smoothing)
        return loss, batch.tokens, {"nll": nll}

    return objective


@torch.inference_mode()
def negative_log_likelihood(model: Seq2Seq, batch: Batch) -> float:
    """Sum over the batch's target tokens, in nats."""
    _, _, logs = cross_entropy(0.0)(model, batch)
    return float(logs["nll"])
