"""Subword sampling: a new random segmentation of each sentence in each epoch (Kudo 2018; Provilkov et al. 2020).

SentencePiece samples from one generator whose state cannot be restored, but a resumed training must see the same
segmentations as an uninterrupted one. Therefore these samplers are implemented here, over SentencePiece's vocabulary.
They do not need the text, because the stored pieces spell it. Unknown pieces, user symbols and bytes are kept, and no
piece reaches across a space, so a sentence is sampled word by word.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache
from itertools import accumulate, groupby, pairwise
from typing import Protocol

import numpy as np

from nmt.config import TokenizerType
from nmt.data.store import PairStore
from nmt.data.tokenizer import EOS_ID, UNK_ID, Tokenizer
from nmt.errors import UserError

SPACE = "▁"
WORDS = re.compile(f"{SPACE}[^{SPACE}]*|[^{SPACE}]+")
CACHED_WORDS = 50_000


class WordSampler(Protocol):
    """Sampler of segmentations of a word."""

    def sample(self, word: str, uniform: Iterator[float]) -> list[int]:
        """Return ids of pieces that spell the word; `uniform` yields random numbers in [0, 1)."""


class UnigramSampler:
    """Sampler with p(x_1 ... x_n) proportional to (p(x_1) ... p(x_n))^alpha over all segmentations (Kudo 2018, 3.3).

    Sampling is exact, by forward filtering and backward sampling, the limit of Kudo's n-best lists. With alpha = 0 all
    segmentations are equally likely; with a large alpha only the best one is sampled.
    """

    def __init__(self, pieces: Sequence[str], log_probs: Sequence[float], alpha: float) -> None:
        self.ids = divided(pieces, log_probs)
        self.weights = [alpha * log_prob for log_prob in log_probs]
        self.longest = max(map(len, self.ids))
        self.lattice = lru_cache(CACHED_WORDS)(self.make_lattice)

    def make_lattice(self, word: str) -> list[tuple[list[float], list[tuple[int, int]]]]:
        """Return cumulative weights and (start, id) of the pieces that end at each position of the word."""
        total = [0.0]  # log of the summed weight of all segmentations up to each position; every character is a piece
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
        """Return the ids of a sampled segmentation, drawn from the end of the word to its start."""
        lattice, end, reverse = self.lattice(word), len(word), []
        while end > 0:
            cumulative, steps = lattice[end]
            end, piece = steps[bisect_left(cumulative, (1 - next(uniform)) * cumulative[-1])]
            reverse.append(piece)
        return reverse[::-1]


class BPEDropout:
    """Sampler that drops possible byte-pair merges at random at each step (Provilkov et al. 2020, alg. 1)."""

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], probability: float) -> None:
        self.ids = divided(pieces, scores)
        self.scores = scores
        self.probability = probability

    def sample(self, word: str, uniform: Iterator[float]) -> list[int]:
        """Return the ids of a sampled segmentation, merged from the characters of the word."""
        symbols = list(word)
        while True:
            merges = [(self.ids.get(first + second), i) for i, (first, second) in enumerate(pairwise(symbols))]
            possible = [(self.scores[piece], -i) for piece, i in merges if piece is not None]
            kept = [merge for merge in possible if next(uniform) >= self.probability]
            if not kept:
                return [self.ids[symbol] for symbol in symbols]
            left = -max(kept)[1]  # position of the merge learnt first; among equal merges the leftmost
            symbols[left : left + 2] = [symbols[left] + symbols[left + 1]]


def divided(pieces: Sequence[str], scores: Sequence[float]) -> dict[str, int]:
    """Return the ids of the pieces that segmentations are made of: those with a score, without special symbols."""
    return {piece: i for i, piece in enumerate(pieces) if i > EOS_ID and not math.isnan(scores[i])}


class SubwordSampling:
    """Sampled segmentations of the pairs of a store, determined by (seed, epoch, index of the pair) alone."""

    def __init__(
        self,
        store: PairStore,
        pieces: tuple[Sequence[str], Sequence[str]],
        samplers: tuple[WordSampler, ...],
        seed: int,
        fixed: tuple[Set[int], ...] = (frozenset({UNK_ID}),) * 2,
    ) -> None:
        """
        Args:
            store: pairs of ids.
            pieces: vocabularies of source and target.
            samplers: samplers of source and target.
            seed: seed of the run.
            fixed: pieces of source and target that are kept, such as unknown pieces, user symbols and bytes.
        """
        self.store = store
        self.pieces = pieces
        self.samplers = samplers
        self.seed = seed
        self.fixed = fixed

    def pair(self, epoch: int, index: int) -> tuple[list[int], list[int]]:
        """Return sampled source and target ids of the pair `index` in this epoch."""
        uniform = uniforms(np.random.default_rng((self.seed, epoch, index)))
        src, tgt = (
            resample(side[index].tolist(), pieces, sampler, uniform, fixed)
            for side, pieces, sampler, fixed in zip(
                (self.store.src, self.store.tgt), self.pieces, self.samplers, self.fixed, strict=True
            )
        )
        return src, tgt


def resample(
    ids: Sequence[int],
    pieces: Sequence[str],
    sampler: WordSampler,
    uniform: Iterator[float],
    fixed: Set[int] = frozenset({UNK_ID}),
) -> list[int]:
    """Return a sampled segmentation of the text that `ids` spell; the `fixed` pieces are kept.

    Words with different factors are sampled separately, and the pieces of a word get its factors.
    """
    size = len(pieces)
    return [
        piece + factors * size
        for factors, run in groupby(ids, key=lambda i: i // size)
        for piece in resample_run([i % size for i in run], pieces, sampler, uniform, fixed)
    ]


def resample_run(
    ids: Sequence[int], pieces: Sequence[str], sampler: WordSampler, uniform: Iterator[float], fixed: Set[int]
) -> list[int]:
    """Return a sampled segmentation of the text that ids without factors spell."""
    sampled: list[int] = []
    text = ""
    for piece in [*ids, UNK_ID]:
        if piece not in fixed:
            text += pieces[piece]
            continue
        for word in WORDS.findall(text):
            sampled += sampler.sample(word, uniform)
        sampled.append(piece)
        text = ""
    return sampled[:-1]


def uniforms(generator: np.random.Generator) -> Iterator[float]:
    """Yield random numbers in [0, 1) endlessly; drawing them in blocks is faster."""
    while True:
        yield from generator.random(256).tolist()


def build_sampling(
    store: PairStore, tokenizers: tuple[Tokenizer, Tokenizer], strength: float, seed: int
) -> SubwordSampling:
    """Build the sampling of the training pairs.

    Args:
        store: the training pairs.
        tokenizers: source and target tokenizers that encoded the store.
        strength: alpha of the unigram model, or the probability of dropping a merge in byte-pair encoding.
        seed: seed of the run.

    Raises:
        UserError: a tokenizer has no segmentations to sample.
    """
    check_sampling(tokenizers, strength)
    pieces = [tokenizer.pieces(range(tokenizer.size)) for tokenizer in tokenizers]
    scores = [tokenizer.scores() for tokenizer in tokenizers]
    samplers = [
        (UnigramSampler if tokenizer.kind == TokenizerType.unigram else BPEDropout)(vocabulary, values, strength)
        for vocabulary, values, tokenizer in zip(pieces, scores, tokenizers, strict=True)
    ]
    fixed = tuple({UNK_ID, *(i for i, score in enumerate(values) if math.isnan(score))} for values in scores)
    return SubwordSampling(store, (pieces[0], pieces[1]), tuple(samplers), seed, fixed)


def check_sampling(tokenizers: Iterable[Tokenizer], strength: float) -> None:
    """Check that segmentations of these tokenizers can be sampled.

    Raises:
        UserError: a tokenizer has one segmentation, or its sampling cannot be repeated.
    """
    for tokenizer in tokenizers:
        if tokenizer.kind is None:
            raise UserError(
                "train.subword_sampling needs SentencePiece's unigram or bpe pieces; the tokenizer of this run has "
                "other pieces, so set train.subword_sampling=null"
            )
        if tokenizer.kind == TokenizerType.bpe and strength > 1:
            raise UserError(f"train.subword_sampling is {strength}; allowed with a bpe tokenizer: from 0 to 1")
