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
    source, target = encode_correction(translator, made.source, made.correction, "line 1", "en")
    assert [source] == translator.src.encode(["the house"])
    assert translator.tgt.decode([target]) == ["das Haus"]


@pytest.mark.parametrize(
    ("source", "correction", "problem"),
    [
        ("", "das Haus", "the correction: the source is empty"),
        ("the house", " \u200b", "the correction: the correction is empty"),
        ("the house", "das 家 Haus", "the vocabulary of the model cannot write '家'"),
        ("My uncle ate the sausage. Can you open the window?", "das Haus", "the source has 2 sentences"),
        ("the house is red. " * 100, "das Haus", "the source has 100 sentences"),
        ("the house " * 200, "das Haus", "the source is too long"),
    ],
)
def test_what_a_model_cannot_learn_is_refused(
    translator: Translator, source: str, correction: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        checked_correction(translator, source, correction, "", "en", "de")


@pytest.mark.parametrize(
    ("source", "language"),
    [("Mr. Lindner paid 3.5 euros!", "en"), ("Ich kam am 3. Mai an.", "de"), ("the house. the house", "")],
)
def test_a_period_within_a_sentence_does_not_divide_it(translator: Translator, source: str, language: str) -> None:
    if language:
        assert checked_correction(translator, source, "das Haus", "", language, "de").source == source
    else:  # the language of the translator
        with pytest.raises(UserError, match="2 sentences"):
            checked_correction(translator, source, "das Haus", "", language, "de")


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
    prompt.answer("My aunt bought the lamp. It is very interesting.")
    assert "the source has 2 sentences; correct one sentence at a time" in said(":correct das Haus")
    saved = [each for _, each in read_corrections(path)]
    assert saved == [Correction("the house", text, translation, "en", "de") for text in ("das Haus", "das alte Haus")]


def test_a_prompt_without_a_file_says_how_to_get_one(tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    Prompt(build(tokenizer)).answer(":correct das Haus")
    assert "corrections=FILE" in capsys.readouterr().err
