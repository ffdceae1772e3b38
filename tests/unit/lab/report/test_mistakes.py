"""Tests of the error kinds on edited translations, and of coverage against a loop over pieces and words."""

from collections.abc import Callable

import numpy as np
import pytest

from nmt.decoding import AttentionMap
from nmt.lab.report import mistakes
from nmt.lab.report.mistakes import KINDS, JudgedTranslation, coverage

GOOD = JudgedTranslation(
    "On Monday Anna Weber gave the driver 1,250 euros in Berlin.",
    "Am Montag gab Anna Weber dem Fahrer in Berlin 1.250 Euro.",
    "Anna Weber hat dem Fahrer am Montag in Berlin 1.250 Euro gegeben.",
    np.full(11, 1.0),
    np.full(11, 1.0),
)


def find_errors(**changes: object) -> dict[str, str]:
    """Return the description of each error that is found in the good translation after some changes."""
    pair = JudgedTranslation(**{**vars(GOOD), **changes})  # type: ignore[arg-type]
    return {kind.name: error for kind in KINDS if (error := kind.find(pair))}


def test_a_good_translation_has_no_error_either_way_round() -> None:
    assert find_errors() == {}
    assert find_errors(text=GOOD.other, other=GOOD.text) == {}
    assert find_errors(text=GOOD.other) == {}


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Am Montag gab Anna Weber in Berlin 1.250.", {"too short"}),
        ("", {"too short", "number lost", "name lost"}),
        (GOOD.text + " Das ist aber wirklich sehr nett gewesen.", {"too long"}),
        (GOOD.text.replace("dem Fahrer", "dem dem Fahrer"), {"repetition"}),
        (GOOD.text.replace("dem Fahrer", "dem Fahrer dem Fahrer"), {"repetition"}),
        ("Anna Weber in Berlin, Anna Weber in Hof, 1.250 Euro am Montag.", {"repetition"}),
        ("On Monday gave the driver Anna Weber in Berlin 1250 Euro.", {"copied source"}),
        (GOOD.text.replace("1.250", "1.205"), {"number lost"}),
        (GOOD.text.replace("1.250", "1 250"), {"number lost"}),
        (GOOD.text.replace("Weber", "Becker"), {"name lost"}),
    ],
)
def test_a_kind_of_error_is_found(text: str, kinds: set[str]) -> None:
    assert set(find_errors(text=text)) == kinds


def test_the_description_names_the_words() -> None:
    assert find_errors(text=GOOD.text.replace("in Berlin 1.250", "in Bonn 1250")) == {"name lost": "Berlin"}
    assert find_errors(text=GOOD.text.replace("1.250", "2")) == {"number lost": "1250"}
    twice = find_errors(text=GOOD.text.replace("Fahrer", "Fahrer dem Fahrer"))
    assert twice == {"repetition": "dem fahrer"}


def test_the_other_translation_may_repeat_and_keep_words_of_the_source_too() -> None:
    said = "Das, das ist sehr sehr gut."
    assert (
        find_errors(src="That is very, very good.", text=said, other=said.replace("gut", "schön"), coverage=None) == {}
    )
    names = "Peter Schmidt, Anna Weber"
    assert find_errors(src=names, text=names, other=f"{names}.", coverage=None) == {}


@pytest.mark.parametrize(("inside", "beyond", "name"), [(70, 69, "too short"), (140, 141, "too long")])
def test_lengths_are_judged_at_their_thresholds(inside: int, beyond: int, name: str) -> None:
    """The reference has 100 characters. White space is not counted."""
    for spaces in ("", "   "):
        assert name not in find_errors(src="a", text="x" * inside + spaces, other="x" * 100, coverage=None)
        assert name in find_errors(src="a", text="x" * beyond + spaces, other="x" * 100, coverage=None)
    assert find_errors(src="a", text="x", other="x" * 10, coverage=None) == {}, "nine characters are no error"


def test_coverage_is_compared_with_the_coverage_by_the_reference() -> None:
    own, other = np.full(11, 0.5), np.full(11, 0.9)
    own[[2, 3]] = 0.1
    assert find_errors(coverage=own, other_coverage=other) == {"under-translation": "Anna Weber"}
    assert find_errors(coverage=own, other_coverage=np.minimum(other, own + 0.1)) == {}
    own[3] = 0.3
    assert find_errors(coverage=own, other_coverage=other) == {}, "one word alone is not enough"
    own[6] = 2.95
    assert find_errors(coverage=own, other_coverage=other) == {"over-translation": "driver"}
    own[6] = 2.85
    assert find_errors(coverage=own, other_coverage=other) == {}


def test_kinds_by_attention_find_nothing_without_coverage() -> None:
    by_attention = [kind for kind in KINDS if kind.by_attention]
    assert {kind.name for kind in by_attention} == {"under-translation", "over-translation"}
    for kind in by_attention:
        assert kind.find(JudgedTranslation("a b c", "", "x y z", None, np.ones(3))) == ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_any_text_can_be_checked(kind: mistakes.ErrorKind) -> None:
    lines = ["", " ", "…", "1", "a\u2028b", "漢字", "$%& |", "A A A A A A A"]
    find: Callable[[JudgedTranslation], str] = kind.find
    for src in lines:
        nothing = np.zeros(len(src.split()))
        assert all(
            isinstance(find(JudgedTranslation(src, a, b, nothing, nothing + 3)), str) for a in lines for b in lines
        )


def test_coverage_distributes_the_attention_of_each_target_word() -> None:
    src = ["▁the", "▁rail", "way", "▁station", ".", "</s>"]
    tgt = ["▁der", "▁Bahn", "hof", ".", "</s>"]
    weights = np.random.default_rng(1).dirichlet(np.ones(6), size=5)
    words, pieces = [[0], [1, 2], [3, 4]], [[0], [1, 2, 3]]  # columns of each source word, rows of each target word
    expected = [
        sum(sum(weights[row, column] for row in rows for column in columns) / len(rows) for rows in pieces)
        for columns in words
    ]
    read = coverage("the  railway station.", AttentionMap(src, tgt, weights.tolist()))
    assert read == pytest.approx(expected)
    assert read.sum() < 2


@pytest.mark.parametrize(("line", "words"), [("", 0), ("▁", 1)])
def test_a_line_without_words_has_no_coverage(line: str, words: int) -> None:
    read = coverage(line, AttentionMap(["</s>"], ["▁x", "</s>"], [[1.0], [1.0]]))
    assert read.tolist() == [0.0] * words
