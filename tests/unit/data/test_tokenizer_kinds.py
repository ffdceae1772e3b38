"""User symbols, bytes and digits with each kind of pieces; vocabularies of words and of characters."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt import phrasebook
from nmt.config import TokenizerConfig, TokenizerType
from nmt.data import UNK_ID, PairStore, Tokenizer, build_sampling, normalise
from nmt.data.piece_model import join_spellings, whole_characters
from nmt.data.tokenizer import train_tokenizer
from nmt.errors import UserError

TEXT = [side for pair in phrasebook.pairs(150, seed=1) for side in pair]
SYMBOLS = ["<2de>", "<BT>", "<PH>", "<PH>2", "a,b"]
TAGGED = ["<2de> Das Haus ist groß.", "<BT> the house", "nach<PH>, <PH>2<PH> a,b", "<PH>", "<BT><2de> x"]
SUBWORDS = (TokenizerType.unigram, TokenizerType.bpe)
each_kind = pytest.mark.parametrize("kind", list(TokenizerType))
each_divided_kind = pytest.mark.parametrize("kind", [*SUBWORDS, TokenizerType.char])
BYTES = {kind: f"<0x{kind:02X}>" for kind in range(256)}


def trained(kind: TokenizerType, **settings: object) -> Tokenizer:
    config = TokenizerConfig(type=kind, hard_vocab_limit=False, **{"vocab_size": 500, **settings})  # type: ignore[arg-type]
    return Tokenizer(train_tokenizer(TEXT, config))


@each_kind
def test_a_symbol_is_one_piece_wherever_it_stands(kind: TokenizerType) -> None:
    tokenizer = trained(kind, user_symbols=SYMBOLS)
    plain = trained(kind)
    for line in TAGGED:
        pieces = tokenizer.pieces(tokenizer.encode([line])[0])
        longest = line.replace("<PH>2", "\0")
        expected = Counter({symbol: line.count(symbol) for symbol in SYMBOLS})
        expected["<PH>"], expected["<PH>2"] = longest.count("<PH>"), longest.count("\0")
        assert {symbol: pieces.count(symbol) for symbol in SYMBOLS} == dict(expected), line
        assert not set(plain.pieces(plain.encode([line])[0])) & set(SYMBOLS)


@each_divided_kind
def test_symbols_and_text_come_back(kind: TokenizerType) -> None:
    tokenizer = trained(kind, user_symbols=SYMBOLS, byte_fallback=True)
    lines = [*TAGGED, *TEXT]
    assert tokenizer.decode(tokenizer.encode(lines)) == lines


def test_symbols_between_words_come_back() -> None:
    tokenizer = trained(TokenizerType.word, vocab_size=5000, user_symbols=SYMBOLS)
    lines = [*TEXT, f"<2de> {TEXT[0]}", f"{TEXT[1]} <PH> a,b", "<PH><PH>2"]
    assert tokenizer.decode(tokenizer.encode(lines)) == lines


@each_divided_kind
@settings(deadline=None)
@given(text=st.text(max_size=30))
def test_with_bytes_nothing_is_unknown(kind: TokenizerType, text: str) -> None:
    tokenizer = WITH_BYTES.setdefault(kind, trained(kind, byte_fallback=True))
    text = normalise(text.replace("▁", ""))
    (ids,) = tokenizer.encode([text])
    assert UNK_ID not in ids
    assert tokenizer.decode([ids]) == [text]
    spelled = f"▁{text.replace(' ', '▁')}" if text else ""
    assert join_spellings(tokenizer.spellings[i] for i in ids) == spelled
    assert "".join(tokenizer.texts(ids)) == spelled
    (surfaces,) = tokenizer.surfaces([text])
    assert "".join(surfaces) == spelled
    assert len(surfaces) == len(ids)


WITH_BYTES: dict[TokenizerType, Tokenizer] = {}


@each_divided_kind
def test_the_bytes_are_those_of_utf8_and_text_that_looks_like_one_is_text(kind: TokenizerType) -> None:
    tokenizer = trained(kind, byte_fallback=True)
    pieces = tokenizer.pieces(tokenizer.encode(["家"])[0])
    assert pieces == ["▁", *(BYTES[value] for value in "家".encode())]
    assert tokenizer.decode(tokenizer.encode(["<0xE5> 家"])) == ["<0xE5> 家"]
    assert UNK_ID in trained(kind).encode(["家"])[0]


@each_divided_kind
def test_digits_are_pieces_of_their_own(kind: TokenizerType) -> None:
    years = [f"{line} {year}" for line in TEXT for year in (1984, 2024)]
    config = TokenizerConfig(type=kind, vocab_size=200, hard_vocab_limit=False)
    whole, single = (Tokenizer(train_tokenizer(years, replace(config, split_digits=split))) for split in (False, True))
    pieces = single.pieces(single.encode(["1984 2024"])[0])
    assert [piece for piece in pieces if piece != "▁"] == list("19842024")
    assert (whole.encode(["1984"]) != single.encode(["1984"])) or kind == TokenizerType.char


def test_words_are_the_most_frequent_ones_in_order() -> None:
    lines = ["b a", "c b a", "a", "d c"]
    tokenizer = Tokenizer(train_tokenizer(lines, TokenizerConfig(type=TokenizerType.word, vocab_size=7)))
    assert tokenizer.pieces(range(tokenizer.size)) == ["<pad>", "<unk>", "<s>", "</s>", "▁a", "▁b", "▁c"]
    assert tokenizer.encode(["a d b", "", "ab"]) == [[4, UNK_ID, 5], [], [UNK_ID]]
    assert tokenizer.surfaces(["a d b"]) == [["▁a", "▁d", "▁b"]]
    assert normalise(tokenizer.decode([[4, UNK_ID, 5]])[0]) == "a ⁇ b"


def test_characters_cover_the_configured_share() -> None:
    line = "a" * 90 + "b" * 8 + "cd"
    for share, expected in ((0.9, "▁a"), (0.98, "▁ab"), (1.0, "▁abcd")):
        config = TokenizerConfig(type=TokenizerType.char, character_coverage=share)
        tokenizer = Tokenizer(train_tokenizer([line], config))
        assert sorted(tokenizer.pieces(range(4, tokenizer.size))) == sorted(expected)


@pytest.mark.parametrize("kind", [TokenizerType.word, TokenizerType.char])
def test_a_vocabulary_of_no_text_is_refused_and_the_same_text_gives_the_same_bytes(kind: TokenizerType) -> None:
    config = TokenizerConfig(type=kind)
    with pytest.raises(UserError, match="no text"):
        train_tokenizer(["", " "], config)
    assert train_tokenizer(TEXT, config) == train_tokenizer(TEXT, config)


def test_a_character_of_several_pieces_belongs_to_the_last() -> None:
    pieces = ["▁x", "\udce5", "\udcae", "\udcb6y", "\udcff", "z", "\udce5", "é"]
    assert whole_characters(pieces) == ["▁x", "", "", "家y", "\ufffd", "z", "", "\ufffdé"]
    assert whole_characters(["a", "\udce5"]) == ["a", "\ufffd"]


@pytest.mark.parametrize("kind", SUBWORDS)
def test_sampling_keeps_symbols_and_bytes_and_spells_the_text(kind: TokenizerType) -> None:
    tokenizer = trained(kind, user_symbols=SYMBOLS, byte_fallback=True)
    lines = [*TAGGED, "家 the 家house家 <0xE5> <BT>", *TEXT[:40]]
    ids = tokenizer.encode(lines)
    sampling = build_sampling(PairStore.of(ids, ids), (tokenizer, tokenizer), 0.3, seed=1)
    fixed = {i for i, score in enumerate(tokenizer.scores()) if math.isnan(score)}
    assert len(fixed) == 4 + len(SYMBOLS) + 256
    changed = 0
    for epoch in range(4):
        for index, line in enumerate(lines):
            for sampled in sampling.pair(epoch, index):
                assert tokenizer.decode([sampled]) == [line]
                assert [i for i in sampled if i in fixed] == [i for i in ids[index] if i in fixed]
                changed += sampled != ids[index]
    assert changed > 2 * len(lines)


@pytest.mark.parametrize("kind", [TokenizerType.word, TokenizerType.char])
def test_sampling_of_words_and_characters_is_refused(kind: TokenizerType) -> None:
    tokenizer = trained(kind)
    ids = tokenizer.encode(TEXT)
    with pytest.raises(UserError, match=r"train\.subword_sampling needs SentencePiece's unigram or bpe"):
        build_sampling(PairStore.of(ids, ids), (tokenizer, tokenizer), 0.3, seed=1)
