"""Objectives: (model, batch) -> (loss_sum, token_count, logs). The loop knows none of them by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.data import Batch
from nmt.models import Seq2Seq, projected_cross_entropy
from nmt.models.layers.fused import FusedLayer

Objective = Callable[[Seq2Seq, Batch], tuple[Tensor, int, dict[str, Tensor]]]
"""The loss is a sum over tokens: whoever accumulates batches or processes divides by the tokens of all of them."""


@dataclass(frozen=True)
class TokenLoss:
    """What one pass over a batch costs, summed over its tokens."""

    label_smoothing: float = 0.0
    """Cross-entropy against a target smoothed over the vocabulary (Szegedy et al. 2016, 7)."""
    ar: float = 0.0
    """Strength of the penalty on the size of the decoder's outputs (Merity et al. 2017)."""
    tar: float = 0.0
    """Strength of the penalty on their change from step to step."""

    def __call__(self, model: Seq2Seq, vectors: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the negative log-likelihood of the true words, of vectors (T, B, E)."""
        real = vectors[batch.tgt_mask]  # (N, E), N real tokens
        target = batch.tgt_out[batch.tgt_mask]  # (N,)
        weight, bias = model.output_weight, model.output_bias
        loss, nll = projected_cross_entropy(real, weight, bias, target, self.label_smoothing)
        if self.ar or self.tar:
            loss = loss + activation_penalty(vectors, batch.tgt_mask, self.ar, self.tar)
        return loss, nll


def cross_entropy(label_smoothing: float, ar: float = 0.0, tar: float = 0.0) -> Objective:
    """The loss of one pass.

    Its `nll` is the sum of the true words' negative log-probabilities, from which perplexity comes.
    """
    token_loss = TokenLoss(label_smoothing, ar, tar)

    def objective(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        loss, nll = token_loss(model, model.decoder_outputs(batch.src, batch.src_mask, batch.tgt_in), batch)
        return loss, batch.tokens, {"nll": nll}

    return objective


def activation_penalty(vectors: Tensor, mask: Tensor, ar: float, tar: float) -> Tensor:
    """ar sum_t mean(v_t^2) + tar sum_t mean((v_t+1 - v_t)^2) over real tokens (Merity, McCann and Socher 2017, 3).

    v are the vectors that the output projection reads, after dropout. The paper takes the top LSTM's outputs, for the
    change before dropout; where one mask holds for all steps, dropout only leaves units out of it. Mean squares stand
    for the paper's norms, as in its code.

    Args:
        vectors: (T, B, E).
        mask: True on real target tokens, (T, B).
        ar: strength of the first sum.
        tar: strength of the second.
    """
    vectors = vectors.float()
    size = vectors[mask].square().mean(dim=-1).sum()
    change = (vectors[1:] - vectors[:-1])[mask[1:]].square().mean(dim=-1).sum()
    return ar * size + tar * change


def with_weight_penalty(objective: Objective, l1: float, l2: float) -> Objective:
    """The objective's loss + n (l1 sum |w| + l2/2 sum w^2) over all weights w, n the tokens of the batch.

    Whoever divides by the tokens of all batches adds the penalty once to the mean loss of a step.
    """

    def penalised(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        loss, tokens, logs = objective(model, batch)
        penalties = [l1 * weight.abs().sum() + l2 / 2 * weight.square().sum() for weight in penalised_weights(model)]
        return loss + tokens * torch.stack(penalties).sum(), tokens, logs

    return penalised


def penalised_weights(model: Seq2Seq) -> list[Tensor]:
    """All matrices, embeddings too, without biases and the gains of normalisation."""
    layers = [layer for layer in model.modules() if isinstance(layer, FusedLayer)]
    with_bias = {id(layer.weight_ih_l0) for layer in layers if layer.bias_ih_l0 is None}
    return [
        weight[:, :-1] if id(weight) in with_bias else weight  # its last column is the bias
        for name, weight in model.named_parameters()
        if weight.dim() > 1 and not name.endswith(("bias", "gain"))
    ]


@torch.inference_mode()
def negative_log_likelihood(model: Seq2Seq, batch: Batch) -> float:
    """Sum over the batch's target tokens, in nats."""
    _, _, logs = cross_entropy(0.0)(model, batch)
    return float(logs["nll"])
