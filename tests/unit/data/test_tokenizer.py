"""Tokenizers: encoding and decoding without loss for both model types, and error messages of training."""

import io
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import sentencepiece
from dirty_corpus import SMALL, corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt import phrasebook
from nmt.config import TokenizerConfig, TokenizerType
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, normalise, prepare
from nmt.data.sentencepiece_model import check_character_map, read_fields
from nmt.data.tokenizer import train_tokenizer
from nmt.errors import UserError

GERMAN = "„Ja“, ruft der größte Bär … ‚süße Äpfel, Öl und Übermut‘ – “so” it’s 'said'!"
TEXT = [side for pair in phrasebook.pairs(150, seed=1) for side in pair] + [GERMAN]
CHARACTERS = sorted(set("".join(TEXT)))
SIZE = 120


def trained(kind: TokenizerType, size: int = SIZE, lines: list[str] = TEXT) -> bytes:
    return train_tokenizer(lines, TokenizerConfig(type=kind, vocab_size=size))


def pieces(trained_model: bytes) -> list[tuple[str, float]]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained_model)
    return [(processor.id_to_piece(number), processor.get_score(number)) for number in range(len(processor))]


def refusal(kind: TokenizerType, size: int, lines: list[str] = TEXT) -> str:
    with pytest.raises(UserError) as caught:
        trained(kind, size, lines)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def suggested_size(message: str) -> int:
    """Return the largest vocabulary size that an error message suggests."""
    return int(re.search(r"set it to (\d+) or less", message)[1])  # type: ignore[index]


@cache
def model(kind: TokenizerType) -> bytes:
    return trained(kind)


each_kind = pytest.mark.parametrize("kind", [TokenizerType.unigram, TokenizerType.bpe])


@each_kind
def test_every_sentence_comes_back(kind: TokenizerType) -> None:
    tokenizer = Tokenizer(model(kind))
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


@each_kind
@settings(deadline=None)  # the first example trains the model
@given(text=st.text(CHARACTERS, max_size=40))
def test_any_normalised_text_of_known_characters_comes_back(kind: TokenizerType, text: str) -> None:
    tokenizer = Tokenizer(model(kind))
    text = normalise(text)
    ids = tokenizer.encode([text])
    assert tokenizer.decode(ids) == [text]
    assert not set(ids[0]) & {PAD_ID, UNK_ID, BOS_ID, EOS_ID}


@each_kind
def test_pieces_are_the_text_with_a_mark_for_each_space(kind: TokenizerType) -> None:
    tokenizer = Tokenizer(model(kind))
    pieces = tokenizer.pieces(tokenizer.encode([GERMAN])[0])
    assert "".join(pieces) == "▁" + GERMAN.replace(" ", "▁")


@each_kind
def test_the_same_text_gives_the_same_bytes(kind: TokenizerType) -> None:
    assert trained(kind) == model(kind)
    assert trained(kind, lines=TEXT[:100]) != model(kind)


@each_kind
def test_the_vocabulary_has_the_configured_size_and_begins_with_the_special_symbols(kind: TokenizerType) -> None:
    tokenizer = Tokenizer(model(kind))
    assert tokenizer.size == SIZE
    assert tokenizer.pieces([PAD_ID, UNK_ID, BOS_ID, EOS_ID]) == ["<pad>", "<unk>", "<s>", "</s>"]


@each_kind
def test_special_symbols_written_in_the_text_are_only_text(kind: TokenizerType) -> None:
    ids = Tokenizer(model(kind)).encode(["<s> das Haus </s> <pad>"])[0]
    assert not set(ids) & {PAD_ID, BOS_ID, EOS_ID}


@each_kind
def test_an_unknown_character_is_unk(kind: TokenizerType) -> None:
    tokenizer = Tokenizer(model(kind))
    assert UNK_ID in tokenizer.encode(["das 家"])[0]
    assert tokenizer.encode([""]) == [[]]
    assert tokenizer.decode([[]]) == [""]


@each_kind
def test_a_vocabulary_too_large_is_refused_with_the_most_it_can_be(kind: TokenizerType) -> None:
    message = refusal(kind, 50_000)
    assert "data.tokenizer.vocab_size=50000" in message
    largest = suggested_size(message)
    assert Tokenizer(trained(kind, largest)).size == largest
    assert f"vocab_size={largest + 1}" in refusal(kind, largest + 1)


@each_kind
def test_without_a_hard_limit_a_corpus_gets_all_the_pieces_it_has_and_no_other_ones_below_it(
    kind: TokenizerType,
) -> None:
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
def test_a_vocabulary_smaller_than_the_characters_is_refused_with_the_least_it_can_be(kind: TokenizerType) -> None:
    message = refusal(kind, 20)
    assert "data.tokenizer.vocab_size=20" in message
    least = int(re.search(r"set it to more than (\d+)", message)[1])  # type: ignore[index]
    assert least == len(CHARACTERS) + 4  # the mark of the space, and four special symbols
    assert Tokenizer(trained(kind, least + 1)).size == least + 1


@each_kind
@pytest.mark.parametrize("lines", [[], ["", ""], [" "]])
def test_no_text_is_refused(kind: TokenizerType, lines: list[str]) -> None:
    assert "no text" in refusal(kind, SIZE, lines)


def test_a_model_file_is_loaded_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "src.model"
    file.write_bytes(model(TokenizerType.bpe))
    assert Tokenizer.load(file).encode(TEXT) == Tokenizer(model(TokenizerType.bpe)).encode(TEXT)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    whole = model(TokenizerType.unigram)
    within_a_piece = whole.index(b"</s>") + 2
    file = tmp_path / "src.model"
    for damaged in (b"", whole[:1], whole[:within_a_piece], whole[:-1], b"das Haus\n", bytes(len(whole))):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=re.escape(f"{file} is not a SentencePiece model")):
            Tokenizer.load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'src.model'} cannot be read: No such file")):
        Tokenizer.load(tmp_path / "src.model")


def foreign(**settings: object) -> bytes:
    """Train a model of another program."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXT),
        model_writer=written,
        vocab_size=SIZE,
        character_coverage=1.0,
        minloglevel=2,
        **settings,
    )
    return written.getvalue()


@pytest.mark.parametrize("specials", [{}, {"pad_id": 3}, {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}])
def test_a_model_with_other_special_symbols_keeps_its_segmentation(specials: dict[str, int]) -> None:
    content = foreign(model_type="bpe", normalization_rule_name="identity", **specials)
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=content), Tokenizer(content)
    assert ours.pieces(range(4)) == ["<pad>", "<unk>", "<s>", "</s>"]
    ordinary = [i for i in range(len(theirs)) if not theirs.IsControl(i) and not theirs.IsUnknown(i)]
    assert ours.pieces(range(4, ours.size)) == [theirs.IdToPiece(i) for i in ordinary]
    encoded = ours.encode(TEXT)
    assert [ours.pieces(line) for line in encoded] == theirs.Encode(TEXT, out_type=str)
    assert ours.decode(encoded) == TEXT
    assert ours.encode(["家"])[0][-1] == UNK_ID
    assert ours.scores()[4:] == [theirs.GetScore(i) for i in ordinary]


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"])
def test_a_model_with_a_map_of_characters_of_sentencepiece_is_read(rule: str) -> None:
    content = foreign(normalization_rule_name=rule)
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=content), Tokenizer(content)
    lines = ["Das Ｈａｕｓ … ½ m² ﷺ", *TEXT[:20]]
    assert [len(line) for line in ours.encode(lines)] == [len(line) for line in theirs.Encode(lines)]
    assert ours.decode(ours.encode(lines)) == theirs.Decode(theirs.Encode(lines))
    surfaces = ours.surfaces(lines)
    assert [len(line) for line in surfaces] == [len(line) for line in ours.encode(lines)]
    assert ["".join(line) for line in surfaces] == ["▁" + line.replace(" ", "▁") for line in lines]


def rewriting(folder: Path, count: int) -> bytes:
    """Train a model that writes `count` times "b" for "a"."""
    rules = folder / "rules.tsv"
    rules.write_text("61\t" + " ".join(["62"] * count) + "\n")  # code points
    ids = {f"{name}_id": number for number, name in enumerate(("pad", "unk", "bos", "eos"))}
    return foreign(normalization_rule_tsv=str(rules), **ids)


def test_a_model_that_writes_much_for_one_character_is_refused(tmp_path: Path) -> None:
    assert Tokenizer(rewriting(tmp_path, 64)).decode(Tokenizer(rewriting(tmp_path, 64)).encode(["a"])) == ["b" * 64]
    whole = rewriting(tmp_path, 65)
    with pytest.raises(UserError, match="theirs writes more than 64 bytes for a character"):
        Tokenizer(whole, "theirs")
    tags = [at for at, byte in enumerate(whole) if byte == 0x1A]  # length-delimited field 3, or arbitrary bytes
    # The parser drops the upper bits of a longer tag.
    disguised = [whole[:at] + b"\x9a\x80\x80\x80\x10" + whole[at + 1 :] for at in tags]
    (model,) = filter(writes_b_for_a, disguised)
    with pytest.raises(UserError, match="theirs writes more than 64 bytes for a character"):
        Tokenizer(model, "theirs")


def writes_b_for_a(model: bytes) -> bool:
    try:
        pieces = sentencepiece.SentencePieceProcessor(model_proto=model).Encode("a", out_type=str)
    except RuntimeError:
        return False
    return "".join(pieces) == "▁" + "b" * 65


@pytest.mark.parametrize(
    "damage",
    [
        lambda units, blob: (units[: len(units) // 2], blob),
        lambda units, blob: ([unit if unit >> 31 else unit | 0x7FFFFC00 for unit in units], blob),
        lambda units, blob: ([0xFFFFFFF0 if unit >> 31 else unit for unit in units], blob),
        lambda units, blob: (units, blob[:1]),
        lambda units, blob: (units, blob[:-1]),
    ],
)
def test_a_map_that_leads_out_of_its_memory_is_refused(damage: Callable[..., tuple[list[int], bytes]]) -> None:
    whole = foreign(normalization_rule_name="nfkc")
    (part,) = (part for number, part in read_fields(whole) if number == 3)
    (content,) = (value for number, value in read_fields(part) if number == 2)
    check_character_map(content, "theirs")
    (size,) = struct.unpack_from("<I", content)
    units, blob = damage(list(struct.unpack_from(f"<{size // 4}I", content, 4)), content[4 + size :])
    damaged = struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + blob
    with pytest.raises(UserError, match="theirs has a map of characters that is damaged"):
        check_character_map(damaged, "theirs")


def test_a_model_is_read_up_to_a_size(tmp_path: Path) -> None:
    with (tmp_path / "huge.model").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file, which takes no disk space
    with pytest.raises(UserError, match=r"huge\.model has more than"):
        Tokenizer.load(tmp_path / "huge.model")
