"""Answers that raters return, and the checks of the raters."""

import json
from pathlib import Path

import pytest
from simulated_raters import SimulatedRater, fill_sheet, toy_design

from nmt.errors import UserError
from nmt.lab.judgements.answers import (
    EQUAL,
    FIRST,
    SECOND,
    ErrorSpan,
    Rating,
    one_per_item,
    read_ratings,
    read_sheet,
    write_ratings,
)
from nmt.lab.judgements.checks import CheckLimits, check_raters, sign_test
from nmt.lab.judgements.export import write_campaign
from nmt.lab.judgements.pearmut import read_annotations

LIMITS = CheckLimits(0.75, 20)


@pytest.mark.parametrize("kind", ["da", "esa", "pairwise"])
def test_a_filled_sheet_is_read_as_it_was_filled(kind: str, tmp_path: Path) -> None:
    design = toy_design(kind)
    write_campaign(design, tmp_path / "c")
    fill_sheet(tmp_path / "c/sheets/rater1.csv", design, SimulatedRater("anna", 1), tmp_path / "anna.csv")
    ratings = read_sheet(tmp_path / "anna.csv", design)
    expected = SimulatedRater("anna", 1).answers(design, design.sheets[0])
    assert [(one.rater, one.item, one.answer, one.errors) for one in ratings] == [
        (one.rater, one.item, one.answer, one.errors) for one in expected
    ]
    write_ratings(ratings, tmp_path)
    assert read_ratings(tmp_path, design) == ratings
    with pytest.raises(UserError, match="exists already"):
        write_ratings(ratings, tmp_path)


def test_semicolons_decimal_commas_and_rows_without_answer_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ben.csv"
    path.write_text("\ufeffItem;Source;Score\r\n1-001;a, b;72,5\r\n1-002;b;\r\n;;\r\n", encoding="utf-8")
    assert read_sheet(path, toy_design()) == [Rating("ben", "1-001", 72.5)]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("da", "item,score\n1-001,101\n", "line 2: score is '101'; write a number from 0 to 100"),
        ("da", "item,score\n1-001,good\n", "line 2: score is 'good'"),
        ("da", "item,score\n9-001,50\n", "line 2: item '9-001' is not in the campaign"),
        ("da", "item,points\n1-001,50\n", "line 1: there is no column score"),
        ("da", "", "is empty"),
        ("pairwise", "item,better\n1-001,maybe\n", "line 2: better is 'maybe'; write first, second or equal"),
        ("esa", "item,errors,score\n1-001,bad: word,50\n", "line 2: errors has 'bad: word'"),
    ],
)
def test_a_wrong_sheet_is_refused(kind: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_sheet(path, toy_design(kind))
    assert message in str(caught.value)


def test_error_spans_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("item,errors,score\n1-001,Minor: das Haus | major@12:geht | major: [missing],50\n")
    (rating,) = read_sheet(path, toy_design("esa"))
    assert rating.errors == [
        ErrorSpan("minor", "das Haus"),
        ErrorSpan("major", "geht", 12),
        ErrorSpan("major", "[missing]"),
    ]


def test_two_answers_to_an_item_are_refused() -> None:
    twice = [Rating("anna", "1-001", 5), Rating("anna", "1-001", 6)]
    with pytest.raises(UserError, match="answers item 1-001 twice"):
        one_per_item(twice, "a.csv")
    assert len(one_per_item([twice[0], Rating("ben", "1-001", 6)], "a.csv")) == 2


@pytest.mark.parametrize("line", ["anna,1-001,x,,", "anna,9-999,5,,", "anna,1-001,500,,", "anna"])
def test_damaged_ratings_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(f"rater,item,answer,errors,seconds\n{line}\n")
    with pytest.raises(UserError, match="line 2 is damaged"):
        read_ratings(tmp_path, toy_design())


@pytest.mark.parametrize("kind", ["da", "pairwise"])
def test_an_attentive_rater_passes_and_a_random_one_fails(kind: str) -> None:
    design = toy_design(kind)
    attentive = SimulatedRater("anna", 1, noise=1).answers(design, design.sheets[0])
    random = SimulatedRater("ben", 2, scale=0, bias=50, noise=60).answers(design, design.sheets[1])
    anna, ben = check_raters(attentive + random, design, LIMITS)
    assert anna.failures == []
    assert (anna.damaged, anna.damaged_lower, anna.repeats) == (3, 3, 3)
    assert ben.failures


def test_checks_count_by_hand() -> None:
    design = toy_design()
    sheet = design.sheets[0]
    answers = {item.id: 50.0 for item in sheet}
    damaged = [item for item in sheet if item.check == "damaged"]
    repeats = [item for item in sheet if item.check == "repeat"]
    answers[damaged[0].id] = 40.0
    answers[repeats[0].id] = 80.0
    (check,) = check_raters([Rating("anna", item, value) for item, value in answers.items()], design, LIMITS)
    assert (check.damaged_lower, check.damaged) == (1, 3)
    assert check.repeat_difference == pytest.approx(10)
    assert check.failures == ["damaged items rated lower: 33%, below 75%"]
    assert check.damaged_p == pytest.approx(7 / 8)
    assert sign_test(5, 5) == pytest.approx(1 / 32)


def test_annotations_of_pearmut_are_read_with_the_last_answer(tmp_path: Path) -> None:
    design = toy_design("esa")
    text = design.items["1-002"].shown[0].text
    spans = [
        {"start_i": 0, "end_i": 3, "severity": "major", "category": None},
        {"start_i": len(text), "end_i": len(text), "severity": "minor", "category": None},
    ]

    def entry(rater: str, item: str, score: float | None, **more: object) -> dict[str, object]:
        shown = {"item_id": item, "tgt": {"first": "x"}}
        return {"user_id": rater, "item_i": 0, "item": [shown], "annotation": [{"first": {"score": score, **more}}]}

    log: list[dict[str, object]] = [
        entry("ben", "2-001", 9),
        entry("anna", "1-001", 9),
        {"user_id": "anna", "annotation": "__RESET__"},
        entry("anna", "1-002", 60),
        entry("anna", "1-002", 70, error_spans=spans),
        entry("anna", "1-003", None),
    ]
    expected = [
        Rating("ben", "2-001", 9),
        Rating("anna", "1-002", 70, [ErrorSpan("major", text[:4], 0), ErrorSpan("minor", "[missing]")]),
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in log))
    (tmp_path / "download.json").write_text(json.dumps({"campaign": log}))
    assert read_annotations(tmp_path / "log.jsonl", design) == expected
    assert read_annotations(tmp_path / "download.json", design) == expected


@pytest.mark.parametrize("text", ["{", "[1]", '[{"user_id": "a"}]', "5"])
def test_another_json_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(UserError, match="not a log of annotations"):
        read_annotations(tmp_path / "log.json", toy_design())


def test_side_by_side_ratings_become_comparisons(tmp_path: Path) -> None:
    design = toy_design("pairwise")
    log = [
        {
            "user_id": "anna",
            "item": [{"item_id": f"1-00{number}"}],
            "annotation": [{"first": {"score": first}, "second": {"score": second}}],
        }
        for number, (first, second) in enumerate([(9, 5), (5, 5), (1, 5)], 1)
    ]
    (tmp_path / "log.json").write_text(json.dumps({"c": log}))
    assert [one.answer for one in read_annotations(tmp_path / "log.json", design)] == [FIRST, EQUAL, SECOND]
