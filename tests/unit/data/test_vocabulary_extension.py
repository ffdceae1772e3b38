"""Extended SentencePiece models against byte-pair merges and best segmentations computed here."""

import itertools

import pytest

from nmt.config import SubwordType, TokenizerConfig
from nmt.data import Tokenizer
from nmt.data.tokenizer import read_fields, train_tokenizer
from nmt.data.vocabulary_extension import extend_tokenizer, varint

ENGLISH = ["the house is green and the door is open"] * 20 + [f"a dog runs in the garden {i}" for i in range(60)]
GERMAN = ["das Haus ist grün und die Tür steht offen"] * 20 + [f"ein Hund läuft im Garten {i}" for i in range(60)]
TEXTS = ["das Haus läuft", "the door ist open", "ein grüner Garten 17", "the the die die"]


def trained(lines: list[str], kind: SubwordType, size: int = 60) -> Tokenizer:
    return Tokenizer(train_tokenizer(lines, TokenizerConfig(kind, size, hard_vocab_limit=False)))


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.pieces(range(tokenizer.size))


def scores_of(tokenizer: Tokenizer) -> dict[str, float]:
    return dict(zip(pieces_of(tokenizer), tokenizer.scores(), strict=True))


def merged(word: str, ranks: dict[str, float]) -> list[str]:
    """Return the byte-pair encoding of a word: the pair with the highest score is merged first."""
    parts = list(word)
    while True:
        pairs = [(-ranks[a + b], at) for at, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in ranks]
        if not pairs:
            return parts
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def best_score(word: str, scores: dict[str, float]) -> float:
    """Return the highest sum of log-probabilities over all segmentations of a word."""
    best = [0.0] + [float("-inf")] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            if word[start:end] in scores:
                best[end] = max(best[end], best[start] + scores[word[start:end]])
    return best[-1]


@pytest.mark.parametrize("kind", list(SubwordType))
def test_all_pieces_of_both_are_there_and_the_ids_of_the_base_stay(kind: SubwordType) -> None:
    base, other = trained(ENGLISH, kind), trained(GERMAN, kind)
    extended = extend_tokenizer(base, other, kind)
    assert pieces_of(extended)[: base.size] == pieces_of(base)
    added = pieces_of(extended)[base.size :]
    assert added == [piece for piece in pieces_of(other) if piece not in pieces_of(base)] != []
    assert extended.decode(extended.encode(TEXTS)) == TEXTS
    again = extend_tokenizer(extended, other, kind)
    assert again.model == extended.model


def test_merges_of_the_base_come_before_added_merges() -> None:
    base, other = trained(ENGLISH, SubwordType.bpe), trained(GERMAN, SubwordType.bpe)
    extended = extend_tokenizer(base, other, SubwordType.bpe)
    ranks = scores_of(extended)
    assert max(extended.scores()[base.size :]) < min(base.scores())
    for text, spelt in zip(TEXTS, extended.surfaces(TEXTS), strict=True):
        assert spelt == [part for word in text.split() for part in merged(f"▁{word}", ranks)]
    assert extended.surfaces(["the door is open"]) == base.surfaces(["the door is open"])
    assert sum(map(len, extended.encode(GERMAN))) < sum(map(len, base.encode(GERMAN)))


def test_added_pieces_of_a_unigram_model_keep_their_probability() -> None:
    base, other = trained(ENGLISH, SubwordType.unigram), trained(GERMAN, SubwordType.unigram)
    extended = extend_tokenizer(base, other, SubwordType.unigram)
    scores, first, second = scores_of(extended), scores_of(base), scores_of(other)
    assert all(scores[piece] == (first[piece] if piece in first else second[piece]) for piece in scores)
    for text, spelt in zip(TEXTS, extended.surfaces(TEXTS), strict=True):
        expected = sum(best_score(f"▁{word}", scores) for word in text.split())
        assert sum(scores[piece] for piece in spelt) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**14 - 1, 2**14, 2**21 + 5])
def test_lengths_are_read_back(number: int) -> None:
    message = b"\x0a" + varint(number) + b"x" * number
    assert list(read_fields(message)) == [(1, b"x" * number)]
