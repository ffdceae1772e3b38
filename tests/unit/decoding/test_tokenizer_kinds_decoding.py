"""Prefixes, phrases, long lines and alignments with each kind of tokenizer."""

import io
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import sentencepiece
from toy_translator import STRANGE, build_long

from nmt import phrasebook
from nmt.config import TokenizerConfig, TokenizerType
from nmt.data import UNK_ID, Tokenizer, normalise
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Candidate, ConstraintBuilder, align
from nmt.decoding.alignment import source_words, word_numbers
from nmt.decoding.parts import cut_lines
from nmt.errors import UserError

TEXT = [side for pair in phrasebook.pairs(150, seed=1) for side in pair]
FOREIGN = "das Buch 家学 Ω"
"""Text with characters that the corpus does not have."""


def trained(kind: TokenizerType, **settings: Any) -> Tokenizer:
    config = TokenizerConfig(type=kind, hard_vocab_limit=False, **{"vocab_size": 450, **settings})
    return Tokenizer(train_tokenizer(TEXT, config))


def with_map() -> Tokenizer:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXT), model_writer=model, vocab_size=450, minloglevel=2, byte_fallback=True
    )
    return Tokenizer(model.getvalue())


def byte_level() -> Tokenizer:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXT, tokenizers.trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    return Tokenizer(made.to_str().encode())


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "unigram": lambda: trained(TokenizerType.unigram, user_symbols=["<PH>"]),
    "bpe, bytes": lambda: trained(TokenizerType.bpe, byte_fallback=True, user_symbols=["<PH>"]),
    "char, bytes": lambda: trained(TokenizerType.char, byte_fallback=True),
    "word": lambda: trained(TokenizerType.word, vocab_size=5000),
    "SentencePiece with a map": with_map,
    "byte level": byte_level,
}
BYTES = [name for name in MAKERS if name not in ("unigram", "word")]


@cache
def tokenizer(name: str) -> Tokenizer:
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("line", [*STRANGE.values(), FOREIGN, "½ﬁ m²家2 x", "x家y"])
def test_every_source_piece_has_its_words_and_no_character_is_cut(name: str, line: str) -> None:
    [parts] = cut_lines([normalise(line)], tokenizer(name), "en", 8)
    pieces = [piece for part in parts for piece in part.pieces]
    assert sum(len(part.ids) for part in parts) == len(pieces)
    assert all(part.pieces[-1] for part in parts)
    found = source_words(line, parts, characters=False)
    assert found == sorted(found)
    for piece, numbers in zip(pieces, found, strict=bool(found)):
        words = [normalise(line.split()[number]) for number in numbers]
        assert piece.replace("▁", "") in "".join(words)


def test_the_bytes_of_a_character_belong_to_its_word() -> None:
    pieces = ["▁a", "▁", "", "", "家b", "", "é", "▁c", "", ""]
    assert word_numbers(pieces, characters=False) == ([[n] for n in (0, 1, 1, 1, 1, 1, 1, 2, 2, 2)], 3)
    assert word_numbers(["▁x", "", "", "家", "", "", "学"]) == ([[0], [1], [1], [1], [2], [2], [2]], 3)


@pytest.mark.parametrize("name", MAKERS)
def test_prefixes_and_phrases_hold_with_every_kind(name: str) -> None:
    translator = build_long(tokenizer(name), max_length_offset=70)
    make = ConstraintBuilder(tokenizer(name)).make
    lines = ["the house is big"] * 3
    constraints = [make("Der "), make("", ["der", "die"]), make("Mein Reisepass")]
    (after_word,), (phrases,), (begun,) = (
        [candidate.text for candidate in of_line][:1]
        for of_line in translator.translate(lines, constraints=constraints)
    )
    assert after_word.startswith("Der ")
    assert all(re.search(rf"(?<!\S){word}(?![^\W_])", phrases) for word in ("der", "die"))
    assert begun.startswith("Mein Reisepass")


@pytest.mark.parametrize("name", BYTES)
def test_with_bytes_prefixes_and_phrases_may_have_any_character(name: str) -> None:
    translator = build_long(tokenizer(name), max_length_offset=70)
    make = ConstraintBuilder(tokenizer(name)).make
    asked = [make("家学"), make("Ω "), make("", ["家学"]), make("", ["Ωé"])]
    texts = [candidates[0].text for candidates in translator.translate(["the house"] * 4, constraints=asked)]
    assert texts[0].startswith("家学")
    assert texts[1].startswith("Ω ")
    assert "家学" in texts[2]
    assert "Ωé" in texts[3]
    with pytest.raises(UserError, match="cannot write '家学'"):
        ConstraintBuilder(tokenizer("unigram")).make("家学")


@pytest.mark.parametrize("name", MAKERS)
def test_every_target_word_is_aligned(name: str) -> None:
    translator = build_long(tokenizer(name))
    lines, targets = [FOREIGN, *TEXT[:8:2]], [FOREIGN, *TEXT[1:9:2]]
    encoded = tokenizer(name).encode(targets)
    candidates = [[Candidate(text, 0.0, 0.0, [ids])] for text, ids in zip(targets, encoded, strict=True)]
    known = not any(UNK_ID in ids for ids in encoded[0:1])
    for line, text, (links,) in zip(
        lines[1 - known :], targets[1 - known :], align(translator, lines, candidates)[1 - known :], strict=True
    ):
        linked = [tuple(map(int, link.split("-"))) for link in links.split()]
        src_words, tgt_words = (word_numbers(["▁" + side.replace(" ", "▁")])[1] for side in (line, text))
        assert sorted(tgt for _, tgt in linked) == list(range(tgt_words))
        assert all(0 <= src < src_words for src, _ in linked)


def test_a_tokenizer_that_does_not_join_pieces_refuses_constraints() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.decoder = tokenizers.decoders.BPEDecoder()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    made.train_from_iterator(TEXT, trainer)
    suffixes = Tokenizer(made.to_str().encode())
    assert suffixes.decode(suffixes.encode(TEXT)) == TEXT
    with pytest.raises(UserError, match="line 3: the model's tokenizer does not write 'das' by joining pieces"):
        ConstraintBuilder(suffixes).make("", ["das"], "line 3")
