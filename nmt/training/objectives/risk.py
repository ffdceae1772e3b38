"""Minimum risk training: the expected loss in the metric itself (Shen et al. 2016)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nmt.config import SearchConfig
from nmt.data import Batch, make_batch
from nmt.decoding import SearchRequest, sampling
from nmt.decoding.translator import SYMBOLS
from nmt.models import Seq2Seq
from nmt.training.objectives.chunks import map_log_probs_chunked
from nmt.training.objectives.likelihood import Objective

LENGTH_RATIO = 2
"""A sample ends after this times the longest reference of its batch."""

Ids = list[int]


def risk(
    loss: Callable[[Sequence[Ids], Sequence[Ids]], list[float]],
    samples: int,
    alpha: float,
    temperature: float,
    with_reference: bool,
) -> Objective:
    """sum_y Q(y | x) loss(y), Q(y | x) = P(y | x)^alpha / sum_y' P(y' | x)^alpha, summed over sentences x.

    Shen et al. 2016, 3: y are the reference and translations that the model samples, each once. As every
    loss, the sum is divided by the target tokens. `nll` is the references'.

    Args:
        loss: of translations, given with as many references, as ids without eos.
        samples: drawn for each sentence.
        alpha: sharpness of Q.
        temperature: of the samples; below 1 they are more like what search finds.
        with_reference: whether the reference is among the y, as in the paper; without, it is where it was drawn.
    """

    def objective(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        references = [ids[:-1] for ids in lines(batch.tgt_out, batch.tgt_mask)]
        drawn = sample(model, batch, samples, temperature)
        candidates = [distinct([reference, *some]) for reference, some in zip(references, drawn, strict=True)]
        log_probs = sequence_log_probs(model, batch, candidates)
        flat = [ids for each in candidates for ids in each]
        against = [reference for reference, each in zip(references, candidates, strict=True) for _ in each]
        costs = torch.split(log_probs[0].new_tensor(loss(flat, against)), [len(each) for each in candidates])
        firsts = [
            0 if with_reference or reference in some else 1 for reference, some in zip(references, drawn, strict=True)
        ]
        risks = [
            ((alpha * log_prob[first:]).softmax(dim=0) * cost[first:]).sum()
            for log_prob, cost, first in zip(log_probs, costs, firsts, strict=True)
        ]
        nll = -torch.stack([log_prob[0].detach() for log_prob in log_probs]).sum()
        return torch.stack(risks).sum(), batch.tokens, {"nll": nll}

    return objective


def lines(ids: Tensor, mask: Tensor) -> list[Ids]:
    """The real ids of each column of (T, B)."""
    return [line[real].tolist() for line, real in zip(ids.t(), mask.t(), strict=True)]


def distinct(candidates: Sequence[Ids]) -> list[Ids]:
    """Each once, in order."""
    return [list(ids) for ids in dict.fromkeys(map(tuple, candidates))]


def sequence_log_probs(model: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[Ids]]) -> list[Tensor]:
    """log P(y | x) of each sentence's candidates, in a tensor a sentence.

    Each sentence is read once, and all its candidates are scored with the same dropout masks, in encoder and decoder.
    """
    sizes = [len(each) for each in candidates]
    most = max(sizes)
    filled = [ids for each in candidates for ids in (*each, *[[]] * (most - len(each)))]
    targets = make_batch([[]] * len(filled), filled, range(len(filled))).to(batch.src.device)
    rows = torch.arange(len(sizes), device=batch.src.device).unsqueeze(1).expand(-1, most)  # (B, K)
    state = model.encode(batch.src, batch.src_mask).select(rows)
    vectors = model.decode(targets.tgt_in, state, hypotheses=most)[targets.tgt_mask]
    words = map_log_probs_chunked(model, of_word, vectors, targets.tgt_out[targets.tgt_mask])  # (N,)
    log_probs = words.new_zeros(targets.tgt_mask.shape).masked_scatter(targets.tgt_mask, words).sum(dim=0)
    return [each[:size] for each, size in zip(log_probs.view(-1, most), sizes, strict=True)]


def of_word(log_probs: Tensor, word: Tensor) -> Tensor:
    """(n, V) and words (n,) to (n,)."""
    return log_probs.gather(1, word.unsqueeze(1)).squeeze(1)


@torch.inference_mode()
def sample(model: Seq2Seq, batch: Batch, count: int, temperature: float) -> list[list[Ids]]:
    """`count` translations of each sentence drawn from the model without dropout, as ids without eos."""
    config = SearchConfig(temperature=temperature, seed=int(torch.randint(2**31, ())))
    limits = torch.full((len(batch.indices),), LENGTH_RATIO * len(batch.tgt_in), device=batch.src.device)
    training = model.training
    model.eval()
    try:
        state = model.encode(batch.src, batch.src_mask)
        sources = lines(batch.src, batch.src_mask)
        found = sampling.sample(SearchRequest(model.step, state, limits, SYMBOLS, config), sources, count)
    finally:
        model.train(training)
    return [[hypothesis.tokens for hypothesis in each] for each in found]
