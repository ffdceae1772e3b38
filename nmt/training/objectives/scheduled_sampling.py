"""Scheduled sampling: the decoder learns to read its own words (Bengio et al. 2015)."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from nmt.config import SamplingDecay, TrainConfig
from nmt.data import Batch
from nmt.models import Seq2Seq
from nmt.training.objectives.chunks import map_log_probs_chunked
from nmt.training.objectives.likelihood import Objective


def share_of_truth(config: TrainConfig, step: int) -> float:
    """The probability e_i that a word read at step i = 0, 1, ... is the true one (Bengio et al. 2015, 2.4)."""
    k = config.sampling_k
    match config.scheduled_sampling:
        case SamplingDecay.linear:
            share = k - config.sampling_c * step
        case SamplingDecay.exponential:
            share = k**step
        case SamplingDecay.inverse_sigmoid:
            share = k / (k + math.exp(min(step / k, 700.0)))
        case None:
            share = 1.0
    return min(1.0, max(config.sampling_least, share))


def scheduled_sampling(objective: Objective, share: Callable[[], float]) -> Objective:
    """The objective of a batch in which some words that the decoder reads are drawn from the model.

    In two passes, so that a sequence stays parallel (Mihaylova and Martins 2019, 3): one over the true words gives the
    model's own distribution at each step, one over the mixture learns. No gradient flows through the first.

    Args:
        objective: what is minimised.
        share: gives the probability of a true word now.
    """

    def sampled(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        return objective(model, replace(batch, tgt_in=mixture(model, batch, share())))

    return sampled


@torch.no_grad()
def mixture(model: Seq2Seq, batch: Batch, share: float) -> Tensor:
    """What the decoder shall read, (T, B): bos, then the true words with probability `share` each, else the model's."""
    read = batch.tgt_mask[1:]  # what is predicted at a step is read at the next
    vectors = model.decoder_outputs(batch.src, batch.src_mask, batch.tgt_in)[:-1][read]  # (N, E)
    own = map_log_probs_chunked(model, draw, vectors)  # (N,)
    true = batch.tgt_in[1:][read]  # (N,)
    keep = torch.rand(true.shape, device=true.device) < share
    mixed = batch.tgt_in.clone()
    mixed[1:][read] = torch.where(keep, true, own)
    return mixed


def draw(log_probs: Tensor) -> Tensor:
    """A word of each row, (n, V) to (n,)."""
    return log_probs.exp().multinomial(1).squeeze(1)
