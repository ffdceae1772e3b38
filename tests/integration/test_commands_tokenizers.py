"""Integration tests of tokenizers that users bring: trained, translated, scored and continued without the files."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece
from command import SMALL, call, refused, weights

from nmt.config import TokenizerConfig, TokenizerType
from nmt.data import Tokenizer
from nmt.data.tokenizer import train_tokenizer
from nmt.phrasebook import splits

pytestmark = pytest.mark.commands

TEXT = [side for pair in splits(train=600, valid=20, test=20, seed=1)["train"] for side in (pair.en, pair.de)]
KEYS = (*(key for key in SMALL if "vocab_size" not in key), "train.max_steps=10")
SHORT = ("search=greedy", "search.max_length_ratio=0", "search.max_length_offset=12")


def sentencepiece_file(path: Path) -> None:
    model = io.BytesIO()
    lines = iter(TEXT)
    sentencepiece.SentencePieceTrainer.Train(sentence_iterator=lines, model_writer=model, vocab_size=300, minloglevel=2)
    path.write_bytes(model.getvalue())


def json_file(path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXT, tokenizers.trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    made.save(str(path))


def word_list(path: Path) -> None:
    path.write_text("".join(f"{word}\n" for word in sorted({word for line in TEXT for word in line.split()})))


def no_file(path: Path) -> None:
    """Write nothing."""


KINDS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "symbols": (
        no_file,
        (
            "data.tokenizer.type=bpe",
            "data.tokenizer.vocab_size=450",
            'data.tokenizer.user_symbols=["<2de>","<PH>"]',
            "data.tokenizer.byte_fallback=true",
            "data.tokenizer.split_digits=true",
            "train.subword_sampling=0.1",
        ),
    ),
    "words": (no_file, ("data.tokenizer.type=word",)),
    "characters": (no_file, ("data.tokenizer.type=char", "data.tokenizer.byte_fallback=true")),
    "sentencepiece": (sentencepiece_file, ("data.tokenizer.file=ready", 'data.tokenizer.user_symbols=["<2de>"]')),
    "json": (json_file, ("data.tokenizer.file=ready", "data.shard_pairs=150", "data.workers=2")),
    "list": (word_list, ("data.tokenizer.file=ready", "data.tokenizer.type=word")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_complete_without_the_file(kind: str, tmp_path: Path) -> None:
    write, keys = KINDS[kind]
    write(tmp_path / "ready")
    call("train", *KEYS, *keys, "hydra.run.dir=run", f"data.cache={tmp_path / 'cache'}", cwd=tmp_path)
    (tmp_path / "ready").unlink(missing_ok=True)
    given = f"{TEXT[0]}\n<2de> {TEXT[2]}\n\n"
    output, _ = call("translate", "run=run", "prefix='Der '", *SHORT, cwd=tmp_path, given=given)
    lines = output.split("\n")
    assert [line.startswith("Der ") for line in lines] == [True, True, False, False]
    call("evaluate", "run=run", *SHORT, cwd=tmp_path)
    scores = (tmp_path / "run" / "scores" / "test.json").read_text()
    assert all(f'"{name}"' in scores for name in ("perplexity", "perplexity_word", "perplexity_char"))
    call("train", "train.resume=run", "train.max_steps=12", cwd=tmp_path)
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert json.loads(metrics.split("\n")[-2])["step"] == 12
    tokenizer = Tokenizer.load(tmp_path / "run" / "tokenizer" / "src.model")
    symbols = [piece for piece in tokenizer.pieces(tokenizer.encode([f"<2de> {TEXT[0]}"])[0]) if "2de" in piece]
    assert symbols == (["<2de>"] if "user_symbols" in " ".join(keys) else [])


def test_an_equal_model_given_as_a_file_gives_the_same_weights(tmp_path: Path) -> None:
    """The pieces of the file are those that the corpus gives, so that nothing else can differ."""
    config = TokenizerConfig(type=TokenizerType.unigram, vocab_size=300)
    call("train", *SMALL, "train.max_steps=10", "hydra.run.dir=trained", cwd=tmp_path)
    (tmp_path / "ready").write_bytes((tmp_path / "trained" / "tokenizer" / "src.model").read_bytes())
    assert Tokenizer((tmp_path / "ready").read_bytes()).size == Tokenizer(train_tokenizer(TEXT, config)).size
    call("train", *KEYS, "data.tokenizer.file=ready", "hydra.run.dir=given", cwd=tmp_path)
    assert weights(tmp_path / "trained") == weights(tmp_path / "given")


def test_what_a_tokenizer_cannot_do_is_refused_before_a_run_is_made(tmp_path: Path) -> None:
    json_file(tmp_path / "ready")
    ready = (*KEYS, "data.tokenizer.file=ready", "hydra.run.dir=run")
    assert "train.subword_sampling=null" in refused("train", *ready, "train.subword_sampling=0.1", cwd=tmp_path)
    words = (*KEYS, "data.tokenizer.type=word", "hydra.run.dir=run")
    line = refused("train", *words, "train.subword_sampling=0.1", cwd=tmp_path)
    assert "does not support data.tokenizer.type=word" in line
    (tmp_path / "few").write_text("e\nt\n")
    characters = (*KEYS, "data.tokenizer.type=char", "data.tokenizer.file=few", "hydra.run.dir=run")
    _, error = call("train", *characters, cwd=tmp_path, code=2)
    assert "of the pieces of the source text are unknown to its vocabulary (train.max_unknown=" in error
    assert "cannot be read" in refused("train", *KEYS, "data.tokenizer.file=none", "hydra.run.dir=run", cwd=tmp_path)
    assert not (tmp_path / "run").exists()


def test_the_doctor_reads_ready_tokenizers_and_knows_symbols(tmp_path: Path) -> None:
    sentencepiece_file(tmp_path / "ready")
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, lines in (("train", TEXT), ("valid", TEXT[-40:]), ("test", TEXT[-80:-40])):
        (folder / f"{name}.en").write_text("".join(f"<BT> {line}\n" for line in lines[::2]))
        (folder / f"{name}.de").write_text("".join(f"{line}\n" for line in lines[1::2]))
    corpus = ("data=files", "data.root=corpus", "data.src_lang=en", "data.tgt_lang=de", "overfit_steps=0")
    symbols = ("data.tokenizer.file=ready", 'data.tokenizer.user_symbols=["<BT>"]')
    with_symbol, _ = call("doctor", *corpus, *symbols, cwd=tmp_path, code=1)
    without, _ = call("doctor", *corpus, "data.tokenizer.vocab_size=300", cwd=tmp_path, code=1)
    assert "pieces (of ready) occur" in " ".join(with_symbol.split())
    assert "HTML" in without
    assert without.count("unescape the files") > with_symbol.count("unescape the files") == 0
