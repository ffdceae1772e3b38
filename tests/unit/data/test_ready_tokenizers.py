"""Ready tokenizers: SentencePiece models, lists of words and characters, and JSON of Hugging Face tokenizers."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from dirty_corpus import corpus

from nmt import phrasebook
from nmt.config import TokenizerConfig, TokenizerType
from nmt.data import UNK_ID, Tokenizer, prepare
from nmt.data.tokenizer import ready_tokenizers, train_tokenizer
from nmt.errors import UserError

TEXT = [side for pair in phrasebook.pairs(150, seed=1) for side in pair]
LINES = [*TEXT[:40], "家 the 家house", "x <s> y", ""]
tokenizers = pytest.importorskip("tokenizers")


def sentencepiece_model(**settings: Any) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXT), model_writer=model, vocab_size=200, minloglevel=2, **settings
    )
    return model.getvalue()


def byte_level() -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    specials = ["<pad>", "<s>", "<|endoftext|>"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=specials, initial_alphabet=alphabet)
    made.train_from_iterator(TEXT, trainer)
    return made


def unigram() -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.Unigram())
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>", "</s>"], unk_token="<unk>")
    made.train_from_iterator(TEXT, trainer)
    return made


def word_pieces() -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.decoder = tokenizers.decoders.WordPiece()
    trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"])
    made.train_from_iterator(TEXT, trainer)
    return made


MAKERS = [byte_level, unigram, word_pieces]
each_json = pytest.mark.parametrize("make", MAKERS)


def ready(path: Path, content: bytes, **settings: Any) -> Tokenizer:
    path.write_bytes(content)
    return ready_tokenizers(TokenizerConfig(file=str(path), **settings))["src"]


@each_json
def test_a_json_divides_text_as_the_package_does(make: Any) -> None:
    theirs = make()
    theirs.encode_special_tokens = True
    ours = Tokenizer(theirs.to_str().encode())
    lead = " " if make is byte_level else ""  # so that the first word has its space, as all others
    for line in filter(None, LINES):
        expected = theirs.encode(lead + line, add_special_tokens=False)
        (ids,), (surfaces,) = ours.encode([line]), ours.surfaces([line])
        names = [theirs.id_to_token(ours.model_ids[i]) if i != UNK_ID else None for i in ids]
        tokens = [theirs.id_to_token(i) for i in expected.ids]
        assert names == [None if token in ("<unk>", "[UNK]") else token for token in tokens]
        assert len(surfaces) == len(ids)
        assert "".join(surfaces) == "▁" + line.replace(" ", "▁")
        decoded = theirs.decode(expected.ids, skip_special_tokens=False).removeprefix(" ")
        assert ours.decode([ids]) == [decoded]
    assert ours.encode([""]) == [[]]
    assert ours.kind is None


def test_a_byte_level_json_writes_everything() -> None:
    tokenizer = Tokenizer(byte_level().to_str().encode())
    ids = tokenizer.encode(LINES)
    assert tokenizer.decode(ids) == LINES
    assert not any(UNK_ID in line for line in ids)
    assert ["".join(tokenizer.texts(line)) for line in ids] == [f"▁{x.replace(' ', '▁')}" if x else "" for x in LINES]
    assert tokenizer.pieces(range(4)) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert "<|endoftext|>" not in tokenizer.pieces(range(tokenizer.size))


def test_what_makes_a_json_random_or_cuts_and_pads_has_no_effect() -> None:
    made = byte_level()
    plain = Tokenizer(made.to_str().encode())
    made.enable_truncation(3)
    made.enable_padding(length=50)
    made.model.dropout = 0.5
    settings = json.loads(made.to_str())
    assert settings["model"]["dropout"] == 0.5
    assert Tokenizer(made.to_str().encode()).encode(LINES) == plain.encode(LINES)


@each_json
def test_symbols_are_added_to_a_json(make: Any, tmp_path: Path) -> None:
    tokenizer = ready(tmp_path / "t.json", make().to_str().encode(), user_symbols=["<2de>", "<PH>"])
    plain = Tokenizer(make().to_str().encode())
    assert tokenizer.size == plain.size + 2
    ids = tokenizer.encode([f"<2de> {TEXT[0]} <PH>"])
    assert [tokenizer.pieces(ids[0]).count(s) + tokenizer.pieces(ids[0]).count(f"▁{s}") for s in ("<2de>", "<PH>")] == [
        1,
        1,
    ]
    assert tokenizer.decode(ids)[0].split() == ["<2de>", *plain.decode(plain.encode([TEXT[0]]))[0].split(), "<PH>"]
    assert Tokenizer(tokenizer.model).encode([f"<2de> {TEXT[0]} <PH>"]) == ids


def test_symbols_are_added_to_a_sentencepiece_model(tmp_path: Path) -> None:
    content = sentencepiece_model(model_type="bpe", user_defined_symbols=["<BT>"])
    tokenizer = ready(tmp_path / "m.model", content, user_symbols=["<2de>", "<BT>"])
    theirs = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    assert theirs.IdToPiece(len(theirs) - 1) == "<2de>"
    assert tokenizer.size == Tokenizer(content).size + 1
    ids = tokenizer.encode(["<2de> <BT>x<2de>", *TEXT])
    assert tokenizer.pieces(ids[0]) == ["▁", "<2de>", "▁", "<BT>", *tokenizer.pieces(ids[0])[4:-1], "<2de>"]
    assert ids[1:] == Tokenizer(content).encode(TEXT)
    with pytest.raises(UserError, match=r"user_symbols: 'e' is an ordinary piece of the tokenizer .*m\.model"):
        ready(tmp_path / "m.model", content, user_symbols=["e"])


def test_a_list_of_words_or_characters_is_a_vocabulary(tmp_path: Path) -> None:
    words = ready(tmp_path / "words", b"<unk>\n<s>\nthe 120\nhouse\t7\n\nthe\n", type=TokenizerType.word)
    assert words.pieces(range(4, words.size)) == ["▁the", "▁house"]
    assert words.encode(["the old house"]) == [[4, UNK_ID, 5]]
    characters = ready(
        tmp_path / "characters", "\ufeffe\nt\nh\n".encode(), type=TokenizerType.char, user_symbols=["<BT>"]
    )
    assert characters.pieces(range(4, characters.size)) == ["<BT>", "▁", "e", "t", "h"]
    assert characters.decode(characters.encode(["<BT> the"])) == ["<BT> the"]
    for content, kind, message in (
        (b"the house\n", TokenizerType.word, "line 1 is not one word"),
        (b"a\nab\n", TokenizerType.char, "line 2 is not one character"),
        (b"\xff\n", TokenizerType.word, "is not UTF-8 text"),
        (b"\n\n", TokenizerType.word, "is empty"),
        (sentencepiece_model(), TokenizerType.word, "is not UTF-8 text"),
    ):
        with pytest.raises(UserError, match=message):
            ready(tmp_path / "list", content, type=kind)


def test_a_vocabulary_of_a_run_is_ready_again(tmp_path: Path) -> None:
    config = TokenizerConfig(type=TokenizerType.word, user_symbols=["<BT>"])
    content = train_tokenizer(TEXT, config)
    assert ready(tmp_path / "v", content, type=TokenizerType.word).model == content
    extended = ready(tmp_path / "v", content, type=TokenizerType.word, user_symbols=["<BT>", "<2de>"])
    assert extended.pieces([4, 5]) == ["<BT>", "<2de>"]
    assert extended.size == Tokenizer(content).size + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not a tokenizer, or it is damaged"),
        (b"{}", "is not a tokenizers JSON"),
        (b'{"a":' * 100_000, "is not a tokenizer, or it is damaged"),
        (b'{"model": 7}', "is not a tokenizers JSON"),
        (b'{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}', "is not a tokenizers JSON"),
        (b'{"units": 7}', "is not a vocabulary of words or characters"),
        (b'{"units": ["a", "a"], "type": "word", "user_symbols": [], "byte_fallback": false}', "is not a vocabulary"),
        (b'{"units": ["a"], "type": "bpe", "user_symbols": [], "byte_fallback": false}', "is not a vocabulary"),
        (b"the house\n", "is not a SentencePiece model"),
    ],
)
def test_what_is_not_a_tokenizer_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        ready(tmp_path / "theirs", content)
    assert f"{tmp_path / 'theirs'}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_json_that_writes_much_for_little_is_refused(tmp_path: Path) -> None:
    made = unigram()
    made.normalizer = tokenizers.normalizers.Replace("a", "b" * 65)
    with pytest.raises(UserError, match="writes more than 64 characters"):
        ready(tmp_path / "t.json", made.to_str().encode())


def test_a_missing_file_and_a_missing_package_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=rf"{re.escape(str(tmp_path / 'none'))} cannot be read: No such file"):
        ready_tokenizers(TokenizerConfig(file=str(tmp_path / "none")))
    content = unigram().to_str().encode()
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install 'nmt-recurrent\[tokenizers\]'"):
        ready(tmp_path / "t.json", content)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"file": "a", "src_file": "b"}, "file is given together with src_file"),
        ({"src_file": "a"}, "src_file is a vocabulary of one side"),
        ({"file": "a", "byte_fallback": True}, "byte_fallback is true, but a ready tokenizer"),
        ({"type": TokenizerType.word, "split_digits": True}, "split_digits is true, but type=word"),
        ({"user_symbols": ["<a b>"]}, "user_symbols has '<a b>'"),
        ({"user_symbols": [""]}, "user_symbols has ''"),
        ({"user_symbols": ["a▁"]}, "user_symbols has 'a▁'"),
        ({"user_symbols": ["u\u0308"]}, "Unicode NFC"),
        ({"user_symbols": ["</s>"]}, "a special symbol"),
        ({"user_symbols": ["<a>", "<a>"]}, "user_symbols has '<a>' twice"),
        ({"byte_fallback": True, "vocab_size": 260}, "vocab_size is 260; .* at least 261"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(settings: dict[str, Any], message: str) -> None:
    problems = [f"{key} {sentence}" for key, sentence in TokenizerConfig(**settings).problems()]
    assert len(problems) == 1
    assert re.search(message, problems[0])


def test_a_corpus_is_prepared_with_ready_tokenizers_of_one_or_both_sides(tmp_path: Path) -> None:
    joint, src = tmp_path / "joint.model", tmp_path / "src.model"
    joint.write_bytes(sentencepiece_model())
    src.write_bytes(sentencepiece_model(model_type="bpe", pad_id=3))
    both = prepare(corpus(tmp_path / "a", tokenizer=TokenizerConfig(file=str(joint))))
    assert both.tokenizer("src").model == both.tokenizer("tgt").model == joint.read_bytes()
    small = TokenizerConfig(type=TokenizerType.bpe, vocab_size=80, joint=False, src_file=str(src))
    one = prepare(corpus(tmp_path / "b", tokenizer=small))
    assert one.tokenizer("src").model == src.read_bytes()
    assert one.tokenizer("tgt").size == 80
    pairs = one.store("valid")
    lines = Path(f"{one.text('valid')}.src").read_text(encoding="utf-8").split("\n")[:-1]
    assert [pairs.src[i].tolist() for i in range(len(lines))] == one.tokenizer("src").encode(lines)


def test_another_file_is_another_corpus_and_another_name_is_not(tmp_path: Path) -> None:
    folders = []
    for name, settings in (("one", {}), ("two", {}), ("three", {"model_type": "bpe"})):
        (tmp_path / name).write_bytes(sentencepiece_model(**settings))
        config = corpus(tmp_path / "corpus", tokenizer=TokenizerConfig(file=str(tmp_path / name)))
        folders.append(prepare(config).folder)
    assert folders[0] == folders[1] != folders[2]
