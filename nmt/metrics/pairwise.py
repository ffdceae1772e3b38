"""Sentence scores of all pairs of a set of texts, equal to those of sacrebleu pair by pair but computed in one pass.

Notation: U texts, N n-grams in total, G distinct n-grams.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.metrics.scores import bleu_words

CHRF_ORDER, CHRF_BETA = 6, 2
BLEU_ORDER = 4
Numbers = NDArray[np.float64]


def pairwise(texts: Sequence[str], metric: str, tokenize: str) -> Numbers:
    """Score each text against each other text as its only reference, on 0 to 100.

    Args:
        texts: detokenised sentences.
        metric: chrf (Popović 2015) or bleu (effective order, smoothed as in sacrebleu).
        tokenize: tokenizer of sacrebleu for BLEU.

    Returns:
        (U, U), with the hypothesis in the row and the reference in the column.
    """
    return pairwise_chrf(texts) if metric == "chrf" else pairwise_bleu(texts, tokenize)


def pairwise_chrf(texts: Sequence[str]) -> Numbers:
    """Compute the F score of mean precision and mean recall of character n-grams, ignoring white space, (U, U)."""
    squeezed = ["".join(text.split()) for text in texts]
    units = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) for text in squeezed]
    lengths = np.array([len(text) for text in squeezed])
    precision, recall, orders = (np.zeros((len(texts), len(texts))) for _ in range(3))
    for order, matches in enumerate(all_matches(units, CHRF_ORDER), start=1):
        totals = np.maximum(lengths - order + 1, 0)
        hypothesis, reference = totals[:, None], totals[None, :]
        both = (hypothesis > 0) & (reference > 0)
        precision += np.divide(matches, hypothesis, out=np.zeros_like(matches), where=both)
        recall += np.divide(matches, reference, out=np.zeros_like(matches), where=both)
        orders += both
    orders = np.maximum(orders, 1)
    precision, recall = precision / orders, recall / orders
    factor = CHRF_BETA**2
    weighted = factor * precision + recall
    return 100 * np.divide((1 + factor) * precision * recall, weighted, out=np.zeros_like(weighted), where=weighted > 0)


def pairwise_bleu(texts: Sequence[str], tokenize: str) -> Numbers:
    """Compute sentence BLEU: the geometric mean of n-gram precisions times the brevity penalty, (U, U).

    Papineni et al. 2002. N-gram orders longer than the hypothesis are left out (sacrebleu's effective order). The first
    order without a match counts as half a match, the next one as a quarter, and so on (sacrebleu's smoothing `exp`).
    """
    words = [bleu_words(text, tokenize) for text in texts]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(word for line in words for word in line))}
    units = [np.array([numbers[word] for word in line], dtype=np.int64) for line in words]
    lengths = np.array([len(line) for line in words])
    logs, orders, halvings = (np.zeros((len(texts), len(texts))) for _ in range(3))
    matched = np.zeros_like(logs, dtype=bool)
    for order, matches in enumerate(all_matches(units, BLEU_ORDER), start=1):
        totals = np.maximum(lengths - order + 1, 0)[:, None]
        fits = np.broadcast_to(totals > 0, matches.shape)
        halvings += fits & (matches == 0)
        counted = np.where(matches > 0, matches, 0.5**halvings)
        logs += np.log(np.divide(counted, totals, out=np.ones_like(matches), where=fits))
        orders += fits
        matched |= matches > 0
    brevity = np.exp(np.minimum(0, 1 - lengths[None, :] / np.maximum(lengths, 1)[:, None]))
    return np.where(matched, 100 * brevity * np.exp(logs / np.maximum(orders, 1)), 0)


def all_matches(units: Sequence[NDArray[np.integer]], orders: int) -> Iterator[Numbers]:
    """Yield, for n = 1, 2, ..., the number of clipped n-gram matches of each pair of texts, (U, U).

    The n-grams are numbered incrementally: an n-gram is identified by the number of its first n - 1 units and its last
    unit. An n-gram that occurs only once in all texts cannot match, and neither can a longer n-gram that begins with
    it, so both are dropped. The diagonal holds the number of n-grams of each text.

    Args:
        units: characters or words of each text, as integers.
        orders: largest n.
    """
    lengths = [len(text) for text in units]
    text = np.repeat(np.arange(len(units)), lengths)
    remaining = np.concatenate([np.arange(length, 0, -1) for length in lengths] or [text])  # units from here to the end
    unit = np.unique(np.concatenate([*units, text[:0]]), return_inverse=True)[1]
    start, gram = np.arange(len(unit)), np.zeros(len(unit), dtype=np.int64)
    for order in range(1, orders + 1):
        fits = remaining[start] >= order
        start, gram = start[fits], gram[fits]
        gram = gram * (unit.max(initial=0) + 1) + unit[start + order - 1]
        _, gram, count = np.unique(gram, return_inverse=True, return_counts=True)
        repeated = count[gram] > 1
        start, gram = start[repeated], (np.cumsum(count > 1) - 1)[gram[repeated]]
        matches = clipped_matches(text[start], gram, len(units))
        np.fill_diagonal(matches, np.maximum(np.array(lengths) - order + 1, 0))
        yield matches


def clipped_matches(text: NDArray[np.integer], gram: NDArray[np.integer], texts: int) -> Numbers:
    """Sum over n-grams the smaller of the counts in two texts, (U, U).

    min(a, b) = sum over j = 1, 2, ... of [a >= j] [b >= j], which takes one matrix product per j. The sums are small
    integers, so float32 is exact.

    Args:
        text: text of each n-gram occurrence, (N,).
        gram: number of each n-gram occurrence, (N,).
        texts: U.
    """
    grams = int(gram.max(initial=-1)) + 1
    counts = torch.from_numpy(np.bincount(text * grams + gram, minlength=texts * grams)).view(texts, grams)
    total = torch.zeros(texts, texts)
    times = 1
    while counts.numel():
        has = (counts >= times).float()  # (U, G)
        total += has @ has.t()
        times += 1
        counts = counts[:, (counts >= times).sum(dim=0) > 1]
    matches: Numbers = total.double().numpy()
    return matches
