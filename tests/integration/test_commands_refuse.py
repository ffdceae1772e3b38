"""Integration tests of bad input: one line with the remedy, exit code 2, and no file overwritten."""

import json
import shutil
from pathlib import Path

import pytest
from command import SMALL, call, refused

pytestmark = pytest.mark.commands

FILES = (
    "data=files",
    "data.src_lang=en",
    "data.tgt_lang=de",
    "data.tokenizer.vocab_size=40",
    "model=lstm_small",
    "tracking.mode=disabled",
)
ENGLISH = ["The door is open.", "The soup is hot.", "Where is my key?", "We need two rooms.", "The train is late."]
GERMAN = ["Die Tür ist offen.", "Die Suppe ist heiß.", "Wo ist mein Schlüssel?", "Wir brauchen zwei Zimmer.", "Zug."]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.en").write_text("\n".join(ENGLISH) + "\n")
        (folder / f"{split}.de").write_text("\n".join(GERMAN) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refuse") / "run"
    call("train", *SMALL, "train.max_steps=5", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


def test_missing_file(corpus: Path) -> None:
    (corpus / "train.de").unlink()
    assert "train.de" in refused("train", *FILES, f"data.root={corpus}", cwd=corpus.parent)


def test_missing_root(tmp_path: Path) -> None:
    assert "data.root" in refused("train", "experiment=tatoeba_de_en", cwd=tmp_path)


def test_a_group_set_to_null(tmp_path: Path) -> None:
    assert "null" in refused("train", "model=null", cwd=tmp_path)


def test_sides_of_different_length(corpus: Path) -> None:
    (corpus / "train.en").write_text("\n".join(ENGLISH[:3]) + "\n")
    line = refused("train", *FILES, f"data.root={corpus}", cwd=corpus.parent)
    assert "3" in line
    assert "5" in line


def test_not_utf8(corpus: Path) -> None:
    (corpus / "train.en").write_bytes(b"one\ntw\xff\nthree\nfour\nfive\n")
    line = refused("train", *FILES, f"data.root={corpus}", cwd=corpus.parent)
    assert "train.en" in line
    assert "line 2" in line


def test_empty_corpus(corpus: Path) -> None:
    for side in ("en", "de"):
        (corpus / f"train.{side}").write_text("")
    assert "train" in refused("train", *FILES, f"data.root={corpus}", cwd=corpus.parent)


def test_corpus_smaller_than_its_vocabulary(corpus: Path) -> None:
    arguments = [*FILES, "data.cleaning.drop_test_pairs=false", "data.tokenizer.vocab_size=5000"]
    assert "data.tokenizer.vocab_size=5000" in refused("train", *arguments, f"data.root={corpus}", cwd=corpus.parent)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("train.max_step=3", ["train.max_step", "train.max_steps"]),
        ("model.decoder.attention=additiv", ["model.decoder.attention", "additive, dot, scaled_dot, general"]),
        ("model.dropout=2", ["model.dropout", "0 to 0.95"]),
        ("train.max_steps=many", ["train.max_steps"]),
        ("model=lstn", ["lstn", "lstm"]),
        ("max_steps", ["max_steps"]),
    ],
)
def test_misspelt_or_impossible_configuration(tmp_path: Path, given: str, words: list[str]) -> None:
    line = refused("train", given, cwd=tmp_path)
    for word in words:
        assert word in line


def test_wrong_checksum(tmp_path: Path) -> None:
    folder = tmp_path / "mirror" / "data" / "task1" / "raw"
    folder.mkdir(parents=True)
    for split in ("train", "val", "test_2016_flickr"):
        for side in ("en", "de"):
            (folder / f"{split}.{side}.gz").write_bytes(b"something else")
    line = refused("train", "experiment=multi30k_en_de", f"data.mirror={tmp_path / 'mirror'}", cwd=tmp_path)
    assert "train.en.gz" in line


@pytest.mark.parametrize("script", ["evaluate", "translate"])
def test_no_run_a_missing_an_incomplete_and_an_incompatible_run(script: str, run: Path, tmp_path: Path) -> None:
    assert "run is missing" in refused(script, cwd=tmp_path)
    assert "nowhere does not exist" in refused(script, "run=nowhere", cwd=tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy, symlinks=True)
    for link in ("best", "last"):
        (copy / "checkpoints" / link).unlink()
    assert "no checkpoint" in refused(script, f"run={copy}", cwd=tmp_path)
    (copy / "run.json").write_text(json.dumps({"format": 999, "starts": []}))
    assert "format 999" in refused(script, f"run={copy}", cwd=tmp_path)
    (copy / "run.json").unlink()
    assert "not a run directory" in refused(script, f"run={copy}", cwd=tmp_path)


def test_no_run_is_overwritten(run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "train.resume=auto" in refused("train", *SMALL, f"hydra.run.dir={run}", cwd=tmp_path)
    assert "seed" in refused("train", *SMALL, "seed=5", "train.resume=auto", f"hydra.run.dir={run}", cwd=tmp_path)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_alignments_of_a_model_without_attention(tmp_path: Path) -> None:
    call(
        "train",
        *SMALL,
        "train.max_steps=2",
        "model.decoder.attention=null",
        f"hydra.run.dir={tmp_path / 'run'}",
        cwd=tmp_path,
    )
    line = refused("translate", f"run={tmp_path / 'run'}", "alignments=links", cwd=tmp_path)
    assert "alignments=links" in line
    assert "no attention" in line
    assert not list(tmp_path.glob("links*"))


def test_own_files_of_different_length(run: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_text("The tea is hot.\nThe tea is cold.\n")
    (tmp_path / "ref").write_text("Der Tee ist heiß.\n")
    line = refused("evaluate", f"run={run}", "src=src", "ref=ref", cwd=tmp_path)
    assert "2 lines" in line
    assert "1" in line


def test_a_test_set_that_is_not_there(run: Path, tmp_path: Path) -> None:
    assert "wmt14" in refused("evaluate", f"run={run}", "testset=wtm14", cwd=tmp_path)
    assert "has no en-de" in refused("evaluate", f"run={run}", "testset=wmt20/dev", cwd=tmp_path)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ((), "hyp is missing"),
        (("hyp=hyp",), "ref or testset"),
        (("hyp=hyp", "ref=nowhere"), "nowhere"),
        (("hyp=hyp", "ref=ref"), "hyp has 2 lines and ref 1"),
        (("hyp=hyp", "testset=wmt14"), "pair"),
        (("hyp=hyp", "ref=hyp", "comet=Some/model"), "src=FILE"),
        (("hyp=hyp", "ref=hyp", "bleu_tokenize=moses"), "13a, none"),
    ],
)
def test_translations_that_cannot_be_scored(tmp_path: Path, given: tuple[str, ...], word: str) -> None:
    (tmp_path / "hyp").write_text("Der Tee ist heiß.\nDer Tee ist kalt.\n")
    (tmp_path / "ref").write_text("Der Tee ist heiß.\n")
    assert word in refused("score", *given, cwd=tmp_path)
