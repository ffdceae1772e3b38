"""Fused output layer for training: projection to the vocabulary, softmax and loss."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

CHUNK = 128
"""Rows of logits computed at once. They fit in the cache; 2,000 rows of 8,000 logits would take 64 MB per pass."""


def smoothed_cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Compute the summed cross-entropy with label smoothing (Szegedy et al. 2016, 7) from logits (N, V).

    Returns:
        The loss, and the negative log-likelihood of the target tokens, which is the loss without smoothing.
    """
    log_probs = logits.float().log_softmax(dim=-1)
    nll = -log_probs.gather(1, target.unsqueeze(1)).sum()
    return (1 - smoothing) * nll - smoothing * log_probs.mean(dim=-1).sum(), nll.detach()


class ProjectedCrossEntropy(torch.autograd.Function):
    """Autograd function for `smoothed_cross_entropy(linear(vectors, weight, bias), target, smoothing)`.

    The gradient of the loss with respect to the logits is softmax - smoothed target. The forward pass projects each
    chunk of rows, overwrites the logits with their gradient and multiplies it out, so that no logits outlive their
    chunk.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        vocabulary = weight.size(0)
        needs_vectors, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        grad_vectors = torch.empty_like(vectors) if needs_vectors else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias else None
        loss, nll = vectors.new_zeros((), dtype=torch.float32), vectors.new_zeros((), dtype=torch.float32)
        weight_cast, bias_cast = weight.to(vectors.dtype), bias.to(vectors.dtype)
        mean_weight, mean_bias = weight.float().mean(dim=0), bias.float().mean()  # for the mean of a row of logits
        for start in range(0, len(vectors), CHUNK):
            rows, labels = vectors[start : start + CHUNK], target[start : start + CHUNK].unsqueeze(1)
            logits = linear(rows, weight_cast, bias_cast).float()
            largest = logits.amax(dim=-1, keepdim=True)  # (n, 1)
            shifted = logits.sub_(largest)
            label_logits = shifted.gather(1, labels)
            exponentials = shifted.exp_()
            sums = exponentials.sum(dim=-1, keepdim=True)
            chunk_nll = (sums.log() - label_logits).sum()
            mean = rows.float() @ mean_weight + mean_bias - largest.squeeze(1)  # of the shifted logits, (n,)
            mean_nll = (sums.log().squeeze(1) - mean).sum()
            nll += chunk_nll
            loss += (1 - smoothing) * chunk_nll + smoothing * mean_nll
            if not any(ctx.needs_input_grad):
                continue
            gradient = exponentials.div_(sums).sub_(smoothing / vocabulary)  # softmax - smoothed target
            gradient.scatter_add_(1, labels, torch.full_like(labels, smoothing - 1, dtype=gradient.dtype))
            if grad_bias is not None:
                grad_bias += gradient.sum(dim=0)
            gradient = gradient.to(vectors.dtype)
            if grad_vectors is not None:
                torch.mm(gradient, weight_cast, out=grad_vectors[start : start + CHUNK])
            if grad_weight is not None and gradient.dtype == grad_weight.dtype:
                grad_weight.addmm_(gradient.t(), rows)
            elif grad_weight is not None:
                grad_weight += gradient.t() @ rows
        ctx.save_for_backward(grad_vectors, grad_weight, grad_bias)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradients[0]
        return *(None if part is None else part * scale for part in ctx.saved_tensors), None, None


def projected_cross_entropy(
    vectors: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Compute `smoothed_cross_entropy` from vectors (N, E) and the projection (V, E), (V,) without storing all logits.

    Under autocast the products are computed in its type, the rest in float32.
    """
    device = vectors.device.type
    if torch.is_autocast_enabled(device):
        vectors = vectors.to(torch.get_autocast_dtype(device))
    if not torch.is_grad_enabled():  # ctx.needs_input_grad ignores no_grad
        vectors, weight, bias = vectors.detach(), weight.detach(), bias.detach()
    with torch.autocast(device, enabled=False):  # in-place products ignore autocast
        loss, nll = ProjectedCrossEntropy.apply(vectors, weight, bias, target, smoothing)  # type: ignore[no-untyped-call]
    return loss, nll
