"""Tables of a run's shortlist: built at first use, read again, and refused or built again if they do not fit."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from shapes import model_config

from nmt.cli import shortlist as command
from nmt.config import Config, DataConfig, PhrasebookConfig, SearchConfig, TokenizerConfig
from nmt.data import normalise, prepare
from nmt.data.word_translation import train_translations
from nmt.decoding import load_translator, shortlist_files
from nmt.decoding.shortlist_files import load_shortlist
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations
from nmt.evaluation.evaluate import shortlist_coverage
from nmt.models import Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, load_tensors, save_checkpoint, save_tensors
from nmt.run.checkpoint import checksum

CPU = torch.device("cpu")
SEARCH = SearchConfig(beam_size=2, max_length_ratio=0.0, max_length_offset=6, shortlist=64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run of an untrained model."""
    folder = tmp_path_factory.mktemp("shortlist")
    corpus = PhrasebookConfig(train=150, valid=4, test=6)
    data = DataConfig(phrasebook=corpus, tokenizer=TokenizerConfig(vocab_size=150), cache=str(folder / "cache"))
    config = Config(data=data, model=model_config(embed_size=8, hidden_size=8), seed=5)
    run = RunDirectory(folder / "run")
    run.create(config, prepare(config.data))
    torch.manual_seed(1)
    size = run.tokenizer("src").size
    model = build_model(config.model, Vocabulary(size, size))
    save_checkpoint(run.checkpoints, Checkpoint(1, dict(model.named_parameters()), run=run.identity), ["best"])
    return run


@pytest.fixture
def run(made: RunDirectory, tmp_path: Path) -> RunDirectory:
    shutil.copytree(made.path, tmp_path / "run", symlinks=True)
    return RunDirectory.open(str(tmp_path / "run"))


@pytest.fixture
def no_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise UserError("data.root=corpus is not a folder")

    monkeypatch.setattr(shortlist_files, "prepare_corpus", missing)


def test_the_tables_are_built_at_first_use_and_read_again(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    built = load_shortlist(run, 64)
    monkeypatch.setattr(shortlist_files, "build_shortlist", None)
    again = load_shortlist(RunDirectory.open(str(run.path)), 64)
    store = prepare(run.config().data).store("train")
    expected = train_translations(store, run.tokenizer("src").size, run.tokenizer("tgt").size)
    for name in ("translations", "probabilities", "frequent", "copies"):
        assert np.array_equal(getattr(again, name), getattr(built, name))
    assert np.array_equal(again.translations, expected.ids)
    counts = store.tgt.piece_counts(run.tokenizer("tgt").size)
    assert (np.diff(counts[again.frequent]) <= 0).all()


def test_a_piece_of_both_vocabularies_is_its_copy(run: RunDirectory) -> None:
    tables, src, tgt = load_shortlist(run, 64), run.tokenizer("src"), run.tokenizer("tgt")
    copied = np.flatnonzero(tables.copies)
    assert len(copied) > 10
    assert src.pieces(copied) == tgt.pieces(tables.copies[copied])


@pytest.mark.usefixtures("no_corpus")
def test_without_tables_and_corpus_the_error_has_the_remedy(run: RunDirectory) -> None:
    with pytest.raises(UserError, match=r"needs the training corpus .* is not a folder.*scripts/shortlist\.py run=RUN"):
        load_translator(run, "best", SEARCH, CPU)


@pytest.mark.parametrize("damage", ["bytes", "record", "run", "text", "folder"])
def test_tables_that_do_not_fit_are_built_again(
    run: RunDirectory, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load_shortlist(run, 64)
    tensors, record = run.path / "shortlist/lexicon.safetensors", run.path / "shortlist/lexicon.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    match damage:
        case "bytes":
            tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")
        case "record":
            record.write_text(json.dumps(content | {"pairs": 3}), encoding="utf-8")
        case "run":
            del content["checksum"]
            other = content | {"run": "another"}
            record.write_text(json.dumps(other | {"checksum": checksum(other)}), encoding="utf-8")
        case "text":
            record.write_text("[1, 2", encoding="utf-8")
        case "folder":
            tensors.unlink()
            tensors.mkdir()
    if damage == "folder":
        with caplog.at_level(logging.WARNING):
            load_shortlist(run, 64)
        assert "cannot be kept" in caplog.text
        return
    with caplog.at_level(logging.WARNING):
        again = load_shortlist(run, 64)
    assert "are built again" in caplog.text
    assert np.array_equal(again.translations, expected.translations)


def test_tables_of_other_vocabularies_are_built_again(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    load_shortlist(run, 64)
    tensors, record = load_tensors(run.path / "shortlist", "lexicon")
    for change in (
        {"translations": tensors["translations"] + 150},
        {"frequent": tensors["frequent"][:-1].contiguous()},
        {"copies": tensors["copies"].long()},
        {"probabilities": tensors["probabilities"] * float("nan")},
    ):
        caplog.clear()
        save_tensors(run.path / "shortlist", "lexicon", tensors | change, record)
        load_shortlist(run, 64)
        assert "are built again" in caplog.text, change


def test_another_corpus_than_that_of_the_run_is_refused(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    data = replace(run.config().data, tokenizer=TokenizerConfig(vocab_size=120))
    monkeypatch.setattr(shortlist_files, "prepare_corpus", lambda *_: prepare(data))
    with pytest.raises(UserError, match="gives another vocabulary than the run has"):
        load_shortlist(run, 64)


def test_scores_record_the_shortlist_and_its_coverage(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    translator, step = load_translator(run, "best", SEARCH, CPU)
    test = EvaluationSet.of_run(run, "test")
    with caplog.at_level(logging.INFO):
        made_by = score_translations(test, translator, step, run.config()).record["made_by"]
    assert isinstance(made_by, dict)
    assert made_by["search"]["shortlist"] == 64
    assert translator.shortlist is not None
    inside = total = 0
    for src, tgt in zip(test.src, test.references[0], strict=True):
        allowed = set(translator.shortlist.pieces(translator.src.encode([normalise(src)])[0], 64).tolist())
        pieces = translator.tgt.encode([normalise(tgt)])[0]
        inside += sum(piece in allowed for piece in pieces)
        total += len(pieces)
    assert made_by["shortlist_coverage"]["tokens"] == pytest.approx(inside / total)
    assert "search.shortlist=64 covers" in caplog.text
    without, _ = load_translator(run, "best", replace(SEARCH, shortlist=None), CPU)
    assert shortlist_coverage(without, test) == {}
    assert without.config.shortlist is None


def test_low_coverage_is_a_warning(
    run: RunDirectory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_shortlist(run, 1000)
    assert "search.shortlist" not in caplog.text
    monkeypatch.setattr(shortlist_files, "LOW_COVERAGE", 1.1)
    load_shortlist(run, 40)
    assert "search.shortlist=40 covers" in caplog.text


def test_the_command_prints_the_coverage(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    command.command(OmegaConf.create({"run": str(run.path), "sizes": [64, 150], "pairs": 100}))
    printed = capsys.readouterr().out
    assert "150" in printed
    assert "100.00%" in printed
    assert json.loads((run.path / "shortlist/lexicon.json").read_text(encoding="utf-8"))["pairs"] == 100
