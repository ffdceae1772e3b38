"""Extended SentencePiece models against byte-pair merges and best segmentations computed here."""

import io
import itertools
from typing import Any

import pytest
import sentencepiece

from nmt.config import TokenizerConfig, TokenizerType
from nmt.data import Tokenizer
from nmt.data.sentencepiece_model import field, read_fields
from nmt.data.tokenizer import train_tokenizer
from nmt.data.vocabulary_extension import extend_tokenizer, extensible_tokenizers
from nmt.errors import UserError

ENGLISH = ["the house is green and the door is open"] * 20 + [f"a dog runs in the garden {i}" for i in range(60)]
GERMAN = ["das Haus ist grün und die Tür steht offen"] * 20 + [f"ein Hund läuft im Garten {i}" for i in range(60)]
TEXTS = ["das Haus läuft", "the door ist open", "ein grüner Garten 17", "the the die die"]

KINDS = [TokenizerType.unigram, TokenizerType.bpe]
SPECIALS = 4


def trained(lines: list[str], kind: TokenizerType, size: int = 60) -> Tokenizer:
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


@pytest.mark.parametrize("kind", KINDS)
def test_all_pieces_of_both_are_there_and_the_ids_of_the_base_stay(kind: TokenizerType) -> None:
    base, other = trained(ENGLISH, kind), trained(GERMAN, kind)
    extended = extend_tokenizer(base, other)
    assert pieces_of(extended)[: base.size] == pieces_of(base)
    added = pieces_of(extended)[base.size :]
    assert added == [piece for piece in pieces_of(other) if piece not in pieces_of(base)] != []
    assert extended.decode(extended.encode(TEXTS)) == TEXTS
    again = extend_tokenizer(extended, other)
    assert again.model == extended.model


def test_merges_of_the_base_come_before_added_merges() -> None:
    base, other = trained(ENGLISH, TokenizerType.bpe), trained(GERMAN, TokenizerType.bpe)
    extended = extend_tokenizer(base, other)
    ranks = scores_of(extended)
    assert max(extended.scores()[base.size :]) < min(base.scores()[SPECIALS:])
    for text, spelt in zip(TEXTS, extended.surfaces(TEXTS), strict=True):
        assert spelt == [part for word in text.split() for part in merged(f"▁{word}", ranks)]
    assert extended.surfaces(["the door is open"]) == base.surfaces(["the door is open"])
    assert sum(map(len, extended.encode(GERMAN))) < sum(map(len, base.encode(GERMAN)))


def test_added_pieces_of_a_unigram_model_keep_their_probability() -> None:
    base, other = trained(ENGLISH, TokenizerType.unigram), trained(GERMAN, TokenizerType.unigram)
    extended = extend_tokenizer(base, other)
    scores, first, second = scores_of(extended), scores_of(base), scores_of(other)
    ordinary = pieces_of(extended)[SPECIALS:]
    assert all(scores[piece] == (first[piece] if piece in first else second[piece]) for piece in ordinary)
    for text, spelt in zip(TEXTS, extended.surfaces(TEXTS), strict=True):
        expected = sum(best_score(f"▁{word}", scores) for word in text.split())
        assert sum(scores[piece] for piece in spelt) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**14 - 1, 2**14, 2**21 + 5])
def test_lengths_are_read_back(number: int) -> None:
    assert list(read_fields(field(1, b"x" * number))) == [(1, b"x" * number)]


def sentencepiece_model(**settings: Any) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(ENGLISH), model_writer=model, hard_vocab_limit=False, minloglevel=2, **settings
    )
    return model.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_model_with_other_ids_and_bytes_is_extended(kind: TokenizerType) -> None:
    """Its symbols and bytes stay where they are; of the other model, symbols and bytes are not added again."""
    settings = {"model_type": kind.value, "byte_fallback": True, "user_defined_symbols": ["<2de>"], "vocab_size": 340}
    base = Tokenizer(sentencepiece_model(unk_id=2, bos_id=0, eos_id=1, control_symbols=["<mask>"], **settings))
    own = TokenizerConfig(kind, 340, hard_vocab_limit=False, user_symbols=["<2de>", "<BT>"], byte_fallback=True)
    other = Tokenizer(train_tokenizer(GERMAN, own))
    ready = extensible_tokenizers({"src": base}, own.user_symbols, "the base")["src"]
    assert pieces_of(ready) == [*pieces_of(base), "<BT>"]
    extended = extend_tokenizer(ready, other)
    added = [piece for piece in pieces_of(other) if piece not in pieces_of(ready)]
    assert pieces_of(extended) == pieces_of(ready) + added
    assert added
    assert not any("<" in piece for piece in added)
    texts = [f"<2de> {TEXTS[0]} <BT>", "家 x"]
    assert extended.decode(extended.encode(texts)) == texts
    assert {"<2de>", "<BT>"} <= set(extended.pieces(extended.encode(texts)[0]))


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        (Tokenizer(train_tokenizer(ENGLISH, TokenizerConfig(TokenizerType.word))), "is a vocabulary of type word;"),
        (Tokenizer(sentencepiece_model(model_type="char")), "is a SentencePiece model of words or characters;"),
    ],
)
def test_other_tokenizers_are_refused(tokenizer: Tokenizer, said: str) -> None:
    subword = trained(ENGLISH, TokenizerType.bpe)
    with pytest.raises(
        UserError, match=f"^the base: .* unigram or bpe, but the tgt tokenizer {said} use .* or corpus$"
    ):
        extensible_tokenizers({"src": subword, "tgt": tokenizer}, [], "the base")


def test_a_json_is_refused() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1}, []))
    with pytest.raises(UserError, match="the src tokenizer is a JSON of Hugging Face tokenizers; use"):
        extensible_tokenizers({"src": Tokenizer(made.to_str().encode())}, [], "the base")


def test_a_symbol_that_is_an_ordinary_piece_is_refused() -> None:
    with pytest.raises(UserError, match="'e' is an ordinary piece of the base"):
        extensible_tokenizers({"src": trained(ENGLISH, TokenizerType.bpe)}, ["e"], "the base")
