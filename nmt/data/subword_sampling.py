"""Subword sampling: each epoch reads each sentence in other pieces (Kudo 2018; Provilkov et al. 2020).

SentencePiece samples too, but from one generator that cannot be set back, and a training that is continued must see
the pieces it would have seen. So these are samplers of our own over its vocabulary. They need no text: the stored
pieces spell it, unknown characters stand for themselves, and no piece reaches across a space, so that a sentence is
sampled word by word.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from nmt.config import SubwordType
from nmt.data.store import PairStore
from nmt.data.tokenizer import EOS_ID, UNK_ID, Tokenizer

SPACE = "▁"
WORDS = re.compile(f"{SPACE}[^{SPACE}]*|[^{SPACE}]+")
CACHED_WORDS = 50_000


class WordSampler(Protocol):
    def sample(self, word: str, uniform: Iterator[float]) -> list[int]:
        """Pieces that spell the word; `uniform` gives random numbers from 0 to below 1."""


class UnigramSampler:
    """p(x_1 ... x_n) in proportion to (p(x_1) ... p(x_n))^alpha, over all segmentations of a word (Kudo 2018, 3.3).

    Exact, by filtering forward and sampling backward, which is the limit of Kudo's n-best lists. alpha = 0 makes all
    segmentations equally likely, a large one leaves the best.
    """

    def __init__(self, pieces: Sequence[str], log_probs: Sequence[float], alpha: float) -> None:
        self.ids = {piece: i for i, piece in enumerate(pieces) if i > EOS_ID}
        self.weights = [alpha * log_prob for log_prob in log_probs]
        self.longest = max(map(len, self.ids))
        self.lattice = lru_cache(CACHED_WORDS)(self.make_lattice)

    def make_lattice(self, word: str) -> list[tuple[list[float], list[tuple[int, int]]]]:
        """For each end in the word: the last pieces there as (start, id), and their cumulative probabilities."""
        total = [0.0]  # log of the summed weight of all ways to reach each position; every character is a piece
        lattice: list[tuple[list[float], list[tuple[int, int]]]] = [([], [])]
        for end in range(1, len(word) + 1):
            starts = range(max(0, end - self.longest), end)
            steps = [(start, self.ids[word[start:end]]) for start in starts if word[start:end] in self.ids]
            logs = [total[start] + self.weights[piece] for start, piece in steps]
            cumulative = list(accumulate(math.exp(log - max(logs)) for log in logs))
            total.append(max(logs) + math.log(cumulative[-1]))
            lattice.append((cumulative, steps))
        return lattice

    def sample(self, word: str, uniform: Iterator[float]) -> list[int]:
        lattice, end, reverse = self.lattice(word), len(word), []
        while end > 0:
            cumulative, steps = lattice[end]
            end, piece = steps[bisect_left(cumulative, (1 - next(uniform)) * cumulative[-1])]
            reverse.append(piece)
        return reverse[::-1]


class BPEDropout:
    """Byte-pair merges, each dropped with a probability, anew at every merge (Provilkov et al. 2020, alg. 1)."""

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], probability: float) -> None:
        self.ids = {piece: i for i, piece in enumerate(pieces) if i > EOS_ID}
        self.scores = scores
        self.probability = probability

    def sample(self, word: str, uniform: Iterator[float]) -> list[int]:
        symbols = list(word)
        while True:
            merges = [(self.ids.get(left + right), i) for i, (left, right) in enumerate(pairwise(symbols))]
            possible = [(self.scores[piece], -i) for piece, i in merges if piece is not None]
            kept = [merge for merge in possible if next(uniform) >= self.probability]
            if not kept:
                return [self.ids[symbol] for symbol in symbols]
            place = -max(kept)[1]  # the merge learnt first, and of equal ones the leftmost
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


class SubwordSampling:
    """The pairs of a store, segmented by (seed, epoch, number of the pair) alone."""

    def __init__(
        self,
        store: PairStore,
        pieces: tuple[Sequence[str], Sequence[str]],
        samplers: tuple[WordSampler, ...],
        seed: int,
    ) -> None:
        """
        Args:
            store: pairs of ids.
            pieces: both vocabularies, source and target.
            samplers: of source and target.
            seed: the run's.
        """
        self.store = store
        self.pieces = pieces
        self.samplers = samplers
        self.seed = seed

    def pair(self, epoch: int, index: int) -> tuple[list[int], list[int]]:
        """Source and target ids."""
        uniform = uniforms(np.random.default_rng((self.seed, epoch, index)))
        src, tgt = (
            resample(side[index].tolist(), pieces, sampler, uniform)
            for side, pieces, sampler in zip((self.store.src, self.store.tgt), self.pieces, self.samplers, strict=True)
        )
        return src, tgt


def resample(ids: Sequence[int], pieces: Sequence[str], sampler: WordSampler, uniform: Iterator[float]) -> list[int]:
    """The same text in other pieces; what is unknown stays where it is."""
    found: list[int] = []
    known = ""
    for piece in [*ids, UNK_ID]:
        if piece != UNK_ID:
            known += pieces[piece]
            continue
        for word in WORDS.findall(known):
            found += sampler.sample(word, uniform)
        found.append(UNK_ID)
        known = ""
    return found[:-1]


def uniforms(generator: np.random.Generator) -> Iterator[float]:
    """Random numbers from 0 to below 1 without end, drawn in blocks, which is faster."""
    while True:
        yield from generator.random(256).tolist()


def build_sampling(
    store: PairStore, tokenizers: tuple[Tokenizer, Tokenizer], kind: SubwordType, strength: float, seed: int
) -> SubwordSampling:
    """
    Args:
        store: the training pairs.
        tokenizers: those that made its ids.
        kind: of these tokenizers.
        strength: alpha of the unigram model, the probability of dropping a merge in byte-pair encoding.
        seed: the run's.
    """
    build = UnigramSampler if kind == SubwordType.unigram else BPEDropout
    pieces = [tokenizer.pieces(range(tokenizer.size)) for tokenizer in tokenizers]
    samplers = [build(own, each.scores(), strength) for own, each in zip(pieces, tokenizers, strict=True)]
    return SubwordSampling(store, (pieces[0], pieces[1]), tuple(samplers), seed)
