"""Tests of the measurement files: the page from files is the page from runs, and files hold no text."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_trainings import (  # noqa: F401
    BAD,
    GOOD,
    GREEDY,
    Trainer,
    answer_questions,
    few_trials,
    line_of,
    make_trainer,
    quick,
    trainings,
    write_question,
)

from nmt.cli.app.composing import composed
from nmt.cli.questioning.measurements import Measurements, present_key, settings_of
from nmt.cli.questioning.runs import Runs, key_of
from nmt.cli.questioning.tables import rows_of, tables_of
from nmt.cli.questioning.work import QuestionWork
from nmt.cli.questions import load_questions
from nmt.config import Config, from_hydra
from nmt.errors import UserError
from nmt.lab.comparison.compare import Comparison, source_lengths
from nmt.lab.comparison.systems import ScoredRun, System, common_test_set
from nmt.lab.questions.measure import LENGTHS, compare


def files_in(folder: Path) -> list[Path]:
    return sorted((folder / "measurements").glob("*.json"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_page_from_files_is_the_page_from_runs(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD, GREEDY, by_length=True)
    page = answer_questions(tmp_path)
    runs, measurements = Runs(tmp_path / "runs"), Measurements(tmp_path / "measurements")
    tables = tables_of(load_questions(tmp_path / "questions")["cells"], "cells")
    assert len(files_in(tmp_path)) == 6

    # The comparison from hypotheses, which does not use the files.
    systems = [
        System(
            [ScoredRun.open(runs.run(one), "test", name=one.scores) for one in row.seeds(measurements)], row.row.label
        )
        for row in tables[0]
    ]
    test = common_test_set([run for system in systems for run in system.runs], "test")
    comparison = Comparison(systems, test)
    unit, lengths = source_lengths(test.src)
    breakdown = comparison.breakdown("", lengths, LENGTHS)
    rows = {row.row.label: [one for t in row.seeds(measurements) if (one := measurements.of(t))] for row in tables[0]}
    measured = compare(rows, by_length=True)
    for at, row in enumerate(measured.rows.values()):
        assert row.scores == {name: comparison.cells[name][at] for name in ("bleu", "chrf")}
        assert row.lengths == breakdown.cells[at]
    assert (measured.groups, measured.sizes, measured.unit) == (breakdown.groups, breakdown.sizes, unit)
    assert measured.rows["greedy"].scores["bleu"].bootstrap_p is not None

    shutil.rmtree(tmp_path / "runs")
    assert answer_questions(tmp_path, jobs=0) == page
    assert answer_questions(tmp_path) == page
    assert len(trainer.made) == 12


@pytest.mark.parametrize(
    "experiment", ["questions_tatoeba", "questions_multi30k", "questions_strings", "questions_phrasebook"]
)
def test_the_key_of_a_training_is_found_from_its_settings(experiment: str) -> None:
    """They have no location of the corpus, which files of a user need."""
    with composed("train", [f"experiment={experiment}", "seed=2"]) as values:
        config = from_hydra(Config, values)
    assert present_key(SimpleNamespace(settings=settings_of(config), seed=2)) == key_of(config)  # type: ignore[arg-type]


def test_files_hold_no_text_of_the_corpus_and_are_small(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, GREEDY)
    answer_questions(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[0])
    lines = {line for split in ("valid", "test") for side in run.text(split) for line in side if len(line.split()) > 1}
    stored = [*files_in(tmp_path), *(tmp_path / "measurements" / "test_sets").glob("*.json")]
    assert len(stored) == 5  # two seeds, two searches, and one test set
    for path in stored:
        assert not {line for line in lines if line in path.read_text()}
        assert path.stat().st_size < 12_000


def test_a_changed_setting_makes_a_file_stale(trainer: Trainer, tmp_path: Path, caplog: Any) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    answer_questions(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    write_question(tmp_path / "questions", "cells", GOOD, BAD | {"overrides": [*BAD["overrides"], "train.max_steps=7"]})
    page = answer_questions(tmp_path, jobs=0)
    assert line_of(page, "GRU")[0] == "not measured yet"
    assert line_of(page, "LSTM")[0] != "not measured yet"
    assert "2 files in " in caplog.text
    assert "2 of 4 trainings are done" in page
    # A file from a version with another set of keys counts if its settings are the present ones.
    path = files_in(tmp_path)[0]
    record = json.loads(path.read_text())
    del record["settings"]["train"]["r_drop_alpha"]
    new = path.with_name("phrasebook_0123456789_seed1.test.json")
    new.write_text(json.dumps(record | {"key": "phrasebook_0123456789_seed1"}))
    path.unlink()
    assert Measurements(tmp_path / "measurements").paths.keys() >= {(record["key"], "test")}


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ({"format": 2}, "its format is not 1"),
        ({"seed": "1"}, "have another type"),
        ({"starts": []}, "it has no start of a training"),
        ({"statistics": {"bleu": [[1.5]], "chrf": [[1]]}}, "not a list of integers"),
        ({"test_set": "0123"}, "No such file"),
        ({"other": 1}, "unexpected keyword"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(
    trainer: Trainer, tmp_path: Path, damage: dict[str, Any], complaint: str
) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, GREEDY, seeds=[1])
    answer_questions(tmp_path)
    path = files_in(tmp_path)[0]
    change(path, **damage)
    with pytest.raises(UserError, match=rf"measurements/.*\(.*{path.stem.split('.')[0]}.*\) is damaged: .*{complaint}"):
        answer_questions(tmp_path, jobs=0)


def test_changed_counts_do_not_have_the_recorded_score(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, GREEDY, seeds=[1])
    answer_questions(tmp_path)
    path = files_in(tmp_path)[0]
    record = json.loads(path.read_text())
    record["statistics"]["bleu"][1] = (np.array(record["statistics"]["bleu"][1]) + 1).tolist()
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"is damaged: its statistics have bleu \d"):
        answer_questions(tmp_path, jobs=0)


def test_costs_of_different_processors_are_given_in_words(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD, GREEDY)
    answer_questions(tmp_path)
    keys = {training.key for training in trainings(tmp_path)[2:]}
    for path in files_in(tmp_path):
        if path.name.split(".")[0] in keys:
            change(path, precision="bfloat16")
    page = answer_questions(tmp_path, jobs=0)
    assert line_of(page, "GRU")[1:] == ["1.00 M"]
    assert "Costs are not compared" in page
    assert "- GRU: 1.5 core minutes on 2 x " in page
    assert "in bfloat16" in page


def test_a_training_that_was_run_again_replaces_its_measurements(trainer: Trainer, tmp_path: Path) -> None:
    """All searches of a training are measured with the same weights."""
    write_question(tmp_path / "questions", "searches", GOOD, GREEDY)
    answer_questions(tmp_path)
    for path in files_in(tmp_path):
        starts = json.loads(path.read_text())["starts"]
        older = [start | {"time": "2020-01-01T00:00:00"} for start in starts]
        change(path, starts=older, precision="unknown")
    answer_questions(tmp_path)
    assert [json.loads(path.read_text())["precision"] for path in files_in(tmp_path)] == ["float32"] * 4
    for path in files_in(tmp_path):
        change(path, starts=[start | {"time": "2120-01-01T00:00:00"} for start in starts], precision="unknown")
    answer_questions(tmp_path)
    assert [json.loads(path.read_text())["precision"] for path in files_in(tmp_path)] == ["unknown"] * 4


def test_a_training_that_was_run_again_for_one_search_is_measured_with_all_of_them(
    trainer: Trainer, tmp_path: Path
) -> None:
    write_question(tmp_path / "questions", "searches", GOOD, GREEDY, seeds=[1])
    answer_questions(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    greedy, first = sorted(files_in(tmp_path), key=lambda path: len(path.name), reverse=True)
    greedy.unlink()
    starts = json.loads(first.read_text())["starts"]
    older = [start | {"time": "2020-01-01T00:00:00"} for start in starts]
    change(first, starts=older)
    answer_questions(tmp_path)
    assert [json.loads(path.read_text())["starts"] for path in (greedy, first)] == [starts] * 2
    change(first, starts=older)
    shutil.rmtree(tmp_path / "runs")
    assert line_of(answer_questions(tmp_path, jobs=0), "LSTM")[0].startswith("not measured yet")


def test_no_training_starts_after_the_time_limit(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    trainer.late = True
    assert "0 of 4 trainings are done" in answer_questions(tmp_path, max_minutes=0)
    assert trainer.made == []


def test_the_question_with_the_least_remaining_time_comes_first(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    write_question(tmp_path / "questions", "searches", GOOD, GREEDY)
    questions = load_questions(tmp_path / "questions")
    measurements = Measurements(tmp_path / "measurements")
    tables = {name: tables_of(question, name) for name, question in questions.items()}
    work = QuestionWork(tables, Runs(tmp_path / "runs"), measurements)
    first = rows_of(tables["searches"], measurements)
    assert [row.scores for row in work.in_order()[:4]] == [row.scores for row in first]
    answer_questions(tmp_path)
    # A training is followed by its translations.
    assert trainer.made[0] == first[0].key
    assert [name.partition(".")[0] for name in trainer.made[1:4]] == [first[0].key] * 3
