"""Cleaning: each reason is tested with pairs at the limit of its rule."""

import itertools
import json
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.data import CleaningConfig
from nmt.data.preprocessing.cleaning import (
    EXAMPLES,
    CleaningReport,
    Reason,
    clean,
    digests,
    loose,
    normalise,
    pair_digest,
)

Pair = tuple[str, str]

HOUSE = ("the house", "das Haus")
GARDEN = ("the garden", "der Garten")

# Few letters and low limits, so that every reason occurs; spaces, accents and control characters to normalise.
ANY_TEXT = st.text("ab \t\n\u00a0\u200b\u200d\x00e\u0301\u00e9\ufeff", max_size=12) | st.text(max_size=12)
DEFAULT = CleaningConfig()
SHORT = CleaningConfig(max_words=3, max_characters=9, max_ratio=1.3)


def run(
    pairs: list[Pair], config: CleaningConfig = DEFAULT, held_out: Sequence[Pair] = ()
) -> tuple[list[Pair], CleaningReport]:
    report = CleaningReport()
    kept = list(clean(pairs, config, digests(held_out), report))
    return kept, report


def reason_of(pair: Pair, config: CleaningConfig = DEFAULT, held_out: Sequence[Pair] = ()) -> str | None:
    """Return the reason for dropping a single pair, or None."""
    kept, report = run([pair], config, held_out)
    counted = [reason for reason, count in report.dropped.items() if count]
    assert len(counted) + len(kept) == 1
    return counted[0] if counted else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the house", "the house"),
        ("  the \t  house \r", "the house"),
        ("the\u00a0\u202fhouse\u3000", "the house"),
        ("the\x00house\x1b[0m\x7f\x85!", "the house [0m !"),
        ("the\u2028house\x0cnow", "the house now"),
        ("cafe\u0301", "caf\u00e9"),
        ("e\u200b\u0301", "\u00e9"),
        ("\ufeffthe ho\u200buse\u2060", "the house"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f469\u200d\U0001f33e", "\U0001f469\u200d\U0001f33e"),
        ("\u2026 \ufb01 \uff21 \u201eja\u201c", "\u2026 \ufb01 \uff21 \u201eja\u201c"),
        (" \t\u200b", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(ANY_TEXT)
def test_printable_text_takes_no_other_way(text: str) -> None:
    """The result equals that of the rules applied character by character."""
    classes = {character: unicodedata.category(character) for character in text}
    shown = [character for character in text if character not in "\u200b\u2060\ufeff" and classes[character] != "Cs"]
    kept = "".join(" " if classes[character] == "Cc" else character for character in shown)
    assert normalise(text) == " ".join(unicodedata.normalize("NFC", kept).split())


@given(ANY_TEXT)
def test_normalised_text_has_the_promised_form(text: str) -> None:
    result = normalise(text)
    assert normalise(result) == result
    assert unicodedata.is_normalized("NFC", result)
    assert not any(unicodedata.category(character) == "Cc" for character in result)
    assert not any(character.isspace() and character != " " for character in result)
    assert result == result.strip()
    assert "  " not in result


@pytest.mark.parametrize("pair", [("", "Haus"), ("house", ""), ("\u00a0\u200b\t", "Haus"), ("", "")])
def test_empty(pair: Pair) -> None:
    assert reason_of(pair) == "empty"


def test_too_many_words() -> None:
    config = CleaningConfig(max_words=3)
    assert reason_of(("a  b c", "d e \t f"), config) is None
    assert reason_of(("a b c d", "d e f"), config) == "too_long"
    assert reason_of(("a b c", "d e f g"), config) == "too_long"


def test_too_many_characters() -> None:
    config = CleaningConfig(max_characters=8)
    assert reason_of(("thehouse", " dasHaus "), config) is None
    assert reason_of(("thehouses", "dasHaus"), config) == "too_long"
    assert reason_of(("thehouse", "dieHäuser"), config) == "too_long"


def test_ratio_adds_ten_to_both_sides() -> None:
    config = CleaningConfig(max_ratio=2)
    assert reason_of(("a" * 20, "b" * 5), config) is None  # 30 is not more than 2 * 15
    assert reason_of(("a" * 21, "b" * 5), config) == "ratio"
    assert reason_of(("b" * 5, "a" * 21), config) == "ratio"


def test_identical() -> None:
    pair = ("cafe\u0301 noir", "caf\u00e9  noir")
    assert reason_of(pair) == "identical"
    assert reason_of(pair, CleaningConfig(drop_identical=False)) is None
    assert reason_of(("the house", "The house")) is None


def test_duplicate_keeps_the_first() -> None:
    pairs = [HOUSE, GARDEN, (" the house", "das\u00a0Haus"), ("the house", "das Gebäude"), HOUSE]
    kept, report = run(pairs)
    assert kept == [HOUSE, GARDEN, ("the house", "das Gebäude")]
    assert report.dropped[Reason.duplicate] == 2
    assert run(pairs, CleaningConfig(drop_duplicates=False))[0] == [
        HOUSE,
        GARDEN,
        HOUSE,
        ("the house", "das Gebäude"),
        HOUSE,
    ]


def test_in_test_compares_both_sides_normalised() -> None:
    held_out = [("the house ", "das\u00a0Haus"), ("the door", "der Garten")]
    assert reason_of(HOUSE, held_out=held_out) == "in_test"
    assert reason_of(("the  house", "das Haus"), held_out=held_out) == "in_test"
    assert reason_of(HOUSE, CleaningConfig(drop_test_pairs=False), held_out) is None
    assert reason_of(("the house", "der Garten"), held_out=held_out) is None


def test_repeated_test_pair_counts_as_in_test() -> None:
    _, report = run([HOUSE, HOUSE], held_out=[HOUSE])
    assert report.dropped[Reason.in_test] == 2
    assert report.dropped[Reason.duplicate] == 0


def test_a_held_out_source_with_another_target_is_dropped_if_configured() -> None:
    held_out = [("The  house!", "das Haus"), ("?!", "was"), ("the garden", "der Garten")]
    config = CleaningConfig(drop_test_sources=True)
    for pair in (("the house", "das Gebäude"), ("THE house .", "ein Haus")):
        assert reason_of(pair, config, held_out) == "source_in_test"
        assert reason_of(pair, held_out=held_out) is None
    assert reason_of(GARDEN, config, held_out) == "in_test"
    assert (
        reason_of(GARDEN, CleaningConfig(drop_test_sources=True, drop_test_pairs=False), held_out) == "source_in_test"
    )
    for pair in (("the houses", "die Häuser"), ("?", "was"), ("das Haus", "the house"), ("a house", "das Haus")):
        assert reason_of(pair, config, held_out) is None  # sources without letters and targets are not compared
    assert run([("the house", "x")] * 2, config, held_out)[1].dropped[Reason.duplicate] == 0


def test_words_that_differ_in_a_vowel_sign_are_different() -> None:
    """The signs of Devanagari and Thai are combining marks: boy and girl, and the words for rice and news."""
    for one, other in (("लड़का सो रहा है", "लड़की सो रहा है"), ("ข้าว", "ข่าว")):
        assert loose(one) != loose(other)
        assert loose(f" {one} !") == loose(one)
    assert loose("Das  Haus, ja?") == "das haus ja"
    assert loose("?!") == ""


def test_the_digest_depends_on_the_boundary_of_the_sides() -> None:
    assert pair_digest("a b", "c") != pair_digest("a", "b c")
    assert pair_digest("a", "b") != pair_digest("b", "a")


def test_streams() -> None:
    endless = ((f"the house {number}", f"das Haus {number}") for number in itertools.count())
    report = CleaningReport()
    first = list(itertools.islice(clean(endless, CleaningConfig(), set(), report), 3))
    assert first == [
        ("the house 0", "das Haus 0"),
        ("the house 1", "das Haus 1"),
        ("the house 2", "das Haus 2"),
    ]
    assert report.read == 3


PAIRS = st.tuples(ANY_TEXT, ANY_TEXT)


@given(st.lists(PAIRS, max_size=12), st.lists(PAIRS, max_size=2))
def test_all_counted_once_and_twice_is_once(pairs: list[Pair], held_out: list[Pair]) -> None:
    held_out += pairs[:1]
    kept, report = run(pairs, SHORT, held_out)
    assert report.read == len(pairs)
    assert report.kept == len(kept)
    assert report.kept + sum(report.dropped.values()) == report.read
    assert len(set(kept)) == len(kept)
    assert not set(kept) & {(normalise(src), normalise(tgt)) for src, tgt in held_out}
    again, second = run(kept, SHORT, held_out)
    assert again == kept
    assert second.altered == 0
    # The order is kept: the kept pairs are a subsequence of the normalised input.
    remaining = iter([(normalise(src), normalise(tgt)) for src, tgt in pairs])
    assert all(pair in remaining for pair in kept)


def test_report_of_a_known_corpus() -> None:
    pairs = [HOUSE, ("", "das Haus"), ("the  garden now", "der Garten"), HOUSE, ("x" * 300, "y")]
    _, report = run(pairs)
    assert report.to_dict() == {
        "read": 5,
        "kept": 2,
        "altered": 1,
        "dropped": {
            "empty": 1,
            "too_long": 0,
            "ratio": 1,
            "identical": 0,
            "in_test": 0,
            "source_in_test": 0,
            "duplicate": 1,
        },
        "mean_words": {"src": 2.5, "tgt": 2.0},
        "mean_characters": {"src": 11.5, "tgt": 9.0},
        "examples": {
            "empty": [{"line": 2, "src": "", "tgt": "das Haus"}],
            "too_long": [],
            "ratio": [{"line": 5, "src": "x" * 80, "tgt": "y"}],
            "identical": [],
            "in_test": [],
            "source_in_test": [],
            "duplicate": [{"line": 4, "src": "the house", "tgt": "das Haus"}],
        },
    }
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


@pytest.mark.parametrize(
    ("pair", "altered"), [(HOUSE, 0), (("the  house", "das Haus"), 1), (("the house", "das Haus "), 1)]
)
def test_altered_counts_pairs_that_either_side_changed(pair: Pair, altered: int) -> None:
    assert run([pair])[1].altered == altered


def test_report_as_a_table() -> None:
    lines = str(run([HOUSE, ("", "das Haus"), GARDEN, HOUSE])[1]).split("\n")
    cells = [line.split() for line in lines]
    assert ["read", "4", "100.0%"] in cells
    assert ["empty", "1", "25.0%"] in cells
    assert ["duplicate", "1", "25.0%"] in cells
    assert ["kept", "2", "50.0%"] in cells
    assert "duplicate, line 4: the house | das Haus" in lines


def test_report_of_nothing() -> None:
    assert run([])[1].to_dict()["mean_words"] == {"src": 0, "tgt": 0}
    assert "read" in str(CleaningReport())


def test_examples_are_few() -> None:
    _, report = run([HOUSE] * 10)
    assert [example.line for example in report.examples[Reason.duplicate]] == [2, 3, 4][:EXAMPLES]
