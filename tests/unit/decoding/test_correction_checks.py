"""Checks of corrections against a model, and corrections at the prompt."""

from pathlib import Path

import pytest
from toy_translator import build

from nmt.cli.app.prompt import Prompt
from nmt.data import Correction, Tokenizer, read_corrections
from nmt.decoding import Translator, checked_correction, encode_correction
from nmt.errors import UserError


@pytest.fixture(scope="module")
def translator(tokenizer: Tokenizer) -> Translator:
    return build(tokenizer)


def test_a_correction_is_in_normal_form_and_encoded_as_training_pairs_are(translator: Translator) -> None:
    made = checked_correction(translator, " the\u00a0house ", "das  Haus\u200b", "x\ty", "en", "de")
    assert made == Correction("the house", "das Haus", "x y", "en", "de")
    source, target = encode_correction(translator, made.source, made.correction, "line 1")
    assert [source] == translator.src.encode(["the house"])
    assert translator.tgt.decode([target]) == ["das Haus"]


@pytest.mark.parametrize(
    ("source", "correction", "problem"),
    [
        ("", "das Haus", "the correction: the source is empty"),
        ("the house", " \u200b", "the correction: the correction is empty"),
        ("the house", "das 家 Haus", "the vocabulary of the model cannot write '家'"),
        ("the house is red. " * 100, "das Haus", "several sentences or is too long"),
    ],
)
def test_what_a_model_cannot_learn_is_refused(
    translator: Translator, source: str, correction: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        checked_correction(translator, source, correction, "", "en", "de")


def test_the_prompt_saves_a_typed_correction_and_an_edited_translation(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.jsonl"
    prompt = Prompt(build(tokenizer), corrections=str(path), languages=("en", "de"))

    def said(line: str) -> str:
        prompt.answer(line)
        return capsys.readouterr().err

    assert "translate a sentence first" in said(":correct das Haus")
    prompt.answer("the house")
    translation = capsys.readouterr().out.strip()
    assert str(path) in said(":correct das Haus ")
    monkeypatch.setattr("builtins.input", lambda shown: "das alte Haus")
    assert str(path) in said(":correct")
    monkeypatch.setattr("builtins.input", lambda shown: " ")
    assert "nothing was saved" in said(":correct")

    def leave(shown: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", leave)
    assert "nothing was saved" in said(":correct")
    assert "cannot write" in said(":correct das 家")
    saved = [each for _, each in read_corrections(path)]
    assert saved == [Correction("the house", text, translation, "en", "de") for text in ("das Haus", "das alte Haus")]


def test_a_prompt_without_a_file_says_how_to_get_one(tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    Prompt(build(tokenizer)).answer(":correct das Haus")
    assert "corrections=FILE" in capsys.readouterr().err
