"""Tests of a paper's appendix: every setting that is on, core-hours, the data statement, and escaped text."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from scored_run import scored_run, settings

from nmt.config import Config, GnmtDecoderConfig, ModelConfig, OptimConfig, TokenizerConfig, TokenizerType, flatten
from nmt.lab.comparison.report import TitledTable
from nmt.lab.comparison.systems import format_setting
from nmt.lab.report.appendix import appendix_tables, computing, hyper_parameters, write_appendix
from nmt.lab.report.facts import RunFacts, collect_facts, kind_of_pieces
from nmt.run import RunDirectory

MODEL = ModelConfig(embed_size=24, dropout=0.0, decoder=GnmtDecoderConfig(weight_drop=0.1))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("appendix")
    config = settings(folder / "cache", model=MODEL, optim=OptimConfig(learning_rate=0.003), seed=7)
    made = scored_run(folder / "run_50%", config, lambda at: at % 3 == 0)
    made.add_start(
        {"threads": 2, "cores": 4, "processes": 3, "processor": "A & B", "python": "3.11.7", "libraries": {}}
    )
    record = made.record()
    record["starts"] = record["starts"][1:]
    made.write_record(record)
    made.add_facts(1_234_567, 5400.0, 9000.0, 1 << 30)
    return made


@pytest.fixture(scope="module")
def facts(run: RunDirectory) -> RunFacts:
    return collect_facts(run, "test", torch.device("cpu"))


def table(facts: RunFacts, run: RunDirectory, title: str) -> TitledTable:
    (found,) = [grid for grid in appendix_tables(facts, run) if grid.title == title]
    return found


def test_hyper_parameters_are_the_settings_that_are_on_or_changed() -> None:
    config = Config(model=MODEL, optim=OptimConfig(learning_rate=0.003), seed=7)
    shown = dict(hyper_parameters(config))
    assert shown["seed"] == "7"
    assert shown["model.embed_size"] == "24"
    assert shown["model.decoder.weight_drop"] == "0.1"
    assert shown["optim.learning_rate"] == "0.003"
    assert "train.resume" not in shown
    assert not [key for key in shown if key.startswith(("tracking.", "machine.", "data.root"))]
    defaults = flatten(asdict(Config()))
    for key, value in flatten(asdict(config)).items():
        hidden = key not in shown and key.startswith(("model.", "optim.", "search.", "data.tokenizer."))
        assert not hidden or (not value and defaults[key] == value), key
        assert key not in shown or shown[key] == format_setting(value)


def test_a_setting_that_is_off_but_on_by_default_is_shown() -> None:
    assert GnmtDecoderConfig().attention is not None
    config = Config(model=replace(MODEL, decoder=GnmtDecoderConfig(attention=None)))
    assert dict(hyper_parameters(config))["model.decoder.attention"] == "null"


def test_core_hours_are_hours_times_threads_times_processes(facts: RunFacts, run: RunDirectory) -> None:
    cost = dict(table(facts, run, "Cost of training").rows)
    assert cost["core-hours"] == "9.00"  # 1.5 hours, 2 threads, 3 processes
    assert cost["parameters"] == "1.23 M"
    assert cost["hardware"] == "A & B, 4 cores"


def test_core_hours_of_other_starts() -> None:
    hours = {"seconds": 3600.0}
    assert dict(computing(hours, [{"threads": 2}]))["core-hours of one process"] == "2.00"
    different = dict(computing(hours, [{"threads": 2, "processes": 1}, {"threads": 1, "processes": 1}]))
    assert different["core-hours"].startswith("not recorded, or the starts used different numbers")
    assert dict(computing({}, []))["core-hours"].startswith("not recorded")


def test_the_data_statement_has_corpus_terms_languages_sizes_and_preprocessing(
    facts: RunFacts, run: RunDirectory
) -> None:
    data = dict(table(facts, run, "Data").rows)
    report = json.loads((run.path / "data" / "report.json").read_text(encoding="utf-8"))
    assert data["languages"] == "en (source), de (target)"
    assert "phrasebook" in data["corpus"]
    assert data["description and terms of use"] == facts.terms
    assert data["pairs kept"] == f"{report['kept']:,}"
    assert data["test set, pairs"] == "24"
    assert f"{run.tokenizer('src').size} pieces, one vocabulary for both languages" in data["pieces"]
    assert "at most 150 words" not in data["filters of the training set"]
    assert "1 to 150 words" in data["filters of the training set"]


def test_only_subwords_are_of_sentencepiece() -> None:
    assert kind_of_pieces(TokenizerConfig()) == "SentencePiece, unigram"
    assert kind_of_pieces(TokenizerConfig(type=TokenizerType.bpe)) == "SentencePiece, bpe"
    assert kind_of_pieces(TokenizerConfig(type=TokenizerType.word)) == "words"
    assert kind_of_pieces(TokenizerConfig(type=TokenizerType.char)) == "characters"
    assert kind_of_pieces(TokenizerConfig(file="words.txt", type=TokenizerType.word)) == "ready tokenizer"


def test_scores_have_their_signatures(facts: RunFacts, run: RunDirectory) -> None:
    scores = table(facts, run, "Scores on test")
    record = json.loads((run.path / "scores" / "test.json").read_text(encoding="utf-8"))
    assert dict(scores.rows)["BLEU"].startswith(f"{record['bleu']['score']:.1f} [")
    assert f"BLEU: {record['bleu']['signature']}" in scores.notes


def test_both_files_have_every_value(facts: RunFacts, run: RunDirectory, tmp_path: Path) -> None:
    paths = write_appendix(facts, run, tmp_path)
    assert [path.name for path in paths] == ["appendix.md", "appendix.tex"]
    markdown, tex = (path.read_text(encoding="utf-8") for path in paths)
    assert markdown.startswith("# Appendix: run_50%\n")
    assert r"A \& B, 4 cores" in tex
    assert "A &amp; B, 4 cores" in markdown
    for text in (markdown, tex):
        assert text.count("0.003") == 1
        assert text.count("1.23 M") == 1
    assert tex.count(r"\begin{") == tex.count(r"\end{")
