"""Objectives: interface, cross-entropy and penalties. An objective maps (model, batch) to an `ObjectiveOutput`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.data import Batch
from nmt.models import Seq2Seq, projected_cross_entropy
from nmt.models.layers.fused import FusedLayer


@dataclass(frozen=True)
class ObjectiveOutput:
    """Loss of a batch as a sum over its tokens; the caller divides by the number of tokens of all batches and ranks."""

    loss: Tensor
    """Scalar to minimise, with its graph."""
    nll: Tensor
    """Scalar for the log, without a graph: negative log-likelihood of the reference in nats, which gives perplexity."""


Objective = Callable[[Seq2Seq, Batch], ObjectiveOutput]


@dataclass(frozen=True)
class TokenLoss:
    """Loss of one forward pass, summed over the tokens of the batch."""

    label_smoothing: float = 0.0
    """Cross-entropy against a target smoothed over the vocabulary (Szegedy et al. 2016, 7)."""
    ar: float = 0.0
    """Strength of the penalty on the size of the decoder's outputs (Merity et al. 2017)."""
    tar: float = 0.0
    """Strength of the penalty on their change from step to step."""

    def __call__(self, model: Seq2Seq, vectors: Tensor, batch: Batch) -> ObjectiveOutput:
        """Return the loss and the nll of decoder outputs (T, B, E)."""
        real = vectors[batch.tgt_mask]  # (N, E), N real tokens
        target = batch.tgt_out[batch.tgt_mask]  # (N,)
        weight, bias = model.output_weight, model.output_bias
        loss, nll = projected_cross_entropy(real, weight, bias, target, self.label_smoothing)
        if self.ar or self.tar:
            loss = loss + activation_penalty(vectors, batch.tgt_mask, self.ar, self.tar)
        return ObjectiveOutput(loss, nll)


def cross_entropy(label_smoothing: float, ar: float = 0.0, tar: float = 0.0) -> Objective:
    """Return the objective of maximum likelihood with teacher forcing."""
    token_loss = TokenLoss(label_smoothing, ar, tar)

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        return token_loss(model, model.decoder_outputs(batch.src, batch.src_mask, batch.tgt_in), batch)

    return objective


def activation_penalty(vectors: Tensor, mask: Tensor, ar: float, tar: float) -> Tensor:
    """Return ar sum_t mean(v_t^2) + tar sum_t mean((v_t+1 - v_t)^2) over real tokens (Merity et al. 2017, 3).

    v are the vectors that the output projection reads, after dropout. The paper takes the top LSTM's outputs, and for
    the change those before dropout. Where one dropout mask holds for all steps, dropout only removes units from it.
    Mean squares replace the paper's norms, as in its code.

    Args:
        vectors: (T, B, E).
        mask: True on real target tokens, (T, B).
        ar: strength of the first sum.
        tar: strength of the second sum.
    """
    vectors = vectors.float()
    size = vectors[mask].square().mean(dim=-1).sum()
    change = (vectors[1:] - vectors[:-1])[mask[1:]].square().mean(dim=-1).sum()
    return ar * size + tar * change


def with_weight_penalty(objective: Objective, l1: float, l2: float) -> Objective:
    """Return the objective plus n (l1 sum |w| + l2/2 sum w^2) over all weights w, with n tokens in the batch.

    Divided by the tokens of all batches, the penalty counts once in the mean loss of a step.
    """

    def penalised(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        output = objective(model, batch)
        weights = penalised_weights(model)
        if not weights:
            return output
        penalties = [l1 * weight.abs().sum() + l2 / 2 * weight.square().sum() for weight in weights]
        return replace(output, loss=output.loss + batch.tokens * torch.stack(penalties).sum())

    return penalised


def penalised_weights(model: Seq2Seq) -> list[Tensor]:
    """Return all matrices in training, including embeddings, without biases and the gains of normalisation."""
    layers = [layer for layer in model.modules() if isinstance(layer, FusedLayer)]
    with_bias = {id(layer.weight_ih_l0) for layer in layers if layer.bias_ih_l0 is None}
    return [
        weight[:, :-1] if id(weight) in with_bias else weight  # its last column is the bias
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.dim() > 1 and not name.endswith(("bias", "gain"))
    ]


@torch.inference_mode()
def negative_log_likelihood(model: Seq2Seq, batch: Batch) -> float:
    """Return the negative log-likelihood of the batch's references in nats, summed over tokens."""
    return float(cross_entropy(0.0)(model, batch).nll)
