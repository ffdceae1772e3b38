"""The end of the network in training: projection onto the vocabulary, softmax and loss, fused."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

CHUNK = 256
"""Rows of logits made at once: they stay in the cache, where 2,000 rows of 8,000 words would be 64 MB a pass."""


def smoothed_cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy against a target smoothed over the vocabulary (Szegedy et al. 2016, 7), summed, from logits (N, V).

    Returns:
        The loss, and the negative log-likelihood of the true words, which is the loss without smoothing.
    """
    log_probs = logits.float().log_softmax(dim=-1)
    nll = -log_probs.gather(1, target.unsqueeze(1)).sum()
    return (1 - smoothing) * nll - smoothing * log_probs.mean(dim=-1).sum(), nll.detach()


class ProjectedCrossEntropy(torch.autograd.Function):
    """`smoothed_cross_entropy(linear(vectors, weight, bias), target, smoothing)`, its gradient made on the way.

    The gradient of the loss by the logits is softmax - smoothed target, so each chunk of rows is projected, turned
    into its gradient in place and multiplied out, and no logits outlive their chunk.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        words = weight.size(0)
        wanted = any(ctx.needs_input_grad)
        by_vectors = torch.empty_like(vectors) if wanted else None
        by_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted else None
        by_bias = torch.zeros_like(bias, dtype=torch.float32) if wanted else None
        loss, nll = vectors.new_zeros((), dtype=torch.float32), vectors.new_zeros((), dtype=torch.float32)
        narrow, narrow_bias = weight.to(vectors.dtype), bias.to(vectors.dtype)
        mean_weight, mean_bias = weight.float().mean(dim=0), bias.float().mean()  # give the mean of a row of logits
        for start in range(0, len(vectors), CHUNK):
            rows, truth = vectors[start : start + CHUNK], target[start : start + CHUNK].unsqueeze(1)
            logits = linear(rows, narrow, narrow_bias).float()
            largest = logits.amax(dim=-1, keepdim=True)  # (n, 1)
            shifted = logits.sub_(largest)
            at_truth = shifted.gather(1, truth)
            exponentials = shifted.exp_()
            sums = exponentials.sum(dim=-1, keepdim=True)
            chunk_nll = (sums.log() - at_truth).sum()
            mean = rows.float() @ mean_weight + mean_bias - largest.squeeze(1)  # of the shifted logits, (n,)
            mean_nll = (sums.log().squeeze(1) - mean).sum()
            nll += chunk_nll
            loss += (1 - smoothing) * chunk_nll + smoothing * mean_nll
            if by_vectors is None or by_weight is None or by_bias is None:
                continue
            gradient = exponentials.div_(sums).sub_(smoothing / words)  # softmax - smoothed target
            gradient.scatter_add_(1, truth, torch.full_like(truth, smoothing - 1, dtype=gradient.dtype))
            by_bias += gradient.sum(dim=0)
            gradient = gradient.to(vectors.dtype)
            torch.mm(gradient, narrow, out=by_vectors[start : start + CHUNK])
            if gradient.dtype == by_weight.dtype:
                by_weight.addmm_(gradient.t(), rows)
            else:
                by_weight += gradient.t() @ rows
        ctx.save_for_backward(by_vectors, by_weight, by_bias)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradients[0]
        return *(part * scale for part in ctx.saved_tensors), None, None


def projected_cross_entropy(
    vectors: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """The same from vectors (N, E) and the projection (V, E), (V,), without ever holding all the logits.

    Under autocast the products are in its type, and all else in float32.
    """
    device = vectors.device.type
    if torch.is_autocast_enabled(device):
        vectors = vectors.to(torch.get_autocast_dtype(device))
    if not torch.is_grad_enabled():  # the function is not told
        vectors, weight, bias = vectors.detach(), weight.detach(), bias.detach()
    with torch.autocast(device, enabled=False):  # products in place know nothing of autocast
        loss, nll = ProjectedCrossEntropy.apply(vectors, weight, bias, target, smoothing)  # type: ignore[no-untyped-call]
    return loss, nll
