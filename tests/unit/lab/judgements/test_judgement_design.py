"""Design of a campaign: blind and balanced sheets, checks, and the files that hold them."""

import csv
import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest
from simulated_raters import SIZES, toy_design

from nmt.errors import UserError
from nmt.lab.judgements.design import Design, Sizes, damage, make_design, shown_texts
from nmt.lab.judgements.export import write_campaign
from nmt.lab.judgements.key_file import read_key


@pytest.mark.parametrize("kind", ["da", "esa", "pairwise"])
def test_each_sentence_has_its_number_of_raters_and_each_rater_judges_all_systems(kind: str) -> None:
    design = toy_design(kind, (0.2, 0.9, 0.5), Sizes(21, 4, 3, 2, 2))
    raters = Counter()
    for sheet in design.sheets:
        judged = [item for item in sheet if not item.check]
        for segment in {item.segment for item in judged}:
            raters[segment] += 1
            shown = [side for item in judged if item.segment == segment for side in item.shown]
            texts = set(design.segments[segment].translations)
            if kind != "pairwise" or len(texts) > 1:
                assert {system for side in shown for system in side.systems} == {0, 1, 2}
                assert {side.text for side in shown} == texts
    expected = {at for at, one in enumerate(design.segments) if shown_texts(kind, one.translations)}
    assert dict(raters) == dict.fromkeys(expected, 3)


@pytest.mark.parametrize("kind", ["da", "pairwise"])
def test_checks_refer_to_items_of_the_same_sheet_in_the_other_half(kind: str) -> None:
    design = toy_design(kind)
    for sheet in design.sheets:
        places = {item.id: at for at, item in enumerate(sheet)}
        checks = Counter(item.check for item in sheet)
        assert (checks["repeat"], checks["damaged"]) == (SIZES.repeats, SIZES.damaged)
        for item in sheet:
            if item.check:
                original = sheet[places[item.original]]
                assert original.segment == item.segment
                assert not original.check
                low, high = sorted((places[item.id], places[item.original]))
                assert low < (len(sheet) - SIZES.repeats - SIZES.damaged + 1) // 2 <= high
            if item.check == "repeat":
                assert [side.text for side in item.shown] == [side.text for side in original.shown][::-1]
            if item.check == "damaged":
                broken = next(side for side in item.shown if side.damaged)
                assert broken.text not in {side.text for side in original.shown}


def test_the_seed_decides_and_another_seed_changes_the_order() -> None:
    assert toy_design(seed=3) == toy_design(seed=3)
    assert toy_design(seed=3) != toy_design(seed=4)


def test_equal_translations_are_judged_once() -> None:
    texts = shown_texts("da", ["a", "b", "a"])
    assert [[(side.text, side.systems) for side in shown] for shown in texts] == [[("a", [0, 2])], [("b", [1])]]
    assert len(shown_texts("pairwise", ["a", "b", "a"])) == 1
    assert shown_texts("pairwise", ["a", "a"]) == []


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 15, 20, 40])
def test_damage_changes_consecutive_words_of_the_translation(length: int) -> None:
    words = [f"w{number}" for number in range(length)]
    broken = damage(" ".join(words), ["x1 x2 x3 x4 x5 x6 x7 x8 x9 x10"], Random(1)).split()
    assert broken != words
    kept = [word for word in broken if word in words]
    limits = {1: 1, 2: 1, 3: 1, 5: 2, 8: 3, 15: 4, 20: 5, 40: 10}
    assert len(words) - len(kept) == limits[length]
    if length >= 5:
        assert (broken[0], broken[-1]) == (words[0], words[-1])


@pytest.mark.parametrize(
    ("sizes", "word"),
    [(Sizes(61, 2, 2, 1, 1), "sentences=61"), (Sizes(4, 2, 1, 5, 5), "too few")],
)
def test_a_design_that_cannot_be_made_is_refused(sizes: Sizes, word: str) -> None:
    with pytest.raises(UserError, match=word):
        toy_design(sizes=sizes)


def test_systems_without_a_difference_are_refused() -> None:
    with pytest.raises(UserError, match="equally"):
        toy_design("pairwise", (0.0, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "campaign"


@pytest.mark.parametrize("kind", ["da", "esa", "pairwise"])
def test_no_file_for_the_raters_names_a_system_or_a_check(kind: str, folder: Path) -> None:
    design = toy_design(kind)
    key, *paths = write_campaign(design, folder)
    assert key.name == "key.json"
    assert len(paths) == 5
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"system\d|damaged|repeat\b|\"check\"|original", text), path


def test_the_key_file_holds_the_design(folder: Path) -> None:
    design = toy_design("pairwise")
    write_campaign(design, folder)
    assert read_key(folder) == design


@pytest.mark.parametrize("damaged_content", ["{}", "[", '{"version": 1, "kind": "da"}', '{"version": 2}', "[1]"])
def test_a_damaged_key_is_refused(damaged_content: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(damaged_content)
    with pytest.raises(UserError, match="is damaged"):
        read_key(tmp_path)


def test_a_key_with_numbers_out_of_range_is_refused(folder: Path) -> None:
    design = toy_design()
    write_campaign(design, folder)
    content = {"version": 1, **asdict(design)}
    content["sheets"][0][0]["segment"] = 99
    (folder / "key.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is damaged"):
        read_key(folder)
    with pytest.raises(UserError, match="no key"):
        read_key(folder.parent)


def formula_design(text: str) -> Design:
    systems = toy_design().systems
    from nmt.lab.judgements.design import JudgedSystem

    lines = [f"{text} {number}" for number in range(4)]
    judged = [JudgedSystem(systems[0], "a", lines)]
    return make_design("da", "toy", lines, lines, judged, Sizes(4, 1, 1, 0, 0), 1)


def test_a_sheet_has_no_cell_that_a_spreadsheet_takes_for_a_formula(folder: Path) -> None:
    write_campaign(formula_design("=1+1"), folder)
    with (folder / "sheets" / "rater1.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[1][:2] for row in rows[1:]] == ["'="] * 4


def test_a_form_cannot_be_left_by_its_texts(folder: Path) -> None:
    write_campaign(formula_design("</script><script>alert(1)</script>{{title}}"), folder)
    page = (folder / "forms" / "rater1.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["items"][0]["src"].startswith("</script><script>alert(1)</script>{{title}}")
    assert not re.search(r"(src|href)=[\"']https?:", page)
