"""Minimum risk training: the expected loss in the metric itself (Shen et al. 2016)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Batch, make_batch
from nmt.models import Seq2Seq
from nmt.training.chunks import over_logits
from nmt.training.objectives import Objective

LENGTH_RATIO = 2
"""A sample ends after this times the longest reference of its batch."""

Ids = list[int]


def risk(loss: Callable[[Sequence[Ids], Sequence[Ids]], list[float]], samples: int, alpha: float) -> Objective:
    """sum_y Q(y | x) loss(y), Q(y | x) = P(y | x)^alpha / sum_y' P(y' | x)^alpha, summed over sentences x.

    Shen et al. 2016, 3: y are the reference and translations that the model samples, each once. As every
    loss, the sum is divided by the target tokens. `nll` is the references'.

    Args:
        loss: of translations, given with as many references, as ids without eos.
        samples: drawn for each sentence.
        alpha: sharpness of Q.
    """

    def objective(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        sources = [line[keep].tolist()[:-1] for line, keep in zip(batch.src.t(), batch.src_mask.t(), strict=True)]
        references = [
            line[keep].tolist()[:-1] for line, keep in zip(batch.tgt_out.t(), batch.tgt_mask.t(), strict=True)
        ]
        candidates = [
            distinct([reference, *drawn])
            for reference, drawn in zip(references, sample(model, batch, samples), strict=True)
        ]
        sizes = [len(each) for each in candidates]
        flat = [ids for each in candidates for ids in each]
        repeated = [source for source, size in zip(sources, sizes, strict=True) for _ in range(size)]
        against = [reference for reference, size in zip(references, sizes, strict=True) for _ in range(size)]
        log_probs = sequence_log_probs(model, make_batch(repeated, flat, range(len(flat))).to(batch.src.device))
        losses = log_probs.new_tensor(loss(flat, against))
        own, their = torch.split(log_probs, sizes), torch.split(losses, sizes)
        risks = [((alpha * log_p).softmax(dim=0) * costs).sum() for log_p, costs in zip(own, their, strict=True)]
        nll = -torch.stack([of_one[0] for of_one in own]).sum().detach()
        return torch.stack(risks).sum(), batch.tokens, {"nll": nll}

    return objective


def distinct(candidates: Sequence[Ids]) -> list[Ids]:
    """Each once, in order."""
    return [list(ids) for ids in dict.fromkeys(map(tuple, candidates))]


def sequence_log_probs(model: Seq2Seq, batch: Batch) -> Tensor:
    """log P(y | x) of each pair, (B,)."""
    vectors = model.vectors(batch.src, batch.src_mask, batch.tgt_in)[batch.tgt_mask]  # (N, E)
    words = over_logits(model, of_word, vectors, batch.tgt_out[batch.tgt_mask])  # (N,)
    return words.new_zeros(batch.tgt_mask.shape).masked_scatter(batch.tgt_mask, words).sum(dim=0)


def of_word(log_probs: Tensor, word: Tensor) -> Tensor:
    """(n, V) and words (n,) to (n,)."""
    return log_probs.gather(1, word.unsqueeze(1)).squeeze(1)


@torch.no_grad()
def sample(model: Seq2Seq, batch: Batch, count: int) -> list[list[Ids]]:
    """`count` translations of each sentence drawn from the model without dropout, as ids without eos."""
    rows = torch.arange(len(batch.indices), device=batch.src.device).unsqueeze(1).expand(-1, count)  # (B, K)
    tokens = torch.full((rows.numel(),), BOS_ID, device=batch.src.device)
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    drawn: list[Tensor] = []
    training = model.training
    model.eval()
    try:
        state = model.encode(batch.src, batch.src_mask).select(rows)
        while not ended.all() and len(drawn) < LENGTH_RATIO * len(batch.tgt_in):
            log_probs, state = model.step(tokens, state)  # (B K, V)
            log_probs[:, [PAD_ID, UNK_ID, BOS_ID]] = float("-inf")
            tokens = log_probs.exp().multinomial(1).squeeze(1)
            ended |= tokens == EOS_ID
            drawn.append(tokens)
    finally:
        model.train(training)
    found = [until_end(line) for line in torch.stack(drawn, dim=1).tolist()]
    return [found[start : start + count] for start in range(0, len(found), count)]


def until_end(ids: Ids) -> Ids:
    return ids[: ids.index(EOS_ID)] if EOS_ID in ids else ids
