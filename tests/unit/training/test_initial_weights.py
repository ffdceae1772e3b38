"""Pretrained embeddings in a new run: rows against the vectors of the file, coverage counted here, one-line errors."""

import hashlib
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_transfer import APART, SMALL, base, begin, config, fresh_weights, sentences
from tiny_training import weights

from nmt.config import (
    EmbeddingFileConfig,
    EmbeddingLookup,
    InitVocabulary,
    PretrainedEmbeddingsConfig,
    TokenizerConfig,
    TrainConfig,
    Tying,
)
from nmt.data import Tokenizer
from nmt.errors import UserError
from nmt.pipeline import create_run
from nmt.run import RunDirectory
from nmt.training import Tracker, build_trainer
from nmt.training.initial_weights import check_initial_weights

__all__ = ["base"]  # a fixture

WIDTH = SMALL.embed_size
SPECIALS = 4


def vector(word: str) -> list[float]:
    """Return numbers that depend on the word only, with a length far from one."""
    return [digit / 10 - 12 for digit in hashlib.sha256(word.encode()).digest()[:WIDTH]]


def write(path: Path, words: list[str]) -> Path:
    path.write_text("".join(f"{word} {' '.join(map(str, vector(word)))}\n" for word in words), encoding="utf-8")
    return path


def embeddings(path: Path, lookup: EmbeddingLookup = EmbeddingLookup.piece, side: str = "src") -> TrainConfig:
    files = replace(PretrainedEmbeddingsConfig(), **{side: EmbeddingFileConfig(str(path), lookup)})
    return TrainConfig(pretrained_embeddings=files)


def vocabulary(tmp_path: Path, side: str) -> list[str]:
    """Return the pieces of a side's vocabulary, without special symbols."""
    _, run = begin(config(tmp_path, SMALL, APART, TrainConfig()), tmp_path / "vocabulary")
    return pieces(run.tokenizer(side))[SPECIALS:]


def pieces(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.pieces(range(tokenizer.size))


@pytest.mark.parametrize("lookup", list(EmbeddingLookup))
@pytest.mark.parametrize("side", ["src", "tgt"])
def test_rows_are_the_vectors_of_the_file_up_to_one_factor(
    side: str, lookup: EmbeddingLookup, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    known = vocabulary(tmp_path, side)[::2]
    words = sorted({piece.replace("▁", "") for piece in known} - {""}) if lookup == EmbeddingLookup.word else known
    file = write(tmp_path / "vectors.txt", ["</s>", "<unk>", "Donaudampfschiff", *words, words[0]])
    settings = config(tmp_path, SMALL, APART, embeddings(file, lookup, side))
    trainer, run = begin(settings, tmp_path / "run")
    name = {"src": "encoder.embedding.weight", "tgt": "decoder.embedding.weight"}[side]
    fresh, after = fresh_weights(settings, run), weights(trainer.model)
    for other in after.keys() - {name}:
        assert torch.equal(after[other], fresh[other])
    spelt = [
        piece.replace("▁", "") if lookup == EmbeddingLookup.word else piece for piece in pieces(run.tokenizer(side))
    ]
    rows = [row for row, word in enumerate(spelt) if row >= SPECIALS and word in words]
    assert len(rows) >= len(words)
    expected = torch.tensor([vector(spelt[row]) for row in rows])
    scale = expected.square().sum(dim=1).mean().rsqrt()
    torch.testing.assert_close(after[name][rows], expected * scale)
    others = [row for row in range(len(spelt)) if row not in rows]
    assert torch.equal(after[name][others], fresh[name][others])
    counts = Counter(row for line in sentences(trainer, side) for row in line)
    share = sum(counts[row] for row in rows) / counts.total()
    facts = run.record()["initial_weights"][f"{side}_embeddings"]
    assert facts["share_of_text"] == pytest.approx(share)
    assert facts["share_of_vocabulary"] == pytest.approx(len(rows) / (len(spelt) - SPECIALS))
    assert facts["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (facts["file"], facts["format"], facts["pieces"]) == (str(file), "text", len(rows))
    assert f"vectors of {len(rows)} pieces" in caplog.text
    assert f"{100 * share:.1f} % of the training text" in caplog.text


def test_pieces_with_factors_have_the_vectors_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "vectors.txt", ["▁the", "e", "n"])
    settings = config(tmp_path, SMALL, replace(APART, joint=True), embeddings(file))
    settings = replace(settings, data=replace(settings.data, factors=["case"]))
    check_initial_weights(replace(settings, train=replace(settings.train, freeze=["encoder.embedding.factors.*"])))
    trainer, run = begin(settings, tmp_path / "run")
    rows = [pieces(run.tokenizer("src")).index(piece) for piece in ("▁the", "e", "n")]
    actual = weights(trainer.model)["encoder.embedding.pieces.weight"][rows]
    expected = torch.tensor([vector(piece) for piece in ("▁the", "e", "n")])
    torch.testing.assert_close(actual / actual.norm(), expected / expected.norm())


def test_a_run_needs_the_file_no_more(tmp_path: Path) -> None:
    file = write(tmp_path / "vectors.txt", vocabulary(tmp_path, "src"))
    settings = config(tmp_path, SMALL, APART, replace(embeddings(file), freeze=["src_embedding"]))
    trainer, run = begin(settings, tmp_path / "run")
    first = weights(trainer.model)
    trainer.update([trainer.batches.next()])
    trainer.progress.step = 1
    trainer.save(improved=True)
    file.unlink()
    tracker = Tracker(run.path, settings.tracking, {})
    prepared = create_run(RunDirectory(tmp_path / "other"), config(tmp_path, SMALL, APART, TrainConfig()))
    again = weights(build_trainer(settings, run, prepared, tracker, torch.device("cpu"), False).model)
    unchanged = {name for name in first if torch.equal(first[name], again[name])}
    assert unchanged == {"encoder.embedding.weight"}


def test_shared_tables_are_set_once(tmp_path: Path) -> None:
    model, joint = replace(SMALL, tying=Tying.three_way), replace(APART, joint=True)
    file = write(tmp_path / "vectors.txt", ["▁the", "e", "n"])
    trainer, run = begin(config(tmp_path, model, joint, embeddings(file)), tmp_path / "run")
    row = pieces(run.tokenizer("tgt")).index("e")
    expected = torch.tensor(vector("e"))
    actual = trainer.model.output_weight[row].detach()
    torch.testing.assert_close(actual / actual.norm(), expected / expected.norm())
    both = embeddings(file)
    both.pretrained_embeddings.tgt.file = str(file)
    with pytest.raises(UserError, match=r"src and tgt both set the one table of model\.tying=three_way"):
        begin(config(tmp_path, model, joint, both), tmp_path / "both")


def test_only_new_pieces_of_an_extended_vocabulary_are_set(base: RunDirectory, tmp_path: Path) -> None:
    size = TokenizerConfig(APART.type, vocab_size=110, joint=False)
    train = TrainConfig(init_from=str(base.path), init_vocabulary=InitVocabulary.extend)
    plain, run = begin(config(tmp_path, SMALL, size, train, seed=9), tmp_path / "plain")
    known = pieces(run.tokenizer("src"))
    file = write(tmp_path / "vectors.txt", known)
    both = replace(train, pretrained_embeddings=embeddings(file).pretrained_embeddings)
    trainer, _ = begin(config(tmp_path, SMALL, size, both, seed=9), tmp_path / "both")
    before, after = plain.model.encoder.embedding.weight, trainer.model.encoder.embedding.weight
    changed = [row for row in range(len(known)) if not torch.equal(before[row], after[row])]
    assert changed == list(range(base.tokenizer("src").size, len(known))) != []
    with pytest.raises(UserError, match="would change nothing"):
        begin(config(tmp_path, SMALL, APART, replace(both, init_vocabulary=InitVocabulary.base)), tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("dog 1 2 3\n", r"src\.file=.* has vectors of width 3, but the source embeddings have 8; set .*embed_size=3"),
        (f"dog {'1 ' * WIDTH}\n", r"has no vector of any piece; try train\.pretrained_embeddings\.src\.lookup=word$"),
        (f"▁the {'0 ' * WIDTH}\n", "has no vector of any piece"),
        (f"9 {WIDTH}\n▁the {'1 ' * WIDTH}\n", "announces 9 vectors but the file has 1"),
        ("PK\x03\x04", "convert it first with unzip"),
        (None, "cannot be read|not a regular file"),
    ],
)
def test_files_that_cannot_be_used_are_refused(content: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said) as error:
        begin(config(tmp_path, SMALL, APART, embeddings(file)), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_the_file_is_examined_before_the_corpus_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="check the path"):
        begin(config(tmp_path, SMALL, APART, embeddings(tmp_path / "nothing")), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
