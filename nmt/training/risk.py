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


def risk(
    loss: Callable[[Sequence[Ids], Sequence[Ids]], list[float]],
    samples: int,
    alpha: float,
    temperature: float = 1.0,
    with_reference: bool = True,
) -> Objective:
    """sum_y Q(y | x) loss(y), Q(y | x) = P(y | x)^alpha / sum_y' P(y' | x)^alpha, summed over sentences x.

    Shen et al. 2016, 3: y are the reference and translations that the model samples, each once. As every
    loss, the sum is divided by the target tokens. `nll` is the references'.

    Args:
        loss: of translations, given with as many references, as ids without eos.
        samples: drawn for each sentence.
        alpha: sharpness of Q.
        temperature: of the samples; below 1 they are more like what search finds.
    """

    def objective(model: Seq2Seq, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
        references = [
            line[keep].tolist()[:-1] for line, keep in zip(batch.tgt_out.t(), batch.tgt_mask.t(), strict=True)
        ]
        drawn = sample(model, batch, samples, temperature)
        candidates = [distinct([reference, *some]) for reference, some in zip(references, drawn, strict=True)]
        log_probs, there = sequence_log_probs(model, batch, candidates)  # (B, K)
        flat = [ids for each in candidates for ids in each]
        against = [reference for reference, each in zip(references, candidates, strict=True) for _ in each]
        costs = log_probs.new_zeros(there.shape).masked_scatter(there, log_probs.new_tensor(loss(flat, against)))
        if not with_reference:  # unless it was drawn
            there[:, 0] = torch.tensor([each in some for each, some in zip(references, drawn, strict=True)])
        q = (alpha * log_probs).masked_fill(~there, float("-inf")).softmax(dim=1)
        return (q * costs).sum(), batch.tokens, {"nll": -log_probs[:, 0].detach().sum()}

    return objective


def distinct(candidates: Sequence[Ids]) -> list[Ids]:
    """Each once, in order."""
    return [list(ids) for ids in dict.fromkeys(map(tuple, candidates))]


def sequence_log_probs(model: Seq2Seq, batch: Batch, candidates: Sequence[Sequence[Ids]]) -> tuple[Tensor, Tensor]:
    """log P(y | x) of each sentence's candidates, (B, K), K the most of them; and where there are so many.

    Each sentence is read once, with the same dropout for all its candidates.
    """
    sizes = [len(each) for each in candidates]
    most = max(sizes)
    filled = [ids for each in candidates for ids in (*each, *[[]] * (most - len(each)))]
    there = (torch.arange(most) < torch.tensor(sizes).unsqueeze(1)).to(batch.src.device)  # (B, K)
    targets = make_batch([[]] * len(filled), filled, range(len(filled))).to(batch.src.device)
    rows = torch.arange(len(sizes), device=batch.src.device).unsqueeze(1).expand(-1, most)  # (B, K)
    vectors = model.decode(targets.tgt_in, model.encode(batch.src, batch.src_mask).select(rows))[targets.tgt_mask]
    words = over_logits(model, of_word, vectors, targets.tgt_out[targets.tgt_mask])  # (N,)
    log_probs = words.new_zeros(targets.tgt_mask.shape).masked_scatter(targets.tgt_mask, words).sum(dim=0)
    return log_probs.view(there.shape), there


def of_word(log_probs: Tensor, word: Tensor) -> Tensor:
    """(n, V) and words (n,) to (n,)."""
    return log_probs.gather(1, word.unsqueeze(1)).squeeze(1)


@torch.no_grad()
def sample(model: Seq2Seq, batch: Batch, count: int, temperature: float = 1.0) -> list[list[Ids]]:
    """`count` translations of each sentence drawn from the model without dropout, as ids without eos.

    What has ended is dropped from the batch: a few samples are far longer than most.
    """
    sentences = len(batch.indices)
    found: list[Ids] = [[] for _ in range(sentences * count)]
    going = torch.arange(len(found), device=batch.src.device)  # which of them each row is
    tokens = torch.full_like(going, BOS_ID)
    training = model.training
    model.eval()
    try:
        state = model.encode(batch.src, batch.src_mask).select((going // count).unsqueeze(1))
        for _ in range(LENGTH_RATIO * len(batch.tgt_in)):
            log_probs, state = model.step(tokens, state)  # (rows, V)
            log_probs[:, [PAD_ID, UNK_ID, BOS_ID]] = float("-inf")
            tokens = (log_probs / temperature).softmax(dim=1).multinomial(1).squeeze(1)
            kept = (tokens != EOS_ID).nonzero()  # (rows left, 1)
            if not len(kept):
                break
            if len(kept) < len(tokens):
                going, tokens, state = going[kept[:, 0]], tokens[kept[:, 0]], state.select(kept)
            for each, token in zip(going.tolist(), tokens.tolist(), strict=True):
                found[each].append(token)
    finally:
        model.train(training)
    return [found[start : start + count] for start in range(0, len(found), count)]
