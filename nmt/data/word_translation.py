"""IBM Model 1 (Brown et al. 1993) without the empty word: t(f|e) by expectation maximisation.

The words are numbers. A pair is given without repeated words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import PairStore

Words = NDArray[np.int64]
WordPair = tuple[Words, Words]
"""Source words and target words of a sentence pair."""
ROUNDS = 5
"""Iterations of expectation maximisation."""
MOST_PAIRS = 200_000
"""Number of sentence pairs that are read, spread evenly over the corpus."""
MOST_PIECES = 100
"""Number of pieces of a sentence that are read."""
TRANSLATIONS = 64
"""Number of translations kept per source piece."""
MOST_CELLS = 1 << 25
"""Number of combinations of words that are read; each takes about 40 bytes."""
TINY = 1e-30


def cells(pairs: Sequence[WordPair], tgt_size: int) -> tuple[Words, Words, Words]:
    """Enumerate every source word with every target word of its pair.

    Returns:
        For each combination, `src * tgt_size + tgt` and the index of the target word among those of all pairs; and for
        each target word, the index of its pair.
    """
    keys = [(tgt[:, None] + src * tgt_size).ravel() for src, tgt in pairs]
    src_sizes = np.array([len(src) for src, _ in pairs])
    tgt_sizes = np.array([len(tgt) for _, tgt in pairs])
    slots = np.repeat(np.arange(tgt_sizes.sum()), np.repeat(src_sizes, tgt_sizes))
    return np.concatenate(keys), slots, np.repeat(np.arange(len(pairs)), tgt_sizes)


def expected_counts(table: NDArray[np.float64], entries: Words, slots: Words) -> NDArray[np.float64]:
    """Return the expected number of alignments of each entry of the table (the E step).

    Args:
        table: t(f|e), one number per entry.
        entries: entry of each combination of a source word and a target word.
        slots: index of the target word of each combination.
    """
    weight = table[entries]
    weight /= np.maximum(np.bincount(slots, weight), TINY)[slots]  # posterior of each source word, given a target word
    return np.bincount(entries, weight, len(table)).astype(np.float64, copy=False)


@dataclass(frozen=True)
class PieceTranslations:
    """The likeliest translations of each source piece."""

    ids: NDArray[np.int32]
    """Target pieces, best first, (V_src, M); 0 where a piece has fewer."""
    probabilities: NDArray[np.float32]
    """t(f|e) of each, (V_src, M); 0 where a piece has fewer."""
    pairs: int
    """Number of sentence pairs that were read."""


def train_translations(
    store: PairStore,
    src_size: int,
    tgt_size: int,
    most_pairs: int = MOST_PAIRS,
    on_progress: Callable[[float], None] = lambda share: None,
) -> PieceTranslations:
    """Train the model on the pieces of a prepared corpus. Only combinations that occur have an entry in memory.

    Args:
        store: the corpus.
        src_size: number of source pieces. Ids with factors are reduced to pieces.
        tgt_size: number of target pieces.
        most_pairs: number of pairs to read.
        on_progress: function called with the share of the work that was just done.
    """
    lines = np.unique(np.linspace(0, len(store) - 1, min(most_pairs, len(store))).astype(np.int64))
    pairs = []
    for line in lines.tolist():
        src = np.unique(store.src[line][:MOST_PIECES].astype(np.int64) % src_size)
        tgt = np.unique(store.tgt[line][:MOST_PIECES].astype(np.int64))
        if len(src) and len(tgt):
            pairs.append((src, tgt))
    pairs = thinned(pairs)
    if not pairs:
        empty = np.zeros((src_size, TRANSLATIONS))
        return PieceTranslations(empty.astype(np.int32), empty.astype(np.float32), 0)
    keys, slots, _ = cells(pairs, tgt_size)
    on_progress(1 / (ROUNDS + 2))
    combinations, entries = np.unique(keys, return_inverse=True)
    on_progress(1 / (ROUNDS + 2))
    sources = combinations // tgt_size
    table = np.ones(len(combinations))
    for _ in range(ROUNDS):
        counts = expected_counts(table, entries, slots)
        table = counts / np.maximum(np.bincount(sources, counts), TINY)[sources]
        on_progress(1 / (ROUNDS + 2))
    return best_translations(table, sources, combinations % tgt_size, src_size, len(pairs))


def thinned(pairs: list[WordPair]) -> list[WordPair]:
    """Return the pairs, or every nth of them if they have more than `MOST_CELLS` combinations of words."""
    total = sum(len(src) * len(tgt) for src, tgt in pairs)
    return pairs[:: max(1, -(-total // MOST_CELLS))]


def best_translations(
    table: NDArray[np.float64], sources: Words, targets: Words, src_size: int, pairs: int
) -> PieceTranslations:
    """Return the `TRANSLATIONS` likeliest translations of each source piece; of equal ones, the smaller ids.

    Args:
        table: t(f|e) of each entry.
        sources: source piece of each entry, ascending.
        targets: target piece of each entry.
        src_size: number of source pieces.
        pairs: number of sentence pairs that were read.
    """
    order = np.lexsort((targets, -table, sources))
    starts = np.searchsorted(sources, np.arange(src_size))
    ranks = np.arange(len(sources)) - starts[sources]
    kept = ranks < TRANSLATIONS
    ids = np.zeros((src_size, TRANSLATIONS), np.int32)
    probabilities = np.zeros((src_size, TRANSLATIONS), np.float32)
    where = sources[kept], ranks[kept]  # sorting keeps the sources in place
    ids[where] = targets[order[kept]]
    probabilities[where] = table[order[kept]]
    return PieceTranslations(ids, probabilities, pairs)
