"""Tests of the questions command: no training runs twice, and the page shows measured results only."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from fake_trainings import (  # noqa: F401
    BAD,
    BY_BOTH,
    BY_OTHER,
    GOOD,
    GREEDY,
    HOLDS,
    Trainer,
    answer_questions,
    few_trials,
    forget_measurements,
    line_of,
    make_trainer,
    origin,
    parse_overrides,
    quick,
    trainings,
    write_question,
)
from scored_run import SENTENCES, write_scores

from nmt.cli import questions
from nmt.cli.questioning import speed as question_speed
from nmt.cli.questioning import work as question_work
from nmt.cli.questioning.runs import Runs, training_job
from nmt.config import Claim, Literature, SearchConfig
from nmt.config.data import DownloadConfig
from nmt.errors import UserError
from nmt.lab.comparison.cells import ComparisonVerdict, ScoreCell
from nmt.lab.plots.questions import draw_question
from nmt.lab.questions.measure import MeasuredRow, MeasuredTable, claim_of, contradictions, literature_verdict
from nmt.run import RunDirectory


def test_rows_of_one_configuration_are_trained_once(
    trainer: Trainer, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question_work, "available_cores", lambda: 2)
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    write_question(
        tmp_path / "questions", "spelt", {"label": "first", "overrides": ["model/encoder=lstm"]}, BAD | GREEDY
    )
    assert answer_questions(tmp_path, dry=True) == ""
    lines = capsys.readouterr().out.strip().split("\n")
    assert sum(" min " in line for line in lines) == 4
    missing = (
        "4 of 4 trainings, 8 of 8 translations and 6 of 6 measurements of speed are missing: about 0.1 hours on 2 cores"
    )
    assert lines[-1] == f"{missing}, translations estimated at 30 s of one core each"
    assert "0 of 4 trainings are done" in answer_questions(tmp_path, jobs=0)
    assert trainer.made == []
    first = answer_questions(tmp_path)
    assert len(trainer.made) == 12  # 4 trainings, 6 rows of the validation set, 2 searches of the test set
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 4
    assert "4 of 4 trainings are done, in 0.1 core hours; 0 of 4 trainings, 0 of 8 translations and 6 of 6" in first
    assert answer_questions(tmp_path) == first
    assert len(trainer.made) == 12


def test_a_table_shows_what_the_runs_recorded(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "draw_question", draw_question)
    write_question(
        tmp_path / "questions", "cells", GOOD, BAD, GREEDY, by_length=True, by_cost=True, literature=[BY_BOTH, BY_OTHER]
    )
    page = answer_questions(tmp_path)
    runs, made = Runs(tmp_path / "runs"), trainings(tmp_path)
    for label, group in (("LSTM", made[:2]), ("GRU", made[2:])):
        records = [json.loads((runs.run(training).path / "scores" / "test.json").read_text()) for training in group]
        valid = [json.loads((runs.run(training).path / "scores" / "valid.json").read_text()) for training in group]
        cells = line_of(page, label)
        assert cells[0].startswith(f"{mean(record['bleu']['score'] for record in valid):.2f} ± ")
        for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
            score = line_of(page, label, title)[0]
            assert score.startswith(f"{mean(record[name]['score'] for record in records):.2f} ± ")
        assert cells[1:] == ["1.00 M", "1.5", "-", "1.00 GiB"]
        assert all(f"`{records[0][name]['signature']}`" in page for name in ("bleu", "chrf"))
    assert "- LSTM: none\n- GRU: `model/encoder=gru model.decoder.cell=gru`\n- greedy: `search=greedy`\n" in page
    *p_values, verdict, detectable = line_of(page, "GRU", "BLEU")[2:]
    assert [bool(re.fullmatch(r"(&lt;)?\.\d{3}", p)) for p in p_values] == [True] * 3
    assert verdict == "worse"
    assert float(detectable) > 0
    assert line_of(page, "greedy", "BLEU")[0] == "100.00 ± 0.00"
    assert line_of(page, "sentences", "BLEU by words of the source")
    rows = [line for line in page.split("\n") if line.startswith("|")]
    assert max(map(len, rows)) <= 140
    assert max(len(cell.strip()) for row in rows for cell in row.split("|")) <= 80
    assert "- A paper found the first better. Same direction here (LSTM " in page
    assert "- Another found the second better. **Opposite direction** here (GRU " in page
    assert origin()["commit"][:7] in page
    assert origin()["processor"] in page
    for name in ("cells.png", "cells_costs.png"):
        picture = tmp_path / "docs" / "pictures" / "questions" / name
        assert f"](pictures/questions/{name})" in page
        assert picture.read_bytes()[:4] == b"\x89PNG"
        assert picture.stat().st_size < 200_000


def test_speed_is_measured_apart_for_each_row_by_its_search(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake model takes one second with a beam of 5, half a second with greedy search, and ten the first time."""
    write_question(tmp_path / "questions", "cells", GOOD, BAD, GREEDY)
    clock = [0.0]
    made: list[tuple[str, int]] = []

    class Model:
        def __init__(self, run: RunDirectory, search: SearchConfig) -> None:
            self.name, self.seconds, self.beam = (
                run.path.name,
                [10, 1.0 if search.beam_size > 1 else 0.5],
                search.beam_size,
            )

        def translate(self, lines: list[str]) -> None:
            clock[0] += self.seconds.pop(0)
            made.append((self.name, self.beam))

    monkeypatch.setattr(question_speed, "load_translator", lambda run, which, search, device: (Model(run, search), 9))
    monkeypatch.setattr(question_speed.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(question_speed, "provenance", lambda overrides: origin())
    before = answer_questions(tmp_path, measure=True)
    assert made == []
    assert "not measured yet" in before
    answer_questions(tmp_path)
    page = answer_questions(tmp_path, measure=True)
    assert len(trainer.made) == 12
    assert [beam for _, beam in made[::2]] == [5, 5, 5, 5, 1, 1]
    assert [line_of(page, label)[3] for label in ("LSTM", "GRU", "greedy")] == ["24", "24", "48"]
    assert "threads per training: 1, per translation: 1;" in page
    assert "; nothing is missing." in page
    assert answer_questions(tmp_path, measure=True) == page
    assert len(made) == 12


def test_a_table_of_runs_from_different_commits_has_a_warning(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    assert "The runs differ" not in answer_questions(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[2])
    run.add_start(origin() | {"commit": "0123456789+", "threads": 2})
    forget_measurements(tmp_path)
    page = answer_questions(tmp_path)
    assert "commit 0123456+, " in page
    assert "**The runs differ in commits and threads, which may explain a difference.**" in page


def test_a_training_of_more_than_four_core_minutes_is_listed(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    assert "core minutes**" not in answer_questions(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[3])
    run.add_start(origin() | {"threads": 2})
    run.add_facts(parameters=1, seconds=120, cpu_seconds=240, peak_memory_bytes=1)
    forget_measurements(tmp_path)
    assert "core minutes**" not in answer_questions(tmp_path)
    run.add_facts(parameters=1, seconds=123, cpu_seconds=246, peak_memory_bytes=1)
    forget_measurements(tmp_path)
    named = (
        answer_questions(tmp_path)
        .partition("**Trainings of more than 4 core minutes** (core minutes: settings):\n\n")[2]
        .split("\n\n")[0]
    )
    assert named == f"- 4.1: `{' '.join(trainings(tmp_path)[3].overrides)} seed=2`"


def test_missing_rows_are_marked_and_the_answer_is_withheld(trainer: Trainer, tmp_path: Path) -> None:
    claim = HOLDS | {"bleu": {"LSTM": 1, "GRU": 2}}
    write_question(tmp_path / "questions", "cells", GOOD, BAD, answer="The LSTM.", claim=claim)
    trainer.failing = [training.key for training in trainings(tmp_path)[3:]]
    with pytest.raises(UserError, match=r"^1 of the runs failed, first \S*_seed2: out of memory; .*the logs are in "):
        answer_questions(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert line_of(page, "GRU")[0] == "not measured yet (1 of 2 seeds)"
    assert line_of(page, "LSTM")[0] != "not measured yet"
    assert "3 of 4 trainings are done" in page
    assert "The LSTM." not in page
    assert "withheld, because some rows are not measured with all seeds: GRU (Words)." in page
    trainer.failing = [training.key for training in trainings(tmp_path)[:2]]
    for training in trainings(tmp_path)[:2]:
        Runs(tmp_path / "runs").run(training).record_path.unlink()
    forget_measurements(tmp_path)
    with pytest.raises(UserError, match=r"^2 of the runs failed"):
        answer_questions(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert line_of(page, "GRU")[0].startswith("not measured yet")  # the first row is missing


def test_a_table_with_a_missing_row_has_scores_but_no_tests(trainer: Trainer, tmp_path: Path) -> None:
    """p is corrected for the number of rows, so that it would be too small while some are missing."""
    rnn = {"label": "RNN", "overrides": ["model/encoder=rnn"]}
    write_question(tmp_path / "questions", "cells", GOOD, BAD, rnn)
    trainer.failing = [training.key for training in trainings(tmp_path)[4:]]
    with pytest.raises(UserError, match=r"^2 of the runs failed"):
        answer_questions(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text()
    scores = line_of(page, "GRU", "BLEU")
    assert "±" in scores[0]
    assert "[" in scores[1]
    assert scores[2:] == [""] * 5
    assert "best" not in line_of(page, "LSTM")[0] + line_of(page, "GRU")[0]
    trainer.failing = []
    page = answer_questions(tmp_path)
    assert line_of(page, "GRU", "BLEU")[5] in ("better", "worse", "undecided")
    assert "best" in line_of(page, "LSTM")[0] + line_of(page, "GRU")[0] + line_of(page, "RNN")[0]


@pytest.mark.parametrize(
    ("claim", "complaint"),
    [
        (HOLDS, ""),
        (HOLDS | {"best": "GRU"}, "the best row on the validation set was GRU and is now LSTM"),
        (HOLDS | {"best": None}, "the best row on the validation set was not measured and is now LSTM"),
        (HOLDS | {"verdicts": {"GRU": "undecided"}}, "GRU was undecided and is now worse"),
        (HOLDS | {"verdicts": {"GRU": "better"}}, "GRU was better and is now worse"),
    ],
)
def test_an_answer_is_shown_as_long_as_it_holds(
    trainer: Trainer, tmp_path: Path, capsys: Any, claim: dict[str, Any], complaint: str
) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    assert "no answer is written yet" in answer_questions(tmp_path)
    printed = capsys.readouterr().out.split("claim: ")[1].strip()
    measured = json.loads(printed)
    assert {key: measured[key] for key in HOLDS} == HOLDS
    figures = {"bleu": measured["bleu"]}
    write_question(tmp_path / "questions", "cells", GOOD, BAD, answer="The LSTM.", claim=claim | figures)
    if complaint:
        with pytest.raises(UserError, match=r"^the answers of cells contradict the measurements"):
            answer_questions(tmp_path)
        page = (tmp_path / "docs" / "page.md").read_text()
        assert f"withheld, because the written answer no longer holds**: {complaint}." in page
        assert "The LSTM." not in page
        assert printed in capsys.readouterr().out
        return
    page = answer_questions(tmp_path)
    assert "Answer: **The LSTM.**\n" in page
    other = {"bleu": {"LSTM": measured["bleu"]["LSTM"], "GRU": 99.0}}
    write_question(tmp_path / "questions", "cells", GOOD, BAD, answer="The LSTM.", claim=claim | other)
    gru = measured["bleu"]["GRU"]
    with pytest.raises(UserError, match=r"^the answers of cells contradict the measurements"):
        answer_questions(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert (
        f"withheld, because the written answer no longer holds**: BLEU of GRU was 99.00 and is now {gru:.2f}." in page
    )


def row_of(bleu: ScoreCell, valid: float) -> MeasuredRow:
    return MeasuredRow([1], {"bleu": bleu}, {}, [], ScoreCell(valid, 0.1))


def test_the_best_row_is_chosen_by_the_validation_set_and_not_by_the_test_set() -> None:
    rows = {
        "first": row_of(ScoreCell(20.0, 0.1), 25.0),
        "tuned": row_of(ScoreCell(21.0, 0.1, verdict=ComparisonVerdict.undecided), 27.0),
        "lucky": row_of(ScoreCell(30.0, 0.1, verdict=ComparisonVerdict.better), 26.0),
    }
    claim = claim_of(MeasuredTable(rows, {}, 9, [], []))
    assert claim == Claim("tuned", {"tuned": "undecided", "lucky": "better"}, {"first": 20, "tuned": 21, "lucky": 30})
    assert contradictions(claim, MeasuredTable(rows, {}, 9, [], [])) == []
    assert contradictions(replace(claim, best="lucky"), MeasuredTable(rows, {}, 9, [], [])) == [
        "the best row on the validation set was lucky and is now tuned"
    ]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("better", "Same direction here (GRU 31.2, LSTM 30.0)."),
        ("undecided", "Undecided here (GRU 31.2, LSTM 30.0; detectable difference 2.4)."),
    ],
)
def test_a_finding_without_a_shown_difference_is_undecided(verdict: str, expected: str) -> None:
    cell = ScoreCell(31.2, 0.1, None, 0.1, 0.1, 3, 0.2, 2.4, ComparisonVerdict(verdict))
    measured = MeasuredTable({"LSTM": row_of(ScoreCell(30.0, 0.1), 30), "GRU": row_of(cell, 31)}, {}, 9, [], [])
    literature = Literature("A paper found GRUs better", "GRU", "LSTM")
    assert literature_verdict(literature, measured) == expected


def test_changed_scores_are_compared_again(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    before = line_of(answer_questions(tmp_path), "GRU", "BLEU")
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[2])
    write_scores(run, run.text("test")[1], 1)
    assert line_of(answer_questions(tmp_path), "GRU", "BLEU") == before
    forget_measurements(tmp_path)
    assert line_of(answer_questions(tmp_path), "GRU", "BLEU") != before


def test_a_test_set_that_was_translated_by_another_search_is_translated_again(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    page = answer_questions(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[2])
    path = run.path / "scores" / "test.json"
    record = json.loads(path.read_text())
    record["made_by"]["search"]["beam_size"] = 50
    path.write_text(json.dumps(record))
    forget_measurements(tmp_path)
    assert line_of(answer_questions(tmp_path, jobs=0), "GRU")[0] == "not measured yet (1 of 2 seeds)"
    assert line_of(answer_questions(tmp_path), "GRU") == line_of(page, "GRU")
    assert trainer.made[8:] == [f"{trainings(tmp_path)[2].key}.test"]


def test_folders_can_have_any_name_that_can_be_quoted(trainer: Trainer, tmp_path: Path) -> None:
    folder = tmp_path / "a, (b) [c]={d}: ~e f"
    folder.mkdir()
    write_question(folder / "questions", "cells", GOOD, GREEDY)
    trainer.folder = folder
    assert "2 of 2 trainings are done, in 0.1 core hours; 0 of 2 trainings, 0 of 6 translations" in answer_questions(
        folder
    )
    training = trainings(folder)[0]
    data = replace(training.config.data, phrasebook=None, download=DownloadConfig("https://example.org"))
    fetched = replace(training, config=replace(training.config, data=data))
    words = training_job(fetched, Runs(folder), 1, "{x, y}").command[3:]
    assert ("data.mirror", "{x, y}") in parse_overrides(words).items()
    for name in ("it's", "a\\b", "${HOME}"):
        with pytest.raises(UserError, match=r"has one of \$ ' \\ in its name; choose another$"):
            training_job(training, Runs(folder / name), 1, None)


def test_only_one_process_trains_in_a_folder(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    with Runs(tmp_path / "runs").locked():
        for settings in ({}, {"measure": True}):
            with pytest.raises(UserError, match=r"runs is in use by another process; wait for it, or stop it$"):
                answer_questions(tmp_path, **settings)
        answer_questions(tmp_path, dry=True)
        assert "0 of 4 trainings are done" in answer_questions(tmp_path, jobs=0)
    assert trainer.made == []
    assert "4 of 4 trainings are done" in answer_questions(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [(5, "has 5 lines for"), (SENTENCES, "has bleu 0.00, but 100.00 was recorded")],
)
def test_damaged_translations_of_another_search_are_named(
    trainer: Trainer, tmp_path: Path, lines: int, message: str
) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, GREEDY)
    answer_questions(tmp_path)
    (greedy, *_) = sorted((tmp_path / "runs").glob("*/scores/test.*.hyp"))
    greedy.write_text("x\n" * lines, encoding="utf-8")
    forget_measurements(tmp_path)
    with pytest.raises(
        UserError, match=f"^{re.escape(str(greedy))} {message}.* name={greedy.stem}, with the same search$"
    ):
        answer_questions(tmp_path)


def test_only_the_chosen_question_is_trained(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "questions", "cells", GOOD, BAD)
    write_question(tmp_path / "questions", "other", BAD, {"label": "RNN", "overrides": ["model/encoder=rnn"]})
    page = answer_questions(tmp_path, question="cells")
    assert len(trainer.made) == 8
    assert line_of(page, "RNN")[0] == "not measured yet"
    with pytest.raises(UserError, match=r"question=cell is not in .*; there are: cells, other"):
        answer_questions(tmp_path, question="cell")


def test_a_row_that_does_not_compose_is_refused_by_name(trainer: Trainer, tmp_path: Path) -> None:
    write_question(
        tmp_path / "questions", "cells", GOOD, {"label": "typing error", "overrides": ["model.encoder.cel=gru"]}
    )
    with pytest.raises(
        UserError, match=r"cells.yaml, row 'typing error': unknown configuration key model.encoder.cel; did you"
    ):
        answer_questions(tmp_path)
