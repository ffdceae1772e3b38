"""Ancestral sampling: each word is drawn from the model's distribution, given the words drawn before.

B sentences, K samples each, V words in the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nmt.config import SearchConfig
from nmt.decoding.search import LEAVE_TOGETHER, Hypothesis, LogitsProcessor, S, Step, Symbols, length_norm

FIRST_LOOK = 64
"""Words that top-p sorts first; all are sorted only where these have less than the probability asked for."""


@torch.inference_mode()
def sample(
    step: Step[S],
    state: S,
    sources: Sequence[Sequence[int]],
    max_lengths: Tensor,
    symbols: Symbols,
    config: SearchConfig,
    count: int,
    rules: Sequence[LogitsProcessor] = (),
) -> list[list[Hypothesis]]:
    """Draws K translations of each of B sentences.

    Args:
        step: the model.
        state: before the first token, one hypothesis for each sentence.
        sources: the sentences' ids. These and the seed alone decide on a sentence's random numbers, so that it has the
            same samples in any batch; of more samples the first are the same.
        max_lengths: most tokens of each sentence's samples, eos not counted, (B,); a sample that has them is ended.
        symbols: the special words.
        config: seed, temperature, top_k, top_p, and the length penalty of the scores.
        count: K.
        rules: what else forbids words.

    Returns:
        The samples of each sentence in the order drawn, with the model's own log-probability, whatever temperature,
        top_k and top_p did to it; fewer where the model's numbers are not finite.

    Samples that have ended leave the batch, several at once, because what stays is copied. As the state wants equally
    many rows of each sentence, some stay that have ended, and go on drawing words that nobody reads.
    """
    if not sources:
        return []
    device = max_lengths.device
    sentences = len(sources)
    uniform = random_numbers(config.seed, sources, max_lengths.tolist(), count).to(device)  # (B K, T)
    banned = torch.tensor(symbols.banned, dtype=torch.long, device=device)
    slots = torch.arange(sentences * count, device=device).view(sentences, count)  # which sample each row is
    limits = max_lengths.repeat_interleave(count)  # (B K,)
    found = torch.full_like(uniform, symbols.eos_id, dtype=torch.long)
    totals = torch.zeros(sentences * count, device=device)
    live = torch.ones_like(slots, dtype=torch.bool)
    words = torch.full((sentences * count,), symbols.bos_id, device=device)
    state = state.select(torch.arange(sentences, device=device).unsqueeze(1).expand(-1, count))
    for length in range(uniform.size(1)):
        log_probs, state = step(words, state)  # (B' K', V)
        log_probs.index_fill_(1, banned, float("-inf"))
        flat = slots.flatten()
        for rule in rules:
            before = torch.cat([torch.full_like(found[flat, :1], symbols.bos_id), found[flat, :length]], dim=1)
            rule(log_probs.view(*slots.shape, -1), before.view(*slots.shape, -1), slots[:, 0] // count)
        drawn = draw(log_probs, uniform[flat, length], config)
        words = drawn.where(limits[flat] > length, symbols.eos_id)
        word_log_probs = log_probs.gather(1, words.unsqueeze(1)).squeeze(1)
        going = live.flatten()
        totals[flat[going]] += word_log_probs[going]
        found[flat[going], length] = words[going]
        live &= ((words != symbols.eos_id) & word_log_probs.isfinite()).view_as(live)
        left = int(live.sum(dim=1).max())
        if left == 0:
            break
        stay = live.any(dim=1)
        if int(stay.sum()) * left <= (1 - LEAVE_TOGETHER) * live.numel():
            first = live.sort(dim=1, descending=True, stable=True).indices[stay, :left]
            rows = first + live.size(1) * stay.nonzero()
            state = state.select(rows)
            words, slots, live = words[rows.flatten()], flat[rows], live.flatten()[rows]
    lengths = (found == symbols.eos_id).int().argmax(dim=1)
    scores = totals / length_norm(lengths + 1, config).to(device)
    samples = [
        Hypothesis(tokens[:end], log_prob, score)
        for tokens, end, log_prob, score in zip(
            found.tolist(), lengths.tolist(), totals.tolist(), scores.tolist(), strict=True
        )
    ]
    finite = totals.isfinite().tolist()
    return [[samples[i] for i in range(start, start + count) if finite[i]] for start in range(0, len(samples), count)]


def random_numbers(seed: int, sources: Sequence[Sequence[int]], limits: Sequence[int], count: int) -> Tensor:
    """Numbers from 0 to below 1, (B K, T): a row a sample, a column a word, eos at the limit the last."""
    numbers = np.zeros((len(sources), count, max(limits) + 1))
    for line, source, limit in zip(numbers, sources, limits, strict=True):
        line[:, : limit + 1] = np.random.default_rng((seed, *source)).random((count, limit + 1))
    return torch.from_numpy(numbers).flatten(0, 1)


def draw(log_probs: Tensor, uniform: Tensor, config: SearchConfig) -> Tensor:
    """A word of each row, (R,), from softmax(log_probs / temperature) over the words that top_k and top_p leave.

    Args:
        log_probs: of the words, (R, V).
        uniform: a number from 0 to below 1 for each row, in float64, (R,).
        config: temperature; then top_k; then top_p of the probability that top_k leaves.
    """
    weights = (log_probs / config.temperature).softmax(dim=1)
    if config.top_k is not None:
        ranked, words = weights.topk(min(config.top_k, weights.size(1)), dim=1)
        places = inverse(ranked, uniform, config.top_p * ranked.sum(dim=1))
        return words.gather(1, places.unsqueeze(1)).squeeze(1)
    if config.top_p == 1:
        return inverse(weights, uniform, weights.sum(dim=1))
    ranked, words = weights.topk(min(FIRST_LOOK, weights.size(1)), dim=1)
    least = config.top_p * weights.sum(dim=1)
    found = words.gather(1, inverse(ranked, uniform, least).unsqueeze(1)).squeeze(1)
    if (short := ranked.sum(dim=1) < least).any():
        found[short] = draw(log_probs[short], uniform[short], replace(config, top_k=weights.size(1)))
    return found


def inverse(weights: Tensor, uniform: Tensor, least: Tensor) -> Tensor:
    """The place at which the running sum of weights, (R, N), passes a share `uniform`, (R,), of the whole.

    The whole are the fewest weights, from the first on, that sum to `least`, (R,), or all where they do not.
    """
    sums = weights.cumsum(dim=1, dtype=torch.float64)
    last = (sums < least.unsqueeze(1)).sum(dim=1, keepdim=True).clamp(max=weights.size(1) - 1)
    share = uniform.unsqueeze(1) * sums.gather(1, last)
    return torch.searchsorted(sums, share, right=True).minimum(last).squeeze(1)
