"""Scores, intervals and signatures equal those of sacrebleu's command line."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from sacrebleu.metrics import BLEU

from nmt.errors import UserError
from nmt.metrics import Scorer, all_scores, bleu, check_tokenizer

REFERENCES = [
    "Der kleine Hund, der heute schläft, sieht das Haus.",
    "„Ja“, sagt die Frau – und geht.",
    "Wir haben 3,5 Äpfel (und 20 % Zucker) gekauft!",
    "Die Straße ist lang .",
]
HYPOTHESES = [
    "Der kleine Hund, der heute schläft, sieht ein Haus.",
    "“Ja”, sagt die Frau und geht nach Hause.",
    "Wir haben 3,5 Äpfel und 20 % Zucker gekauft.",
    "die Straße ist lang .",
]


OTHERS = [
    "Ein kleiner Hund, der schläft, sieht das Haus.",
    "“Ja”, sagt sie und geht.",
    "Wir kauften 3,5 Äpfel und 20 % Zucker.",
    "Lang ist die Straße .",
]


def of_command_line(folder: Path, references: int, *options: str) -> dict[str, dict[str, Any]]:
    """Return the output of `sacrebleu`, keyed by its metric names."""
    for name, lines in (("ref0", REFERENCES), ("ref1", OTHERS), ("hyp", HYPOTHESES)):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    files = [f"ref{number}" for number in range(references)]
    command = [sys.executable, "-m", "sacrebleu", *files, "-i", "hyp", "-w", "12", "--format", "json", "--confidence"]
    printed = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=True).stdout
    actual = json.loads(printed)
    return {score["name"]: score for score in (actual if isinstance(actual, list) else [actual])}


@pytest.mark.parametrize(("tokenize", "references"), [("13a", 1), ("none", 1), ("13a", 2)])
def test_scores_intervals_and_signatures_are_those_of_the_command_line(
    tmp_path: Path, tokenize: str, references: int
) -> None:
    expected = of_command_line(tmp_path, references, "-m", "bleu", "chrf", "ter", "-tok", tokenize)
    expected |= of_command_line(tmp_path, references, "-m", "chrf", "--chrf-word-order", "2")
    actual = all_scores(HYPOTHESES, REFERENCES, tokenize, [OTHERS][: references - 1])
    names = {"bleu": "BLEU", "chrf": "chrF2", "chrfpp": "chrF2++", "ter": "TER"}
    assert set(actual) == {*names, "rouge_l"}
    for name, theirs in names.items():
        score = actual[name]
        assert score.score == pytest.approx(expected[theirs]["score"], abs=1e-9)
        without_bootstrap = expected[theirs]["signature"].replace("|bs:1000|seed:12345", "")
        assert score.signature == without_bootstrap
        low, high = score.interval
        assert low < high
        assert (high - low) / 2 == pytest.approx(expected[theirs]["confidence_var"], rel=1e-5)
    if references == 1:
        assert bleu(HYPOTHESES, REFERENCES, tokenize)[0] == actual["bleu"].score


def test_a_named_test_set_stands_in_the_signatures() -> None:
    actual = all_scores(HYPOTHESES, REFERENCES, "13a", labels={"test": "wmt14", "lang": "en-de"})
    assert all(score.signature.startswith("nrefs:1|test:wmt14|lang:en-de|") for score in actual.values())
    assert actual["bleu"].score == all_scores(HYPOTHESES, REFERENCES, "13a")["bleu"].score


def test_the_tokenizer_makes_a_difference() -> None:
    assert bleu(HYPOTHESES, REFERENCES, "13a") != bleu(HYPOTHESES, REFERENCES, "none")


def test_translations_equal_to_their_references_have_the_highest_scores() -> None:
    scores = all_scores(REFERENCES, REFERENCES, "13a")
    assert {name: score.score for name, score in scores.items()} == pytest.approx(
        {"bleu": 100, "chrf": 100, "chrfpp": 100, "ter": 0, "rouge_l": 100}
    )


def test_empty_translations_have_the_lowest_scores() -> None:
    scores = all_scores([""] * 4, REFERENCES, "13a")
    assert {name: score.score for name, score in scores.items()} == pytest.approx(
        {"bleu": 0, "chrf": 0, "chrfpp": 0, "ter": 100, "rouge_l": 0}
    )


CHINESE = ["我们明天去北京。", "这个房子是红色的。", "你好，我叫小王！"]
NEARLY = ["我们明天去北京。", "这个房子是红的。", "你好，我叫小王！"]


def command_line_of(folder: Path, hypotheses: list[str], references: list[str], *options: str) -> dict[str, Any]:
    for name, lines in (("ref", references), ("hyp", hypotheses)):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "hyp", "-w", "12", "--format", "json", *options]
    actual: dict[str, Any] = json.loads(
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    )
    return actual


def test_ter_of_a_script_without_spaces_is_the_command_lines_with_asian_support(tmp_path: Path) -> None:
    expected = command_line_of(tmp_path, NEARLY, CHINESE, "-m", "ter", "--ter-asian-support", "--ter-normalized")
    actual = all_scores(NEARLY, CHINESE, "zh")["ter"]
    assert actual.score == pytest.approx(expected["score"], abs=1e-9)
    assert actual.signature == expected["signature"]
    assert "norm:yes|punct:yes|asian:yes" in actual.signature
    assert actual.score < 10
    assert all_scores(NEARLY, CHINESE, "13a")["ter"].score > 30  # one wrong word of one sentence in three
    scorer = Scorer.from_signature(actual.signature)
    assert scorer is not None
    assert scorer.score(scorer.table(NEARLY, CHINESE).sum(axis=0)) == pytest.approx(actual.score)


def test_the_words_of_chrf_of_a_script_without_spaces_are_the_tokenizers(tmp_path: Path) -> None:
    """Check against the command line, which gets the tokens separated by spaces because it has no such option."""
    split = BLEU(tokenize="zh").tokenizer
    tokens = [[split(line) for line in lines] for lines in (NEARLY, CHINESE)]
    expected = command_line_of(tmp_path, *tokens, "-m", "chrf", "--chrf-word-order", "2")
    actual = all_scores(NEARLY, CHINESE, "zh")
    assert actual["chrfpp"].score == pytest.approx(expected["score"], abs=1e-9)
    assert "|nw:2|space:no|tok:zh|" in actual["chrfpp"].signature
    assert actual["chrfpp"].score != pytest.approx(all_scores(NEARLY, CHINESE, "13a")["chrfpp"].score, abs=0.1)
    scorer = Scorer.from_signature(actual["chrfpp"].signature)
    assert scorer is not None
    assert scorer.score(scorer.table(NEARLY, CHINESE).sum(axis=0)) == pytest.approx(actual["chrfpp"].score)
    assert actual["chrf"].score == all_scores(NEARLY, CHINESE, "13a")["chrf"].score


@pytest.mark.parametrize(
    ("name", "module", "needed"),
    [("ja-mecab", "tokenizer_ja_mecab", "mecab-python3"), ("ko-mecab", "tokenizer_ko_mecab", "mecab-ko")],
)
def test_a_tokenizer_without_its_package_is_refused_in_one_line(
    name: str, module: str, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module(f"sacrebleu.tokenizers.{module}"), "MeCab", None)
    check_tokenizer.cache_clear()
    for use in (check_tokenizer, lambda name: all_scores(["a"], ["a"], name)):
        with pytest.raises(UserError, match=rf"bleu_tokenize={name} needs {needed}.*nmt-recurrent\[cjk\]") as error:
            use(name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"half a model"])
def test_a_tokenizer_without_its_model_is_refused_in_one_line(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_network(*arguments: object, **settings: object) -> None:
        raise URLError("no route to host")

    spm = importlib.import_module("sacrebleu.tokenizers.tokenizer_spm")
    monkeypatch.setattr(spm, "SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    if content is not None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "flores200sacrebleuspm").write_bytes(content)
    check_tokenizer.cache_clear()
    with pytest.raises(UserError, match="bleu_tokenize=flores200 needs a model") as error:
        check_tokenizer("flores200")
    assert "\n" not in str(error.value)


def test_the_tokenizers_that_need_nothing_are_there() -> None:
    for name in ("13a", "none", "intl", "char", "zh"):
        check_tokenizer(name)
