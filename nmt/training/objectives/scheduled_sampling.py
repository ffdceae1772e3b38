"""Scheduled sampling: the decoder reads its own words with growing probability (Bengio et al. 2015)."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from nmt.config import SamplingDecay, TrainConfig
from nmt.data import Batch
from nmt.models import Seq2Seq
from nmt.training.objectives.chunks import map_log_probs_chunked
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput


def teacher_forcing_probability(config: TrainConfig, step: int) -> float:
    """Return the probability e_i of reading the true word at step i = 0, 1, ... (Bengio et al. 2015, 2.4)."""
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


def scheduled_sampling(objective: Objective, probability: Callable[[], float]) -> Objective:
    """Return the objective on batches in which the decoder reads some words that the model has drawn.

    There are two passes, which stay parallel over the sequence (Mihaylova and Martins 2019, 3): a pass over the true
    words gives the model's distribution at each step, and a pass over the mixture learns. The first has no gradient.

    Args:
        objective: the objective to minimise.
        probability: returns the current probability of a true word.
    """

    def sampled(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        return objective(model, replace(batch, tgt_in=mix_in_samples(model, batch, probability())))

    return sampled


@torch.no_grad()
def mix_in_samples(model: Seq2Seq, batch: Batch, probability: float) -> Tensor:
    """Return the decoder's input (T, B): bos, then the true word with this probability, otherwise a drawn one."""
    read = batch.tgt_mask[1:]  # the prediction of one step is the input of the next
    vectors = model.decoder_outputs(batch.src, batch.src_mask, batch.tgt_in)[:-1][read]  # (N, E)
    drawn = map_log_probs_chunked(model, draw, vectors)  # (N,)
    true = batch.tgt_in[1:][read]  # (N,)
    keep = torch.rand(true.shape, device=true.device) < probability
    mixed = batch.tgt_in.clone()
    mixed[1:][read] = torch.where(keep, true, drawn)
    return mixed


def draw(log_probs: Tensor) -> Tensor:
    """Draw a word from each row: (n, V) to (n,)."""
    return log_probs.exp().multinomial(1).squeeze(1)
