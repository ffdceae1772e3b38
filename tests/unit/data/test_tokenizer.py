"""Tokenizers: encoding and decoding without loss for both model types, and error messages of training."""

import io
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import sentencepiece
from dirty_corpus import SMALL, corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt import phrasebook
from nmt.config import SubwordType, TokenizerConfig
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, normalise, prepare
from nmt.data.tokenizer import train_tokenizer
from nmt.errors import UserError

GERMAN = "„Ja“, ruft der größte Bär … ‚süße Äpfel, Öl und Übermut‘ – “so” it’s 'said'!"
TEXT = [side for pair in phrasebook.pairs(150, seed=1) for side in pair] + [GERMAN]
CHARACTERS = sorted(set("".join(TEXT)))
SIZE = 120


def trained(kind: SubwordType, size: int = SIZE, lines: list[str] = TEXT) -> bytes:
    return train_tokenizer(lines, TokenizerConfig(type=kind, vocab_size=size))


def pieces(trained_model: bytes) -> list[tuple[str, float]]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained_model)
    return [(processor.id_to_piece(number), processor.get_score(number)) for number in range(len(processor))]


def refusal(kind: SubwordType, size: int, lines: list[str] = TEXT) -> str:
    with pytest.raises(UserError) as caught:
        trained(kind, size, lines)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def suggested_size(message: str) -> int:
    """Return the largest vocabulary size that an error message suggests."""
    return int(re.search(r"set it to (\d+) or less", message)[1])  # type: ignore[index]


@cache
def model(kind: SubwordType) -> bytes:
    return trained(kind)


each_kind = pytest.mark.parametrize("kind", list(SubwordType))


@each_kind
def test_every_sentence_comes_back(kind: SubwordType) -> None:
    tokenizer = Tokenizer(model(kind))
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


@each_kind
@settings(deadline=None)  # the first example trains the model
@given(text=st.text(CHARACTERS, max_size=40))
def test_any_normalised_text_of_known_characters_comes_back(kind: SubwordType, text: str) -> None:
    tokenizer = Tokenizer(model(kind))
    text = normalise(text)
    ids = tokenizer.encode([text])
    assert tokenizer.decode(ids) == [text]
    assert not set(ids[0]) & {PAD_ID, UNK_ID, BOS_ID, EOS_ID}


@each_kind
def test_pieces_are_the_text_with_a_mark_for_each_space(kind: SubwordType) -> None:
    tokenizer = Tokenizer(model(kind))
    pieces = tokenizer.pieces(tokenizer.encode([GERMAN])[0])
    assert "".join(pieces) == "▁" + GERMAN.replace(" ", "▁")


@each_kind
def test_the_same_text_gives_the_same_bytes(kind: SubwordType) -> None:
    assert trained(kind) == model(kind)
    assert trained(kind, lines=TEXT[:100]) != model(kind)


@each_kind
def test_the_vocabulary_has_the_configured_size_and_begins_with_the_special_symbols(kind: SubwordType) -> None:
    tokenizer = Tokenizer(model(kind))
    assert tokenizer.size == SIZE
    assert tokenizer.pieces([PAD_ID, UNK_ID, BOS_ID, EOS_ID]) == ["<pad>", "<unk>", "<s>", "</s>"]


@each_kind
def test_special_symbols_written_in_the_text_are_only_text(kind: SubwordType) -> None:
    ids = Tokenizer(model(kind)).encode(["<s> das Haus </s> <pad>"])[0]
    assert not set(ids) & {PAD_ID, BOS_ID, EOS_ID}


@each_kind
def test_an_unknown_character_is_unk(kind: SubwordType) -> None:
    tokenizer = Tokenizer(model(kind))
    assert UNK_ID in tokenizer.encode(["das 家"])[0]
    assert tokenizer.encode([""]) == [[]]
    assert tokenizer.decode([[]]) == [""]


@each_kind
def test_a_vocabulary_too_large_is_refused_with_the_most_it_can_be(kind: SubwordType) -> None:
    message = refusal(kind, 50_000)
    assert "data.tokenizer.vocab_size=50000" in message
    largest = suggested_size(message)
    assert Tokenizer(trained(kind, largest)).size == largest
    assert f"vocab_size={largest + 1}" in refusal(kind, largest + 1)


@each_kind
def test_without_a_hard_limit_a_corpus_gets_all_the_pieces_it_has_and_no_other_ones_below_it(kind: SubwordType) -> None:
    largest = suggested_size(refusal(kind, 50_000))
    for size, actual in ((SIZE, SIZE), (largest, largest), (50_000, largest)):
        soft = train_tokenizer(TEXT, TokenizerConfig(type=kind, vocab_size=size, hard_vocab_limit=False))
        assert pieces(soft) == pieces(trained(kind, actual))


def test_a_corpus_prepared_without_a_hard_limit_says_each_time_how_many_pieces_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = corpus(tmp_path / "corpus", tokenizer=replace(SMALL, vocab_size=9000, hard_vocab_limit=False))
    size = prepare(config).tokenizer("src").size
    prepare(config)  # from the cache
    assert caplog.text.count(f"a vocabulary of {size} pieces, fewer than data.tokenizer.vocab_size=9000") == 2
    hard = replace(config.tokenizer, hard_vocab_limit=True)
    with pytest.raises(UserError, match=f"vocab_size=9000 is more than this corpus can fill; set it to {size} or less"):
        prepare(replace(config, tokenizer=hard))


@each_kind
def test_a_vocabulary_smaller_than_the_characters_is_refused_with_the_least_it_can_be(kind: SubwordType) -> None:
    message = refusal(kind, 20)
    assert "data.tokenizer.vocab_size=20" in message
    least = int(re.search(r"set it to more than (\d+)", message)[1])  # type: ignore[index]
    assert least == len(CHARACTERS) + 4  # the mark of the space, and four special symbols
    assert Tokenizer(trained(kind, least + 1)).size == least + 1


@each_kind
@pytest.mark.parametrize("lines", [[], ["", ""], [" "]])
def test_no_text_is_refused(kind: SubwordType, lines: list[str]) -> None:
    assert "no text" in refusal(kind, SIZE, lines)


def test_a_model_file_is_loaded_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "src.model"
    file.write_bytes(model(SubwordType.bpe))
    assert Tokenizer.load(file).encode(TEXT) == Tokenizer(model(SubwordType.bpe)).encode(TEXT)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    whole = model(SubwordType.unigram)
    within_a_piece = whole.index(b"</s>") + 2
    file = tmp_path / "src.model"
    for damaged in (b"", whole[:1], whole[:within_a_piece], whole[:-1], b"das Haus\n", bytes(len(whole))):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=re.escape(f"{file} is not a SentencePiece model")):
            Tokenizer.load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'src.model'} cannot be read: No such file")):
        Tokenizer.load(tmp_path / "src.model")


def test_a_model_with_other_special_symbols_is_refused(tmp_path: Path) -> None:
    foreign = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXT), model_writer=foreign, model_type="bpe", vocab_size=SIZE, minloglevel=2
    )
    file = tmp_path / "foreign.model"
    file.write_bytes(foreign.getvalue())
    with pytest.raises(UserError, match=r"foreign\.model: the ids of pad unk bos eos are \(-1, 0, 1, 2\)"):
        Tokenizer.load(file)


def test_a_model_that_rewrites_text_is_refused(tmp_path: Path) -> None:
    """One character could expand to thousands."""
    rules = tmp_path / "rules.tsv"
    rules.write_text("61\t" + " ".join(["62"] * 5) + "\n")  # code points: "a" expands to five times "b"
    written = io.BytesIO()
    ids = {f"{name}_id": number for number, name in enumerate(("pad", "unk", "bos", "eos"))}
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXT), model_writer=written, vocab_size=SIZE, normalization_rule_tsv=str(rules), **ids
    )
    with pytest.raises(UserError, match="theirs normalises text"):
        Tokenizer(written.getvalue(), "theirs")
    whole = written.getvalue()
    tags = [at for at, byte in enumerate(whole) if byte == 0x1A]  # length-delimited field 3, or arbitrary bytes
    # The parser drops the upper bits of a longer tag.
    disguised = [whole[:at] + b"\x9a\x80\x80\x80\x10" + whole[at + 1 :] for at in tags]
    (model,) = filter(reads_b_for_a, disguised)
    with pytest.raises(UserError, match="theirs normalises text"):
        Tokenizer(model, "theirs")


def reads_b_for_a(model: bytes) -> bool:
    try:
        pieces = sentencepiece.SentencePieceProcessor(model_proto=model).Encode("a", out_type=str)
    except RuntimeError:
        return False
    return "".join(pieces) == "▁bbbbb"


def test_a_model_is_read_up_to_a_size(tmp_path: Path) -> None:
    with (tmp_path / "huge.model").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file, which takes no disk space
    with pytest.raises(UserError, match=r"huge\.model has more than"):
        Tokenizer.load(tmp_path / "huge.model")
