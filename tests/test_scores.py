"""BLEU, chrF and TER are those of sacrebleu's own command line, signatures included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.metrics import all_scores, bleu

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


@pytest.mark.parametrize("tokenize", ["13a", "none"])
def test_scores_and_signatures_are_those_of_the_command_line(tmp_path: Path, tokenize: str) -> None:
    for name, lines in (("ref", REFERENCES), ("hyp", HYPOTHESES)):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    options = ["-i", "hyp", "-m", "bleu", "chrf", "ter", "-w", "12", "-tok", tokenize, "--format", "json"]
    command = [sys.executable, "-m", "sacrebleu", "ref", *options]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    expected = {score["name"].lower().removesuffix("2"): score for score in json.loads(printed)}

    found = all_scores(HYPOTHESES, REFERENCES, tokenize)
    assert set(found) == set(expected) == {"bleu", "chrf", "ter"}
    for name, score in found.items():
        assert score.score == pytest.approx(expected[name]["score"], abs=1e-9)
        for part in score.signature.split("|"):
            key, value = part.split(":")
            assert str(expected[name][{"nrefs": "nrefs"}.get(key, key)]) == value
    assert f"tok:{tokenize}" in found["bleu"].signature
    assert bleu(HYPOTHESES, REFERENCES, tokenize) == found["bleu"].score


def test_the_tokenizer_makes_a_difference() -> None:
    assert bleu(HYPOTHESES, REFERENCES, "13a") != bleu(HYPOTHESES, REFERENCES, "none")


def test_translations_equal_to_their_references_have_the_highest_scores() -> None:
    scores = all_scores(REFERENCES, REFERENCES, "13a")
    assert {name: score.score for name, score in scores.items()} == pytest.approx({"bleu": 100, "chrf": 100, "ter": 0})


def test_empty_translations_have_the_lowest_scores() -> None:
    scores = all_scores([""] * 4, REFERENCES, "13a")
    assert {name: score.score for name, score in scores.items()} == pytest.approx({"bleu": 0, "chrf": 0, "ter": 100})
