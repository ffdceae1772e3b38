"""Tests of question files, of the recognition of existing runs, and of the estimated time of missing ones."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from fake_trainings import (  # noqa: F401
    BAD,
    BY_BOTH,
    GOOD,
    HIGH_RATE,
    HOLDS,
    Trainer,
    answer_questions,
    few_trials,
    forget_measurements,
    line_of,
    make_trainer,
    quick,
    trainings,
    write_question,
)
from hydra.core.global_hydra import GlobalHydra

from nmt.cli import questions
from nmt.cli.app.hydra_guard import CheckedLoader
from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import Runs, training_job
from nmt.cli.questioning.tables import tables_of
from nmt.cli.questioning.work import QuestionWork
from nmt.cli.questions import load_questions
from nmt.config import SHORT_MINUTES, Question, conf_dir, load_config
from nmt.data import prepare, sha256_of
from nmt.errors import UserError
from nmt.run import RunDirectory


def work_in(folder: Path) -> QuestionWork:
    questions = load_questions(folder / "questions")
    measurements = Measurements(folder / "measurements")
    tables = {name: tables_of(question, name) for name, question in questions.items()}
    return QuestionWork(tables, Runs(folder / "runs"), measurements)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rows": [GOOD]}, r"parts\.0\.rows has 1 rows"),
        ({"rows": [GOOD, GOOD]}, r"parts\.0\.rows has the label 'LSTM' twice"),
        ({"rows": [GOOD, BAD | {"minutes": -1}]}, r"rows\.1\.minutes is -1.0; allowed: at least 0"),
        ({"literature": [BY_BOTH | {"worse": "RNN"}]}, r"literature compares .*; allowed: the first row, 'LSTM'"),
        ({"claim": HOLDS | {"bleu": {"LSTM": 3}}}, r"claim\.bleu has LSTM; allowed: exactly the rows"),
        (
            {"claim": {"best": None, "verdicts": {"GRU": "equal"}, "bleu": {"LSTM": 3, "GRU": 2}}},
            "'equal'; allowed: bet",
        ),
        ({"answer": "Yes."}, r"parts\.0\.claim is null but there is an answer"),
        ({"seeds": [1, 1]}, r"seeds is \[1, 1\]"),
        ({"learning_rates": [0.004]}, r"parts\.0\.learning_rates is \[0\.004\]; allowed: empty, or two or more"),
        ({"learning_rates": [0.004, 0.004]}, r"learning_rates is .*distinct"),
        (
            {"learning_rates": [1, 2], "rows": [GOOD, BAD | {"overrides": ["optim.learning_rate=3"]}]},
            "row 'GRU' sets optim.learning_rate; remove one",
        ),
        ({"learning_rates": [0.004, 0]}, r"learning_rates is .*positive"),
        ({"rows": [GOOD, BAD | {"learning_rates": [0.001]}]}, r"rows has the learning_rates \[0\.001\] in row 'GRU'"),
        (
            {"learning_rates": [1, 2], "rows": [GOOD, BAD | {"learning_rates": [2]}]},
            r"rates \[2.*that a table",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(tmp_path: Path, changes: Any, complaint: str) -> None:
    rows = changes.pop("rows", [GOOD, BAD])
    write_question(tmp_path, "cells", *rows, **changes)
    with pytest.raises(UserError, match=complaint):
        load_config(Question, tmp_path / "cells.yaml")


def test_the_time_of_missing_trainings_is_estimated_from_finished_ones(trainer: Trainer, tmp_path: Path) -> None:
    """The estimate is two core minutes; the LSTM's first seed took one."""
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    made, runs = trainings(tmp_path), Runs(tmp_path / "runs")
    assert list(work_in(tmp_path).seconds.values()) == [140] * 4
    trainer([training_job(made[0], runs, 1, None)], 1, tmp_path)
    seconds = work_in(tmp_path).seconds
    assert [seconds[training.key] for training in made[1:]] == [80, 80, 80]
    trainer([training_job(made[3], runs, 1, None)], 1, tmp_path)
    seconds = work_in(tmp_path).seconds  # 60 s for the LSTM, 120 s for the GRU
    assert [seconds[training.key] for training in made[1:3]] == [80, 140]


def test_a_run_is_identified_by_the_settings_that_decide_its_results(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    made = trainings(tmp_path)
    assert len({training.key for training in made}) == 4
    where = ["data.mirror=null", "data.cache=elsewhere", "data.workers=3", "data.shard_pairs=9"]
    for words in ([*where, "machine.threads=2", "tracking.mode=disabled", "train.resume=auto"], []):
        write_question(tmp_path / "questions", "cells", GOOD | {"overrides": words}, BAD)
        assert trainings(tmp_path)[0].key == made[0].key
    write_question(tmp_path / "questions", "cells", GOOD | {"overrides": ["train.max_steps=7"]}, BAD)
    assert trainings(tmp_path)[0].key != made[0].key
    # A run of an older version without one of the settings, in a folder named after another hash.
    run = RunDirectory(tmp_path / "runs" / "older")
    config = made[0].config
    run.create(config, prepare(config.data))
    text = run.config_path.read_text(encoding="utf-8")
    run.config_path.write_text(text.replace("  most_pairs: null\n", ""), encoding="utf-8")
    assert text != run.config_path.read_text(encoding="utf-8")
    record = run.record()
    record["sha256"]["config.yaml"] = sha256_of(run.config_path)
    run.write_record(record)
    assert Runs(tmp_path / "runs").run(made[0]).path == run.path


@pytest.mark.parametrize("damaged", ["config.yaml", "run.json"])
def test_a_damaged_run_counts_as_not_trained_and_as_no_time(trainer: Trainer, tmp_path: Path, damaged: str) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    training = trainings(tmp_path)[0]
    trainer([training_job(training, Runs(tmp_path / "runs"), 1, None)], 1, tmp_path)
    runs = Runs(tmp_path / "runs")
    assert runs.trained(training)
    assert runs.spent(training) == 60
    path = runs.run(training).path / damaged
    path.write_bytes(path.read_bytes()[:-20])
    runs = Runs(tmp_path / "runs")
    assert not runs.trained(training)
    assert runs.spent(training) == 0
    assert not runs.translated(training)


@pytest.mark.parametrize("other", ["a", "z"])
def test_of_two_folders_of_one_training_the_finished_one_counts(trainer: Trainer, tmp_path: Path, other: str) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    training, runs = trainings(tmp_path)[0], Runs(tmp_path / "runs")
    trainer([training_job(training, runs, 1, None)], 1, tmp_path)
    unfinished = RunDirectory(tmp_path / "runs" / other)
    unfinished.create(training.config, prepare(training.config.data))
    assert Runs(tmp_path / "runs").run(training).path.name == training.key
    assert Runs(tmp_path / "runs").trained(training)


def test_each_finding_of_the_literature_names_its_paper() -> None:
    """The page shows each finding below a table, without the finding before it."""
    parts = [part for question in load_questions(Path(conf_dir()) / "questions").values() for part in question.parts]
    says = [finding.says for part in parts for finding in part.literature]
    assert len(says) > 5
    assert [
        text for text in says if re.match(r"[A-Z][a-z]+ (et al\.|and [A-Z][a-z]+) (19|20)\d\d ", text) is None
    ] == []


@pytest.mark.commands
def test_the_shipped_questions_compose_and_their_short_trainings_fit_into_fourteen_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GlobalHydra.instance().config_loader(), "__class__", CheckedLoader)  # as the command has it
    shipped = load_questions(Path(conf_dir()) / "questions")
    measurements = Measurements(tmp_path)
    tables = {name: tables_of(question, name) for name, question in shipped.items()}
    work = QuestionWork(tables, Runs(tmp_path), measurements)
    everything = work.trainings
    pending = work.pending(work.all_tables)
    assert len(everything) + len(pending) <= 520
    short = {training.key for training in [*everything, *pending] if training.minutes <= SHORT_MINUTES}
    assert sum(work.seconds[key] for key in short) <= 2 * 14 * 3600  # two cores
    assert sum(work.seconds.values()) <= 2 * 26 * 3600
    assert [name for name, question in shipped.items() if question.seeds != [1, 2, 3]] == ["improvements"]
    assert {training.config.data.name for training in everything} == {
        "phrasebook",
        "multi30k",
        "multi30k_tok",
        "strings",
        "tatoeba",
    }
    assert "are missing: about" in work.describe()
    searched = [row for row in work.rows if row.search]
    assert len({(row.overrides, row.search) for row in searched}) == len(searched) / 3


def test_the_validation_set_chooses_the_learning_rate_of_the_other_seeds(trainer: Trainer, tmp_path: Path) -> None:
    """The high rate is worse for the LSTM and better for the GRU. Both are trained with both rates and one seed."""
    write_question(tmp_path / "questions", "cells", GOOD, BAD, learning_rates=[0.002, HIGH_RATE], seeds=[3, 1, 2])
    before = trainings(tmp_path)
    assert [training.config.seed for training in before] == [3] * 4
    assert [training.config.optim.learning_rate for training in before] == [0.002, HIGH_RATE] * 2
    assert "8 of 8 trainings" in work_in(tmp_path).describe()
    page = answer_questions(tmp_path)
    assert "8 of 8 trainings are done" in page
    further = [run for run in Runs(tmp_path / "runs").by_key.values() if run.config().seed != 3]
    rates = sorted((run.config().model.decoder.cell, run.config().optim.learning_rate) for run in further)
    assert rates == [("gru", HIGH_RATE)] * 2 + [("lstm", 0.002)] * 2
    assert line_of(page, "LSTM", "validation BLEU by learning rate")[0].endswith(", chosen at the edge")
    assert line_of(page, "GRU", "validation BLEU by learning rate")[1].endswith(", chosen at the edge")
    made = list(trainer.made)
    assert answer_questions(tmp_path) == page
    forget_measurements(tmp_path)
    assert answer_questions(tmp_path, jobs=0) == page
    assert trainer.made == made


def test_other_seeds_follow_their_row_and_rows_of_two_tables_are_counted_once(
    trainer: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("cells", "same"):
        write_question(tmp_path / "questions", name, GOOD, BAD, learning_rates=[0.002, 0.003, HIGH_RATE])
    work = work_in(tmp_path)
    assert "8 of 8 trainings" in work.describe()
    assert list(work.seconds.values()) == [140] * 8
    with caplog.at_level(logging.INFO):
        assert "8 of 8 trainings are done" in answer_questions(tmp_path)
    keys = [name for name in trainer.made if "." not in name]
    assert len(keys) == len(set(keys)) == 8
    assert [name.rpartition("_")[2] for name in keys] == ["seed1", "seed1", "seed1", "seed2"] * 2
    left = [line for line in caplog.messages if "trainings left" in line]
    assert [line.split(";")[1].split()[0] for line in left] == ["7", "6", "5", "4", "3", "2", "1", "0"]


def test_measurements_of_a_rate_that_is_not_chosen_any_more_are_not_called_stale(
    trainer: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD, learning_rates=[0.002, HIGH_RATE])
    answer_questions(tmp_path)
    write_question(tmp_path / "questions", "cells", GOOD, BAD, learning_rates=[0.001, 0.002, HIGH_RATE])
    answer_questions(tmp_path, dry=True)
    assert "belong to no present row" not in caplog.text


def test_a_training_whose_corpus_is_missing_is_not_started(trainer: Trainer, tmp_path: Path) -> None:
    absent = {"label": "absent", "overrides": ["data=tatoeba", f"data.root={tmp_path / 'nowhere'}"]}
    write_question(tmp_path / "questions", "cells", absent, GOOD, overrides=[])
    with pytest.raises(UserError, match=r"2 of the runs failed.*nowhere, the folder of its corpus, does not exist"):
        answer_questions(tmp_path)
    assert [name for name in trainer.made if "tatoeba" in name] == []
    assert len(list((tmp_path / "measurements").glob("*.json"))) == 2


def test_a_row_can_have_further_learning_rates(trainer: Trainer, tmp_path: Path) -> None:
    write_question(
        tmp_path / "questions", "cells", GOOD, BAD | {"learning_rates": [HIGH_RATE]}, learning_rates=[0.002, 0.003]
    )
    page = answer_questions(tmp_path)
    choice = "validation BLEU by learning rate"
    assert f"| {choice} | 0.002 | 0.003 | {HIGH_RATE:g} |" in page
    tried = {label: line_of(page, label, choice) for label in ("LSTM", "GRU")}
    assert tried["LSTM"][2] == ""
    assert "chosen at the edge" in tried["GRU"][2]
    trained = {job.partition(".")[0] for job in trainer.made}
    assert len(trained) == 7  # two rates and a second seed, three rates and a second seed


def test_a_row_waits_until_all_its_learning_rates_are_measured(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD, learning_rates=[0.002, HIGH_RATE])
    trainer.failing = [trainings(tmp_path)[3].key]
    with pytest.raises(UserError, match="1 of the runs failed"):
        answer_questions(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text(encoding="utf-8")
    assert line_of(page, "GRU")[0] == "not measured yet"
    assert line_of(page, "GRU", "validation BLEU by learning rate")[1] == ""
    assert len(line_of(page, "LSTM", "bleu".upper())) > 1
    assert "4 of 6 trainings are done" in page
    trainer.failing = []
    assert "6 of 6 trainings are done" in answer_questions(tmp_path)


def test_finished_trainings_are_measured_although_another_training_failed(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_question(tmp_path / "questions", "cell", GOOD, BAD)
    trainer.failing = [training.key for training in trainings(tmp_path)[3:]]
    measured: list[int] = []
    monkeypatch.setattr(questions, "measure_speeds", lambda tables, runs: measured.append(len(runs.by_key)))
    with pytest.raises(UserError, match="1 of the runs failed"):
        answer_questions(tmp_path, then_measure=True)
    assert measured == [3]


@pytest.mark.parametrize("key", ["overrides", "search"])
def test_a_list_instead_of_a_word_is_refused_by_name(tmp_path: Path, key: str) -> None:
    write_question(tmp_path / "questions", "cell", GOOD, BAD | {key: [["a", "b"]]})
    with pytest.raises(UserError, match=rf"parts\.0\.rows\.1\.{key} holds a list"):
        answer_questions(tmp_path, dry=True)
