"""Objectives: (model, batch) -> (loss_sum, token_count, logs). The loop knows none of them by name."""

from collections.abc import Callable

import torch
from torch import Tensor

from nmt.data import Batch
from nmt.models import Seq2Seq

Objective = Callable[[Seq2Seq, Batch], tuple[Tensor, int, dict[str, Tensor]]]
"""The loss is a sum over tokens: whoever accumulates batches or processes divides by the tokens of all of them."""


def cross_entropy(label_smoothing: float) -> Objective:
    """Cross-entropy against a target smoothed over the vocabulary (Szegedy et al. 2016, 7).

    Its `nll` is the sum of the true words' negative log-probabilities, from which perplexity comes.
    """

    def objective(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        logits = model(batch.src, batch.src_mask, batch.tgt_in)[batch.tgt_mask]  # (N, V), N real tokens
        log_probs = logits.float().log_softmax(dim=-1)
        target = batch.tgt_out[batch.tgt_mask].unsqueeze(1)  # (N, 1)
        nll = -log_probs.gather(1, target).sum()
        loss = (1 - label_smoothing) * nll - label_smoothing * log_probs.mean(dim=-1).sum()
        return loss, batch.tokens, {"nll": nll.detach()}

    return objective


@torch.inference_mode()
def negative_log_likelihood(model: Seq2Seq, batch: Batch) -> float:
    """Sum over the batch's target tokens, in nats."""
    _, _, logs = cross_entropy(0.0)(model, batch)
    return float(logs["nll"])
