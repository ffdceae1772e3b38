"""Questions: nothing is trained twice, and the page says what was measured and nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from asked import (  # noqa: F401
    BAD,
    BY_BOTH,
    BY_OTHER,
    GOOD,
    GREEDY,
    HOLDS,
    Trainer,
    ask,
    few_trials,
    given_by,
    line_of,
    make_trainer,
    origin,
    quick,
    trainings,
    write_question,
)
from scored_run import SENTENCES, write_scores

from nmt.cli import questions
from nmt.cli.questioning import speed as question_speed
from nmt.cli.questioning.runs import Runs, training_job
from nmt.config import Claim, Literature, SearchConfig
from nmt.config.data import DownloadConfig
from nmt.errors import UserError
from nmt.lab.comparison.compare import Cell, ComparisonVerdict
from nmt.lab.plots import draw_question
from nmt.lab.questions import Measured
from nmt.lab.questions.measure import MeasuredRow, claim_of, contradictions, literature_verdict
from nmt.run import RunDirectory


def test_rows_of_one_configuration_are_trained_once(
    trainer: Trainer, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "available_cores", lambda: 2)
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    write_question(tmp_path / "asked", "spelt", {"label": "first", "overrides": ["model.cell=lstm"]}, BAD | GREEDY)
    assert ask(tmp_path, dry=True) == ""
    lines = capsys.readouterr().out.strip().split("\n")
    assert sum(" min " in line for line in lines) == 4
    missing = (
        "4 of 4 trainings, 8 of 8 translations and 6 of 6 measurements of speed are missing: about 0.1 hours on 2 cores"
    )
    assert lines[-1] == f"{missing}, translations estimated at 30 s of one core each"
    assert "0 of 4 trainings are done" in ask(tmp_path, jobs=0)
    assert trainer.made == []
    first = ask(tmp_path)
    assert len(trainer.made) == 12  # 4 trainings, 6 rows of the validation set, 2 searches of the test set
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 4
    assert "4 of 4 trainings are done, in 0.1 core hours; 0 of 4 trainings, 0 of 8 translations and 6 of 6" in first
    assert ask(tmp_path) == first
    assert len(trainer.made) == 12


def test_a_table_shows_what_the_runs_recorded(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "draw_question", draw_question)
    write_question(tmp_path / "asked", "cells", GOOD, BAD, GREEDY, by_length=True, literature=[BY_BOTH, BY_OTHER])
    page = ask(tmp_path)
    runs, found = Runs(tmp_path / "runs"), trainings(tmp_path)
    for label, group in (("LSTM", found[:2]), ("GRU", found[2:])):
        records = [json.loads((runs.run(each).path / "scores" / "test.json").read_text()) for each in group]
        valid = [json.loads((runs.run(each).path / "scores" / "valid.json").read_text()) for each in group]
        cells = line_of(page, label)
        assert cells[2].startswith(f"{mean(record['bleu']['score'] for record in valid):.2f} ± ")
        for name, cell in (("bleu", cells[3]), ("chrf", cells[4])):
            assert cell.startswith(f"{mean(record[name]['score'] for record in records):.2f} ± ")
        assert cells[5:] == ["1.00 M", "1.5", "-", "1.00 GiB"]
        assert all(f"`{records[0][name]['signature']}`" in page for name in ("bleu", "chrf"))
    assert line_of(page, "GRU")[1] == "model.cell=gru"
    assert re.search(r"<br>p \S+ \S+, corrected \S+<br>worse, detectable [0-9.]+$", line_of(page, "GRU")[3])
    assert line_of(page, "greedy")[1] == "search=greedy"
    assert line_of(page, "greedy")[3].startswith("100.00 ± 0.00")
    assert "| sentences |" in page
    assert "- A paper found the first better. The same direction here (LSTM " in page
    assert "- Another found the second better. **The opposite** direction here (GRU " in page
    assert origin()["commit"][:7] in page
    assert origin()["processor"] in page
    picture = tmp_path / "docs" / "pictures" / "questions" / "cells.png"
    assert "](pictures/questions/cells.png)" in page
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size < 200_000


def test_speed_is_measured_apart_for_each_row_by_its_search(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that needs a second for a beam of 5 and half of one for greedy search, the first time ten."""
    write_question(tmp_path / "asked", "cells", GOOD, BAD, GREEDY)
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
    before = ask(tmp_path, measure=True)
    assert made == []
    assert "not run yet" in before
    ask(tmp_path)
    page = ask(tmp_path, measure=True)
    assert len(trainer.made) == 12
    assert [beam for _, beam in made[::2]] == [5, 5, 5, 5, 1, 1]
    assert [line_of(page, label)[7] for label in ("LSTM", "GRU", "greedy")] == ["24", "24", "48"]
    assert "threads a training: 1, a translation: 1;" in page
    assert "; nothing is missing." in page
    assert ask(tmp_path, measure=True) == page
    assert len(made) == 12


def test_a_table_of_unlike_runs_says_so(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    assert "Not all runs have the same" not in ask(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[2])
    run.add_start(origin() | {"commit": "0123456789+", "threads": 2})
    page = ask(tmp_path)
    assert "commit 0123456+, " in page
    assert "**Not all runs have the same commits and threads: a difference may be from there.**" in page


def test_a_training_that_took_more_than_four_minutes_of_a_core_is_named(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    assert "minutes of a core**" not in ask(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[3])
    run.add_start(origin() | {"threads": 2})
    run.add_facts(parameters=1, seconds=120, peak_memory_bytes=1)  # of two threads: four minutes
    assert "minutes of a core**" not in ask(tmp_path)
    run.add_facts(parameters=1, seconds=123, peak_memory_bytes=1)
    named = ask(tmp_path).partition("**More than 4 minutes of a core** were taken by:\n\n")[2].split("\n\n")[0]
    assert named == f"- 4.1: `{' '.join(trainings(tmp_path)[3].overrides)} seed=2`"


def test_what_was_not_run_is_said_and_no_answer_stands_on_it(trainer: Trainer, tmp_path: Path) -> None:
    claim = HOLDS | {"bleu": {"LSTM": 1, "GRU": 2}}
    write_question(tmp_path / "asked", "cells", GOOD, BAD, answer="The LSTM.", claim=claim)
    trainer.failing = [each.key for each in trainings(tmp_path)[3:]]
    with pytest.raises(UserError, match=r"^1 of the runs failed, first \S*_seed2: out of memory; .*the logs are in "):
        ask(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert line_of(page, "GRU")[2] == "not run yet (1 of 2 seeds)"
    assert line_of(page, "LSTM")[2] != "not run yet"
    assert "3 of 4 trainings are done" in page
    assert "The LSTM." not in page
    assert "withheld, not all of it has been run" in page
    trainer.failing = [each.key for each in trainings(tmp_path)[:2]]
    for each in trainings(tmp_path)[:2]:
        Runs(tmp_path / "runs").run(each).record_path.unlink()
    with pytest.raises(UserError, match=r"^2 of the runs failed"):
        ask(tmp_path)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert line_of(page, "GRU")[2].startswith("not run yet")  # there is nothing to test it against


@pytest.mark.parametrize(
    ("claim", "complaint"),
    [
        (HOLDS, ""),
        (HOLDS | {"best": "GRU"}, "the best row on the validation set was GRU, and is LSTM"),
        (HOLDS | {"best": None}, "the best row on the validation set was not known, and is LSTM"),
        (HOLDS | {"verdicts": {"GRU": "undecided"}}, "GRU was undecided, and is worse"),
        (HOLDS | {"verdicts": {"GRU": "better"}}, "GRU was better, and is worse"),
    ],
)
def test_an_answer_is_shown_as_long_as_it_holds(
    trainer: Trainer, tmp_path: Path, capsys: Any, claim: dict[str, Any], complaint: str
) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    assert "no answer is written yet" in ask(tmp_path)
    printed = capsys.readouterr().out.split("claim: ")[1].strip()
    measured = json.loads(printed)
    assert {key: measured[key] for key in HOLDS} == HOLDS
    figures = {"bleu": measured["bleu"]}
    write_question(tmp_path / "asked", "cells", GOOD, BAD, answer="The LSTM.", claim=claim | figures)
    if complaint:
        with pytest.raises(UserError, match=r"^the answers of cells contradict the measurements"):
            ask(tmp_path)
        page = (tmp_path / "docs" / "page.md").read_text()
        assert f"no longer holds and is withheld**: {complaint}." in page
        assert "The LSTM." not in page
        assert printed in capsys.readouterr().out
        return
    page = ask(tmp_path)
    assert "Answer: **The LSTM.**\n" in page
    other = {"bleu": {"LSTM": measured["bleu"]["LSTM"], "GRU": 99.0}}
    write_question(tmp_path / "asked", "cells", GOOD, BAD, answer="The LSTM.", claim=claim | other)
    gru = measured["bleu"]["GRU"]
    assert f"**The LSTM.** (Written from other figures: GRU 99.00, now {gru:.2f}.)\n" in ask(tmp_path)


def row_of(bleu: Cell, valid: float) -> MeasuredRow:
    return MeasuredRow([1], {"bleu": bleu}, {}, [], Cell(valid, 0.1))


def test_the_best_row_is_chosen_by_the_validation_set_and_not_by_the_test_set() -> None:
    rows = {
        "first": row_of(Cell(20.0, 0.1), 25.0),
        "tuned": row_of(Cell(21.0, 0.1, verdict=ComparisonVerdict.undecided), 27.0),
        "lucky": row_of(Cell(30.0, 0.1, verdict=ComparisonVerdict.better), 26.0),
    }
    claim = claim_of(Measured(rows, {}, 9, [], []))
    assert claim == Claim("tuned", {"tuned": "undecided", "lucky": "better"}, {"first": 20, "tuned": 21, "lucky": 30})
    assert contradictions(claim, Measured(rows, {}, 9, [], [])) == []
    assert contradictions(replace(claim, best="lucky"), Measured(rows, {}, 9, [], [])) == [
        "the best row on the validation set was lucky, and is tuned"
    ]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("better", "The same direction here (GRU 31.2, LSTM 30.0)."),
        ("undecided", "Undecided here (GRU 31.2, LSTM 30.0; a difference of 2.4 could have been shown)."),
    ],
)
def test_a_finding_that_is_not_told_apart_is_undecided_and_not_equal(verdict: str, expected: str) -> None:
    cell = Cell(31.2, 0.1, None, 0.1, 0.1, 3, 0.2, 2.4, ComparisonVerdict(verdict))
    measured = Measured({"LSTM": row_of(Cell(30.0, 0.1), 30), "GRU": row_of(cell, 31)}, {}, 9, [], [])
    literature = Literature("A paper found GRUs better", "GRU", "LSTM")
    assert literature_verdict(literature, measured) == expected


def test_scores_that_change_are_compared_anew(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    before = line_of(ask(tmp_path), "GRU")
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[2])
    write_scores(run, run.text("test")[1], 1)
    assert line_of(ask(tmp_path), "GRU")[3] != before[3]


def test_a_test_set_that_was_translated_by_another_search_is_translated_anew(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    page = ask(tmp_path)
    run = Runs(tmp_path / "runs").run(trainings(tmp_path)[2])
    path = run.path / "scores" / "test.json"
    record = json.loads(path.read_text())
    record["made_by"]["search"]["beam_size"] = 50
    path.write_text(json.dumps(record))
    assert line_of(ask(tmp_path, jobs=0), "GRU")[2] == "not run yet (1 of 2 seeds)"
    assert line_of(ask(tmp_path), "GRU") == line_of(page, "GRU")
    assert trainer.made[8:] == [f"{trainings(tmp_path)[2].key}.test"]


def test_folders_may_have_any_name_that_can_be_quoted(trainer: Trainer, tmp_path: Path) -> None:
    folder = tmp_path / "a, (b) [c]={d}: ~e f"
    folder.mkdir()
    write_question(folder / "asked", "cells", GOOD, GREEDY)
    trainer.folder = folder
    assert "2 of 2 trainings are done, in 0.1 core hours; 0 of 2 trainings, 0 of 6 translations" in ask(folder)
    training = trainings(folder)[0]
    data = replace(training.config.data, phrasebook=None, download=DownloadConfig("https://example.org"))
    fetched = replace(training, config=replace(training.config, data=data))
    words = training_job(fetched, Runs(folder), 1, "{x, y}").command[3:]
    assert ("data.mirror", "{x, y}") in given_by(words).items()
    for name in ("it's", "a\\b", "${HOME}"):
        with pytest.raises(UserError, match=r"has one of \$ ' \\ in its name; choose another$"):
            training_job(training, Runs(folder / name), 1, None)


def test_a_folder_is_trained_in_by_one_process(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    with Runs(tmp_path / "runs").locked():
        for settings in ({}, {"measure": True}):
            with pytest.raises(UserError, match=r"runs is in use by another process; wait for it, or stop it$"):
                ask(tmp_path, **settings)
        ask(tmp_path, dry=True)
        assert "0 of 4 trainings are done" in ask(tmp_path, jobs=0)
    assert trainer.made == []
    assert "4 of 4 trainings are done" in ask(tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [(5, "has 5 lines for"), (SENTENCES, "has bleu 0.00, and 100.00 was recorded")],
)
def test_damaged_translations_of_another_search_are_named(
    trainer: Trainer, tmp_path: Path, lines: int, said: str
) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, GREEDY)
    ask(tmp_path)
    (greedy, *_) = sorted((tmp_path / "runs").glob("*/scores/test.*.hyp"))
    greedy.write_text("x\n" * lines, encoding="utf-8")
    with pytest.raises(UserError, match=f"^{re.escape(str(greedy))} {said}.* name={greedy.stem}, and the same search$"):
        ask(tmp_path)


def test_only_the_question_that_is_asked_is_trained_for(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, BAD)
    write_question(tmp_path / "asked", "other", BAD, {"label": "RNN", "overrides": ["model.cell=rnn"]})
    page = ask(tmp_path, question="cells")
    assert len(trainer.made) == 8
    assert line_of(page, "RNN")[2] == "not run yet"
    with pytest.raises(UserError, match=r"question=cell is not in .*; there are: cells, other"):
        ask(tmp_path, question="cell")


def test_a_row_that_does_not_compose_is_refused_by_name(trainer: Trainer, tmp_path: Path) -> None:
    write_question(tmp_path / "asked", "cells", GOOD, {"label": "typing error", "overrides": ["model.cel=gru"]})
    with pytest.raises(
        UserError, match=r"cells.yaml, row 'typing error': unknown configuration key model.cel; did you"
    ):
        ask(tmp_path)
