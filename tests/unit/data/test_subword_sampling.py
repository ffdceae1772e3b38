"""Subword sampling compared with enumeration of all segmentations, and in the limit with SentencePiece."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from nmt import phrasebook
from nmt.config import BatchUnit, TokenizerConfig, TokenizerType
from nmt.data import UNK_ID, PairStore, Tokenizer, TrainingBatches, build_sampling
from nmt.data.subword_sampling import BPEDropout, SubwordSampling, UnigramSampler, WordSampler, resample, uniforms
from nmt.data.tokenizer import train_tokenizer

SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]
PIECES = [*SPECIALS, "a", "b", "c", "ab", "bc", "abc", "ca", "bca", "▁", "▁a"]
LOG_PROBS = [0.0, 0.0, 0.0, 0.0, -2.1, -2.5, -1.9, -2.8, -3.1, -3.3, -2.2, -3.9, -1.5, -2.6]
RANKS = [0.0, 0.0, 0.0, 0.0, -9.0, -9.0, -9.0, -1.0, -2.0, -5.0, -3.0, -4.0, -9.0, -6.0]
WORD = "▁abcabca"
DRAWS = 20_000
TEXT = [side for pair in phrasebook.pairs(150, seed=1) for side in pair]
STRONGEST_UNIGRAM, NO_DROPOUT = 1e4, 0.0
each_kind = pytest.mark.parametrize("kind", [TokenizerType.unigram, TokenizerType.bpe])


def numbers(seed: int = 1) -> Iterator[float]:
    return uniforms(np.random.default_rng(seed))


@cache
def tokenizer(kind: TokenizerType) -> Tokenizer:
    return Tokenizer(train_tokenizer(TEXT, TokenizerConfig(type=kind, vocab_size=200)))


def assert_drawn_as(sampler: WordSampler, expected: dict[tuple[str, ...], float]) -> None:
    """Check that each frequency is within five standard deviations, and two draws, of its probability."""
    assert sum(expected.values()) == pytest.approx(1)
    uniform = numbers()
    drawn = Counter(tuple(PIECES[i] for i in sampler.sample(WORD, uniform)) for _ in range(DRAWS))
    assert set(drawn) <= set(expected)
    for segmentation, probability in expected.items():
        spread = math.sqrt(probability * (1 - probability) / DRAWS)
        assert abs(drawn[segmentation] / DRAWS - probability) <= 5 * spread + 2 / DRAWS, segmentation


def segmentations(word: str) -> Iterator[tuple[str, ...]]:
    if not word:
        yield ()
    for end in range(1, len(word) + 1):
        if word[:end] in PIECES[4:]:
            yield from ((word[:end], *rest) for rest in segmentations(word[end:]))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_unigram_model_draws_every_segmentation_by_its_probability(alpha: float) -> None:
    logs = dict(zip(PIECES, LOG_PROBS, strict=True))
    weights = {split: math.exp(alpha * sum(logs[piece] for piece in split)) for split in segmentations(WORD)}
    assert len(weights) > 20
    total = sum(weights.values())
    expected = {split: weight / total for split, weight in weights.items()}
    assert_drawn_as(UnigramSampler(PIECES, LOG_PROBS, alpha), expected)


def dropout(symbols: tuple[str, ...], probability: float) -> dict[tuple[str, ...], float]:
    """Return exact probabilities: each step applies the first merge, by rank and position, that is not dropped."""
    ranks = dict(zip(PIECES, RANKS, strict=True))
    pairs = [
        (-ranks[left + right], i)
        for i, (left, right) in enumerate(itertools.pairwise(symbols))
        if left + right in ranks
    ]
    result: Counter[tuple[str, ...]] = Counter({symbols: probability ** len(pairs)})
    for dropped, (_, i) in enumerate(sorted(pairs)):
        merged = (*symbols[:i], symbols[i] + symbols[i + 1], *symbols[i + 2 :])
        for end, share in dropout(merged, probability).items():
            result[end] += probability**dropped * (1 - probability) * share
    return result


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_dropped_merges_give_every_segmentation_its_probability(probability: float) -> None:
    expected = dropout(tuple(WORD), probability)
    assert_drawn_as(BPEDropout(PIECES, RANKS, probability), expected)
    possible = [split for split, share in expected.items() if share > 0]
    assert (len(possible) == 1) == (probability in (0.0, 1.0))


def sampling(kind: TokenizerType, strength: float, lines: list[str], seed: int = 1) -> SubwordSampling:
    ids = tokenizer(kind).encode(lines)
    return build_sampling(PairStore.of(ids, ids[::-1]), (tokenizer(kind), tokenizer(kind)), strength, seed)


@each_kind
def test_without_chance_it_is_sentencepieces_segmentation(kind: TokenizerType) -> None:
    certain = sampling(kind, STRONGEST_UNIGRAM if kind == TokenizerType.unigram else NO_DROPOUT, TEXT)
    for index in range(len(TEXT)):
        assert certain.pair(0, index) == (
            certain.store.src[index].tolist(),
            certain.store.tgt[index].tolist(),
        )


@each_kind
def test_every_sample_spells_the_text_and_keeps_what_is_unknown(kind: TokenizerType) -> None:
    lines = [*TEXT[:40], "", "家", "家 the家x 家家 house", "<s> </s> ▁ <unk>"]
    drawn = sampling(kind, 0.3, lines)
    pieces = tokenizer(kind).pieces
    changed = 0
    for epoch, index in itertools.product(range(3), range(len(lines))):
        for sampled, side in zip(drawn.pair(epoch, index), (drawn.store.src, drawn.store.tgt), strict=True):
            stored = side[index].tolist()
            assert "".join(pieces(sampled)) == "".join(pieces(stored))
            assert sampled.count(UNK_ID) == stored.count(UNK_ID)
            assert min(sampled, default=4) > 3 or UNK_ID in stored
            changed += sampled != stored
    assert changed > 3 * len(lines)


def test_special_symbols_are_never_drawn() -> None:
    word = "<s>"
    pieces, scores = [*SPECIALS, "<", "s", ">"], [0.0] * 4 + [-5.0] * 3
    for sampler in (UnigramSampler(pieces, scores, 1.0), BPEDropout(pieces, scores, 0.0)):
        assert sampler.sample(word, numbers()) == [4, 5, 6]


def test_known_words_around_an_unknown_character() -> None:
    ids = [13, 5, UNK_ID, UNK_ID, 12, UNK_ID, 4]  # ▁a b ? ? ▁ ? a
    assert resample(ids, PIECES, BPEDropout(PIECES, RANKS, 1.0), numbers()) == [12, 4, 5, 1, 1, 12, 1, 4]


@each_kind
def test_a_pair_depends_on_seed_epoch_and_number_alone(kind: TokenizerType) -> None:
    one, other = sampling(kind, 0.3, TEXT), sampling(kind, 0.3, TEXT)
    forth = [one.pair(2, index) for index in range(30)]
    back = [other.pair(2, index) for index in reversed(range(30))][::-1]
    assert forth == back
    assert forth != [one.pair(3, index) for index in range(30)]
    assert forth != [sampling(kind, 0.3, TEXT, seed=2).pair(2, index) for index in range(30)]


def test_batches_that_are_continued_are_those_that_would_have_come() -> None:
    drawn = sampling(TokenizerType.unigram, 0.3, TEXT)

    def batches() -> TrainingBatches:
        return TrainingBatches(drawn.store, BatchUnit.sentences, 16, 4, seed=1, sampling=drawn)

    whole, later = batches(), batches()
    seen = [whole.next() for _ in range(45)]
    assert whole.epoch == 2
    for number in (7, 20, 41):
        per_epoch = len(TEXT) // 16 + (len(TEXT) % 16 > 0)
        later.seek(number // per_epoch, number % per_epoch)
        batch = later.next()
        assert batch.indices == seen[number].indices
        assert batch.src.equal(seen[number].src)
        assert batch.tgt_out.equal(seen[number].tgt_out)
        for column, index in enumerate(batch.indices):
            src, tgt = drawn.pair(number // per_epoch, index)
            assert batch.src[batch.src_mask[:, column], column].tolist()[:-1] == src
            assert batch.tgt_out[batch.tgt_mask[:, column], column].tolist()[:-1] == tgt
