"""Ancestral sampling: each word is drawn from the model's distribution given the words drawn before it.

B sentences with K samples each, V words in the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nmt.config import SearchConfig
from nmt.decoding.search import (
    LEAVE_TOGETHER,
    ActiveBeams,
    Continuation,
    Hypothesis,
    S,
    SearchRequest,
    Selection,
    decode,
    length_norm,
)

FIRST_LOOK = 64
"""Number of words that top-p sorts first; all words are sorted only if these have too little probability."""


def sample(request: SearchRequest[S], sources: Sequence[Sequence[int]], count: int) -> list[list[Hypothesis]]:
    """Draw `count` translations of each sentence.

    Args:
        request: the request. Its configuration has seed, temperature, top_k, top_p, and the length penalty.
        sources: token ids of the sentences. A sentence's random numbers depend only on these and the seed, so that it
            has the same samples in any batch. The first samples do not depend on their number.
        count: K.

    Returns:
        The samples of each sentence in the order drawn, with the model's own log-probability before temperature, top_k
        and top_p; fewer if the model's log-probabilities are not finite.
    """
    return decode(request, SamplingSelection(request, sources, count)) if sources else []


class SamplingSelection(Selection[S]):
    """One random continuation of each hypothesis.

    Ended samples are removed from the batch several at once, because each removal copies the rows that stay. A state
    has the same number of rows for each sentence, so some ended samples stay; the words drawn for them are ignored.
    """

    selects_places = True

    def __init__(self, request: SearchRequest[S], sources: Sequence[Sequence[int]], count: int) -> None:
        super().__init__(request)
        limits, samples = request.max_lengths, len(sources) * count
        self.hypotheses = count
        self.uniform = random_numbers(self.config.seed, sources, limits.tolist(), count).to(limits.device)  # (B K, T)
        self.slots = torch.arange(samples, device=limits.device).view(len(sources), count)
        """Index of the sample of each row, (B, K)."""
        self.live = torch.ones_like(self.slots, dtype=torch.bool)
        """Rows whose sample has not ended, (B, K)."""
        self.tokens = torch.full_like(self.uniform, self.eos_id, dtype=torch.long)
        """Words of all samples, or their places in the subsets, (B K, T)."""
        self.log_probs = torch.zeros(samples, device=limits.device)
        """Log-probabilities of all samples, (B K,)."""

    def select(self, beams: ActiveBeams, log_probs: Tensor, state: S) -> Continuation:
        slots, live, at = self.slots.flatten(), self.live.flatten(), beams.length - 1
        log_probs = log_probs.flatten(0, 1)
        words = draw(log_probs, self.uniform[slots, at], self.config)  # (B K,)
        word_log_probs = log_probs.gather(1, words.unsqueeze(1)).squeeze(1)
        self.log_probs[slots[live]] += word_log_probs[live]
        self.tokens[slots[live], at] = words[live]
        self.live &= ((words != self.eos_id) & word_log_probs.isfinite()).view_as(self.live)
        beams.open = self.live.any(dim=1)
        left = int(self.live.sum(dim=1).max())
        if int(beams.open.sum()) * left > (1 - LEAVE_TOGETHER) * self.live.numel():
            return Continuation(words.view_as(self.live), rows=None, stay=None)
        live_first = self.live.sort(dim=1, descending=True, stable=True).indices
        rows = beams.rows(live_first)[beams.open, :left]
        self.slots, self.live = slots[rows], self.live.flatten()[rows]
        return Continuation(words[rows], rows, stay=beams.open)

    def results(self) -> list[list[Hypothesis]]:
        lengths = (self.tokens == self.eos_id).int().argmax(dim=1)
        scores = self.log_probs / length_norm(lengths + 1, self.config).to(self.log_probs.device)
        tokens = self.tokens
        if self.request.subsets is not None and self.request.selects_places:
            sentences = torch.arange(len(tokens), device=tokens.device) // self.hypotheses
            tokens = self.request.subsets.full_ids(tokens, sentences)
        columns = tokens.tolist(), lengths.tolist(), self.log_probs.tolist(), scores.tolist()
        samples = [
            Hypothesis(tokens[:end], log_prob, score) for tokens, end, log_prob, score in zip(*columns, strict=True)
        ]
        finite, count = self.log_probs.isfinite().tolist(), self.hypotheses
        starts = range(0, len(samples), count)
        return [[samples[i] for i in range(start, start + count) if finite[i]] for start in starts]


def random_numbers(seed: int, sources: Sequence[Sequence[int]], limits: Sequence[int], count: int) -> Tensor:
    """Return random numbers in [0, 1), (B K, T), one row per sample and one column per word, eos included."""
    numbers = np.zeros((len(sources), count, max(limits) + 1))
    for line, source, limit in zip(numbers, sources, limits, strict=True):
        line[:, : limit + 1] = np.random.default_rng((seed, *source)).random((count, limit + 1))
    return torch.from_numpy(numbers).flatten(0, 1)


def draw(log_probs: Tensor, uniform: Tensor, config: SearchConfig) -> Tensor:
    """Draw a word per row, (R,), from softmax(log_probs / temperature) restricted by top_k and top_p.

    Args:
        log_probs: log-probabilities of the words, (R, V).
        uniform: a number in [0, 1) per row, in float64, (R,).
        config: temperature, top_k, and top_p as a share of the probability that top_k leaves.
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
    drawn = words.gather(1, inverse(ranked, uniform, least).unsqueeze(1)).squeeze(1)
    if (short := ranked.sum(dim=1) < least).any():
        drawn[short] = draw(log_probs[short], uniform[short], replace(config, top_k=weights.size(1)))
    return drawn


def inverse(weights: Tensor, uniform: Tensor, least: Tensor) -> Tensor:
    """Return the index at which the running sum of weights (R, N) passes the share `uniform` (R,) of the total.

    The total is that of the fewest weights, in their order, that sum to `least` (R,), or of all if they do not.
    """
    sums = weights.cumsum(dim=1, dtype=torch.float64)
    last = (sums < least.unsqueeze(1)).sum(dim=1, keepdim=True).clamp(max=weights.size(1) - 1)
    share = uniform.unsqueeze(1) * sums.gather(1, last)
    return torch.searchsorted(sums, share, right=True).minimum(last).squeeze(1)
