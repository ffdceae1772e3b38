"""Constraints from text to text: translations begin with the prefix and contain the phrases, byte for byte."""

import logging
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_translator import EVERY_SEARCH, members
from toy_translator import build_long as build

from nmt.cli.app.file_translation import translate_file
from nmt.cli.app.prompt import Prompt
from nmt.config import LengthPenalty, SearchConfig, SearchKind, TranslateConfig
from nmt.data import Tokenizer, normalise, normalise_characters
from nmt.decoding import Candidate, ConstraintBuilder, Ensemble, TargetConstraints, Translator
from nmt.decoding.constraint_files import read_constraints
from nmt.decoding.rules import Prefix
from nmt.errors import UserError
from nmt.phrasebook import Pair

PREFIXES = ["Der", "Der ", "Wo ist d", "Das Haus", "Di", "Die  Suppe ", "zz Zz", "Ich möchte", ".", "Wo?"]
PHRASES = [["Haus"], ["die Suppe", "das"], ["Bahnhof", "Wo ist", "Wo"], [], ["kalt", "Kaffee kalt"]]


def holds(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\S){re.escape(phrase)}(?!\w)", text) is not None


def texts(found: list[list[Candidate]]) -> list[list[str]]:
    return [[candidate.text for candidate in candidates] for candidates in found]


@EVERY_SEARCH
@pytest.mark.parametrize("batch_size", [1, None])
def test_a_translation_begins_with_its_prefix_to_the_byte(
    tokenizer: Tokenizer, phrases: list[Pair], batch_size: int | None, search: dict[str, object]
) -> None:
    ready = build(tokenizer, batch_size=batch_size, n_best=1 if search["kind"] == "greedy" else 4, **search)
    lines = [pair.en for pair in phrases[: len(PREFIXES)]] + ["", phrases[0].en]
    make = ConstraintBuilder(tokenizer).make
    translations = texts(ready.translate(lines, constraints=[make(prefix) for prefix in [*PREFIXES, "Der", ""]]))
    for prefix, candidates in zip(PREFIXES, translations, strict=False):
        expected = " ".join(prefix.split())
        assert candidates
        for text in candidates:
            assert text.startswith(expected)
            if prefix.endswith(" "):
                assert text[len(expected) :][:1] == " "
    assert translations[-2] == [""]
    assert translations[-1] == texts(ready.translate(lines[-1:]))[0]


def spellings(prefix: Prefix, state: int = 0) -> Iterator[list[int]]:
    if state == len(prefix):
        yield []
        return
    for piece, following in prefix[state].items():
        yield from ([piece, *rest] for rest in spellings(prefix, following))


def test_the_last_word_of_a_prefix_is_written_in_any_pieces_and_may_go_on(tokenizer: Tokenizer) -> None:
    begun = tokenizer.encode(["Wo ist"])[0]
    ways = list(spellings(ConstraintBuilder(tokenizer).make("Wo ist di").prefix))
    prefixes = {"".join(tokenizer.pieces(way[len(begun) :])) for way in ways}
    assert all(way[: len(begun)] == begun for way in ways)
    assert all(written.startswith("▁di") for written in prefixes)
    pieces = tokenizer.pieces(range(4, tokenizer.size))
    assert prefixes == {"▁di"[:n] + p for n in range(3) for p in pieces if p.startswith("▁di"[n:])} | {
        "▁di" for p in pieces if p == "i"
    }
    assert "▁die" in prefixes


def test_a_prefix_longer_than_the_longest_translation_is_whole(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    short = build(tokenizer, max_length_offset=1)
    long = " ".join(pair.de for pair in phrases[:4])
    demand = ConstraintBuilder(tokenizer).make(long)
    assert len(demand.prefix) > 20
    [[candidate]] = short.translate([phrases[0].en], constraints=[demand])
    assert candidate.text.startswith(long)


@pytest.mark.parametrize("search", [{}, {"block_ngrams": 3, "coverage_penalty": 0.3}, {"beam_size": 1}])
def test_every_hypothesis_holds_all_constraints_as_whole_words(
    tokenizer: Tokenizer, phrases: list[Pair], search: dict[str, object]
) -> None:
    ready = build(tokenizer, max_length_offset=30, **{"n_best": search.get("beam_size", 4), **search})
    make = ConstraintBuilder(tokenizer).make
    lines = [pair.en for pair in phrases[: len(PHRASES)]]
    translations = texts(ready.translate(lines, constraints=[make("Das ist", given) for given in PHRASES]))
    for given, candidates in zip(PHRASES, translations, strict=True):
        assert candidates
        for text in candidates:
            assert text.startswith("Das ist")
            assert all(holds(text, phrase) for phrase in given), (text, given)
    alone = [
        texts(ready.translate([line], constraints=[make("Das ist", g)]))[0]
        for line, g in zip(lines, PHRASES, strict=True)
    ]
    assert alone == translations


def test_an_ensemble_keeps_to_prefix_constraints_and_coverage(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    search = SearchConfig(beam_size=3, max_length_ratio=0.0, max_length_offset=16, coverage_penalty=0.2)
    together = Translator(Ensemble(members(tokenizer.size)), tokenizer, tokenizer, search)
    demand = ConstraintBuilder(tokenizer).make("Das ", ["Haus", "kalt"])
    for [candidate] in together.translate([pair.en for pair in phrases[:3]], constraints=[demand] * 3):
        assert candidate.text.startswith("Das ")
        assert holds(candidate.text, "Haus")
        assert holds(candidate.text, "kalt")


def test_constraints_that_do_not_fit_are_told_and_left_out(
    tokenizer: Tokenizer, phrases: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    short = build(tokenizer, max_length_offset=3)
    demand = ConstraintBuilder(tokenizer).make("", ["Bahnhof Museum Kaffee"], "words.txt, line 7")
    with caplog.at_level(logging.WARNING):
        translations = short.translate([phrases[0].en], constraints=[demand])
    assert texts(translations) == texts(short.translate([phrases[0].en]))
    assert re.fullmatch(
        r"words.txt, line 7: its constraints need \d+ pieces, and the longest translation has 3; they are left out\. "
        r"Raise search\.max_length_offset",
        caplog.messages[-1],
    )


def test_constraints_that_blocking_makes_impossible_are_told_and_left_out(
    tokenizer: Tokenizer, phrases: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    ready = build(tokenizer, block_ngrams=1)
    demand = ConstraintBuilder(tokenizer).make("", ["Haus Haus"], "words.txt, line 2")
    lines = [pair.en for pair in phrases[:2]]
    with caplog.at_level(logging.WARNING):
        translations = ready.translate(lines, constraints=[TargetConstraints(), demand])
    assert texts(translations) == texts(ready.translate(lines))
    assert "words.txt, line 2: no translation contains all constraints" in caplog.text


def test_the_first_part_of_a_long_line_takes_its_demand(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    line = " ".join(pair.en for pair in phrases[:4])
    [[candidate]] = build(tokenizer, max_source_pieces=12).translate(
        [line], constraints=[ConstraintBuilder(tokenizer).make("Wo", ["Haus"])]
    )
    assert candidate.text.startswith("Wo")
    assert holds(candidate.text, "Haus")


@pytest.mark.parametrize("kind", [SearchKind.greedy, SearchKind.diverse])
def test_constraints_in_another_search_than_a_beam_are_refused(tokenizer: Tokenizer, kind: SearchKind) -> None:
    ready = build(tokenizer, kind=kind, groups=2)
    with pytest.raises(UserError, match=f"^search.kind={kind} does not support lexical constraints; use search=beam"):
        ready.translate(["a line"], constraints=[ConstraintBuilder(tokenizer).make("", ["Haus"])])


def test_a_coverage_penalty_without_attention_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"^search\.coverage_penalty is on, and this model has no attention"):
        build(tokenizer, attention=None, coverage_penalty=0.1).translate(["a line"])


@pytest.mark.parametrize("text", ["Haus 家", "a▁b", "<s>"])
def test_what_the_vocabulary_cannot_write_is_refused_by_name(tokenizer: Tokenizer, text: str) -> None:
    for prefix, phrases in ((text, []), ("", [text])):
        with pytest.raises(UserError, match=r"^f.txt, line 3: the model's vocabulary cannot write '.+'; leave it out$"):
            ConstraintBuilder(tokenizer).make(prefix, phrases, "f.txt, line 3")


def ask(folder: Path, **files: str) -> TranslateConfig:
    for key, text in files.items():
        (folder / key).write_text(text, encoding="utf-8")
    return TranslateConfig(run="run", **{key: str(folder / key) for key in files})


def test_files_give_each_line_its_own_demand(tokenizer: Tokenizer, tmp_path: Path) -> None:
    make = ConstraintBuilder(tokenizer).make
    config = ask(tmp_path, prefixes="Der\n\nDas \n", constraints="\nHaus\tWo ist\n\u2028kalt")
    demands = read_constraints(config, tokenizer)
    assert demands is not None
    assert demands.count == 3
    expected = [make("Der", []), make("", ["Haus", "Wo ist"]), make("Das ", ["kalt"])]
    for found, wanted in zip(demands.take(0, 3, "input"), expected, strict=True):
        assert found.prefix == wanted.prefix
        assert found.phrases.phrases == wanted.phrases.phrases
    with pytest.raises(UserError, match="has 3 lines, and input has more; give one per line of the input"):
        demands.take(2, 2, "input")
    assert read_constraints(TranslateConfig(run="run"), tokenizer) is None
    both = ask(tmp_path, constraints="Haus\n")
    both.prefix = "Der"
    [found] = read_constraints(both, tokenizer).take(0, 1, "input")
    assert (len(found.prefix), len(found.phrases.phrases)) == (len(make("Der").prefix), 1)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"input": "a\nb\n", "prefixes": "Der\n"},
            r"prefixes=\S+ has 1 lines, input=\S+ has 2 lines; give one per line",
        ),
        (
            {"input": "a\n", "prefixes": "Der\n\n"},
            r"prefixes=\S+ has 2 lines, input=\S+ has 1 lines; give one per line",
        ),
        ({"prefixes": "Der\n", "constraints": "a\n\n"}, r"prefixes=\S+ has 1 lines, constraints=\S+ has 2 lines"),
        ({"constraints": "Haus\n家\n"}, "constraints, line 2: the model's vocabulary cannot write '家'"),
    ],
)
def test_files_that_do_not_go_together_are_refused(
    tokenizer: Tokenizer, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    config = ask(tmp_path, **files)

    def translate() -> None:
        demands = read_constraints(config, tokenizer)
        translate_file(build(tokenizer), Path(config.input or "-"), str(tmp_path / "out"), None, demands)

    with pytest.raises(UserError, match=said):
        translate()
    assert not (tmp_path / "out").exists()


def test_missing_files_and_other_encodings_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: cannot be read \(No such file"):
        read_constraints(TranslateConfig(run="run", prefixes=str(tmp_path / "nowhere")), tokenizer)
    (tmp_path / "latin").write_bytes("gut\nmöchte\n".encode("latin-1"))
    with pytest.raises(UserError, match="latin: line 2 is not UTF-8"):
        read_constraints(TranslateConfig(run="run", prefixes=str(tmp_path / "latin")), tokenizer)


@pytest.mark.parametrize(
    ("prefix", "phrase"),
    [
        ("Tür", "\ufeffTür"),
        (unicodedata.normalize("NFD", "Tür"), unicodedata.normalize("NFD", "Tür ist")),
        ("Tü\u200br", "Tür\u2060 ist"),
        ("Tür\u00a0", "Tür\x07ist"),
        ("Tür\t\u200b", "Tür\r"),
    ],
)
def test_demands_are_normalised_as_sources_are(tokenizer: Tokenizer, prefix: str, phrase: str) -> None:
    make = ConstraintBuilder(tokenizer).make
    ended = " " * normalise_characters(prefix).endswith((" ", "\u00a0"))
    found, expected = make(prefix, [phrase]), make(f"Tür{ended}", [normalise(phrase)])
    assert found.prefix == expected.prefix
    assert found.phrases.phrases == expected.phrases.phrases


def test_line_ends_and_marks_of_windows_are_no_part_of_a_prefix(tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = "\ufeffDas\r\nDie \r\n"
    config = ask(tmp_path, prefixes=text)
    make = ConstraintBuilder(tokenizer).make
    constraints = read_constraints(config, tokenizer).take(0, 2, "input")
    assert [each.prefix for each in constraints] == [make("Das").prefix, make("Die ").prefix]


def test_the_prompt_takes_prefix_and_words(tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = Prompt(build(tokenizer, length_penalty=LengthPenalty.none), "Wo")

    def answer(line: str) -> str:
        prompt.answer(line)
        return capsys.readouterr().out

    assert answer("the house").startswith("Wo")
    assert answer(":prefix Das ") == ""
    assert answer("the house").startswith("Das ")
    answer(":hold kalt | Wo ist")
    said = answer("the house")
    assert said.startswith("Das ")
    assert holds(said, "kalt")
    assert holds(said, "Wo ist")
    for cleared in (":prefix", ":hold"):
        answer(cleared)
    assert answer("the house") == prompt.translator.translate(["the house"])[0][0].text + "\n"
    answer(":prefix 家")
    prompt.answer("the house")
    assert "cannot write '家'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        *("\udcff\udcfe", ":hold \udcff | Haus", ":prefix \udce4", ":nbest \udcff", ":\udcff", ":nbest " + "9" * 5000),
        *(
            ":nbest \u0663\u0663\u0663",
            ":hold\u200b a",
            "\ufeff:help",
            ":attention \x00",
            "\x1b[2J",
            ":quit\udcff x",
            ":hold a|",
            "▁",
        ),
    ],
)
def test_nothing_typed_ends_the_prompt(
    tokenizer: Tokenizer, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter([line, "the house", "\u200b:quit "])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    Prompt(build(tokenizer)).loop()
    said = capsys.readouterr()
    said.out.encode()
    assert "Traceback" not in said.err
    assert next(typed, None) is None


def test_a_fault_of_the_program_does_not_end_the_prompt_either(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["the house", ":quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    prompt = Prompt(build(tokenizer))
    monkeypatch.setattr(prompt.translator, "translate", lambda *_, **__: 1 / 0)
    prompt.loop()
    assert "this line cannot be answered: ZeroDivisionError" in capsys.readouterr().err
