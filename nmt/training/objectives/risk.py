"""Minimum risk training: the expected loss in the evaluation metric (Shen et al. 2016)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nmt.config import SearchConfig
from nmt.data import Batch, make_batch
from nmt.decoding import SearchRequest, sampling
from nmt.decoding.hypothesis import SYMBOLS
from nmt.models import Seq2Seq
from nmt.training.objectives.chunks import map_log_probs_chunked
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput

LENGTH_RATIO = 2
"""Longest length of a sample, in multiples of the longest reference of its batch."""

Ids = list[int]


def risk(
    loss: Callable[[Sequence[Ids], Sequence[Ids]], list[float]],
    num_samples: int,
    alpha: float,
    temperature: float,
    with_reference: bool,
) -> Objective:
    """Return the objective sum_y Q(y | x) loss(y) with Q(y | x) = P(y | x)^alpha / sum_y' P(y' | x)^alpha.

    The objective is summed over sentences x; the loop divides it by the target tokens, as every loss (Shen et al. 2016,
    3). The candidates y are the reference and translations that the model samples, without duplicates. `nll` is that of
    the references.

    Args:
        loss: maps translations and one reference per translation, as ids without eos, to losses.
        num_samples: number of samples per sentence.
        alpha: sharpness of Q.
        temperature: temperature of the samples; below 1 they are closer to what search finds.
        with_reference: count the reference among the candidates, as in the paper; otherwise only if it was drawn.
    """

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        references = [ids[:-1] for ids in real_ids(batch.tgt_out, batch.tgt_mask)]
        samples = sample(model, batch, num_samples, temperature)
        candidates = [without_duplicates([ref, *drawn]) for ref, drawn in zip(references, samples, strict=True)]
        log_probs = sequence_log_probs(model, batch, candidates)
        flat = [ids for group in candidates for ids in group]
        flat_references = [ref for ref, group in zip(references, candidates, strict=True) for _ in group]
        sizes = [len(group) for group in candidates]
        costs = torch.split(log_probs[0].new_tensor(loss(flat, flat_references)), sizes)
        # The reference is the first candidate; it is left out unless it counts.
        starts = [0 if with_reference or ref in drawn else 1 for ref, drawn in zip(references, samples, strict=True)]
        risks = [
            ((alpha * log_prob[start:]).softmax(dim=0) * cost[start:]).sum()
            for log_prob, cost, start in zip(log_probs, costs, starts, strict=True)
        ]
        nll = -torch.stack([log_prob[0].detach() for log_prob in log_probs]).sum()
        return ObjectiveOutput(torch.stack(risks).sum(), nll)

    return objective


def real_ids(ids: Tensor, mask: Tensor) -> list[Ids]:
    """Return the ids of each column of (T, B) without padding."""
    return [line[real].tolist() for line, real in zip(ids.t(), mask.t(), strict=True)]


def without_duplicates(candidates: Sequence[Ids]) -> list[Ids]:
    """Return the distinct candidates in their order."""
    return [list(ids) for ids in dict.fromkeys(map(tuple, candidates))]


def sequence_log_probs(model: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[Ids]]) -> list[Tensor]:
    """Return log P(y | x) of each sentence's candidates, one tensor per sentence.

    Each sentence is encoded once, and all its candidates are scored with the same dropout masks.
    """
    sizes = [len(group) for group in candidates]
    largest = max(sizes)
    filled = [ids for group in candidates for ids in (*group, *[[]] * (largest - len(group)))]
    targets = make_batch([[]] * len(filled), filled, range(len(filled))).to(batch.src.device)
    rows = torch.arange(len(sizes), device=batch.src.device).unsqueeze(1).expand(-1, largest)  # (B, K)
    state = model.encode(batch.src, batch.src_mask).select(rows)
    vectors = model.decode(targets.tgt_in, state, hypotheses=largest)[targets.tgt_mask]
    words = map_log_probs_chunked(model, word_log_prob, vectors, targets.tgt_out[targets.tgt_mask])  # (N,)
    log_probs = words.new_zeros(targets.tgt_mask.shape).masked_scatter(targets.tgt_mask, words).sum(dim=0)
    return [row[:size] for row, size in zip(log_probs.view(-1, largest), sizes, strict=True)]


def word_log_prob(log_probs: Tensor, word: Tensor) -> Tensor:
    """Select the log-probability of one word per row: (n, V) and (n,) to (n,)."""
    return log_probs.gather(1, word.unsqueeze(1)).squeeze(1)


@torch.inference_mode()
def sample(model: Seq2Seq, batch: Batch, count: int, temperature: float) -> list[list[Ids]]:
    """Draw `count` translations of each sentence from the model without dropout, as ids without eos."""
    config = SearchConfig(temperature=temperature, seed=int(torch.randint(2**31, ())))
    limits = torch.full((len(batch.indices),), LENGTH_RATIO * len(batch.tgt_in), device=batch.src.device)
    training = model.training
    model.eval()
    try:
        state = model.encode(batch.src, batch.src_mask)
        sources = real_ids(batch.src, batch.src_mask)
        hypotheses = sampling.sample(SearchRequest(model.step, state, limits, SYMBOLS, config), sources, count)
    finally:
        model.train(training)
    return [[hypothesis.tokens for hypothesis in group] for group in hypotheses]
