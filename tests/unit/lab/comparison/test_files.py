"""Tests of significance tests of files, against sacrebleu's command line."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from sacrebleu_ties import without_ties

from nmt.cli.score import command
from nmt.config import ScoreConfig
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison.files import file_cells, files_grid
from nmt.metrics import Score, all_scores, holm, significance
from nmt.metrics.bootstrap import mean_score
from nmt.phrasebook import Pair

SACREBLEU_NAMES = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}


def reordered(lines: list[str], chosen: range) -> list[str]:
    """Return the lines; chosen ones lack their second word and end with their first."""
    changed = [" ".join([*line.split()[2:], line.split()[0]]) for line in lines]
    return [changed[number] if number in chosen else line for number, line in enumerate(lines)]


@pytest.fixture
def folder(phrases: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two references and three files of translations; it is the current folder."""
    references = [pair.de for pair in phrases[:60]]
    texts = {
        "ref": references,
        "ref2": reordered(references, range(0, 60, 5)),
        "a": reordered(references, range(0, 60, 3)),
        "b": reordered(references, range(1, 60, 2)),
        "c": reordered(references, range(2, 60, 3)),
        "d": reordered(references, range(60)),
    }
    for name, lines in texts.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    monkeypatch.setattr(significance, "TRIALS", 1000)
    monkeypatch.setattr(significance, "p_value", without_ties)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name: str) -> list[str]:
    return Path(name).read_text(encoding="utf-8").split("\n")[:-1]


def sacrebleu_systems(references: list[str], test: str, metrics: list[str]) -> list[dict[str, Any]]:
    """Return the results of sacrebleu's paired test of the files b and c against a."""
    options = f"-i a b c --paired-{test} --paired-ar-n 1000 -f json -w 9 -m".split()
    words = [sys.executable, "-m", "sacrebleu", *references, *options, *metrics]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    systems: list[dict[str, Any]] = json.loads(printed)[1:]
    return systems


@pytest.mark.parametrize(
    ("references", "kind", "field", "metrics"),
    [
        (["ref"], "bs", "bootstrap_p", ["bleu"]),  # sacrebleu cannot print JSON of the others with --paired-bs
        (["ref", "ref2"], "bs", "bootstrap_p", ["bleu"]),
        (["ref", "ref2"], "ar", "randomisation_p", ["bleu", "chrf", "ter"]),
    ],
)
def test_scores_and_p_values_of_files_are_those_of_sacrebleus_command_line(
    folder: Path, references: list[str], kind: str, field: str, metrics: list[str]
) -> None:
    test = EvaluationSet("ref", read("a"), [read(name) for name in references])
    translations = {name: read(name) for name in "abc"}
    scores = [all_scores(lines, test.references[0], "13a", test.references[1:]) for lines in translations.values()]
    scores = [{name: of_file[name] for name in (*metrics, "rouge_l")} for of_file in scores]
    cells = file_cells(translations, scores, test)
    systems = sacrebleu_systems(references, kind, metrics)
    for name in metrics:
        for cell, system in zip(cells[name][1:], systems, strict=True):
            expected = system[SACREBLEU_NAMES[name]]
            assert getattr(cell, field) == expected["p_value"]
            assert cell is not None
            assert cell.mean == pytest.approx(expected["score"], abs=1e-8)
    for column in (cells[name] for name in metrics):
        tested = [cell for cell in column if cell is not None and cell.corrected_p is not None]
        larger = [max(cell.bootstrap_p or 0, cell.randomisation_p or 0) for cell in tested]
        assert len(tested) == 2
        assert [cell.corrected_p for cell in tested] == pytest.approx(holm(larger))
    for number, cell in enumerate(cells["bleu"]):
        assert cell is not None
        assert cell.interval == pytest.approx(scores[number]["bleu"].interval, abs=1e-5)
    grid = files_grid(translations, scores, test)
    assert [row[:2] for row in grid.rows[:3]] == [["BLEU", "a"], ["BLEU", "b"], ["BLEU", "c"]]
    assert sum(note.startswith(f"BLEU: nrefs:{len(references)}|") for note in grid.notes) == 1


def exact_p(first: list[float], second: list[float]) -> float:
    """Return the share of all ways to swap sentences whose mean difference exceeds the observed one."""
    differences = [one - other for one, other in zip(first, second, strict=True)]
    signs = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(sign * value for sign, value in zip(way, differences, strict=True))) for way in signs]
    return sum(total > sums[0] + 1e-9 for total in sums) / len(sums)


def test_means_over_sentences_are_tested_as_by_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [0.61, 0.72, 0.55, 0.83, 0.47, 0.66, 0.71, 0.58]
    changes = [0.031, -0.022, 0.054, 0.077, -0.011, 0.043, -0.036, 0.029]
    near = [value + change for value, change in zip(first, changes, strict=True)]
    far = [value - 0.1 for value in first]
    monkeypatch.setattr(significance, "TRIALS", 20_000)
    scores = [{"comet": mean_score(values, "model:any")} for values in (first, near, far)]
    translations = {name: ["x"] * len(first) for name in "abc"}
    _, second, third = file_cells(translations, scores, EvaluationSet("ref", ["x"] * 8, [["x"] * 8]))["comet"]
    assert second is not None
    assert third is not None
    assert second.mean == pytest.approx(sum(near) / 8)
    assert exact_p(first, near) > 0.1
    assert second.randomisation_p == pytest.approx(exact_p(first, near), abs=0.015)
    assert second.verdict == "undecided"
    assert third.verdict == "worse"
    assert third.bootstrap_p == 1 / 1001  # all sentences differ by the same amount


def test_comet_scores_every_file_with_the_first_reference(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def model(src: list[str], hypotheses: list[str], references: list[str], labels: dict[str, str]) -> Score:
        calls.append((src, hypotheses, references))
        shares = [float(one == other) for one, other in zip(hypotheses, references, strict=True)]
        return mean_score(shares, "model:any")

    monkeypatch.setattr("nmt.cli.score.Comet", lambda name, gpu: model)
    score(hyp="a", further_hyps=["b", "c"], ref="ref", further_refs=["ref2"], src="d", comet="Some/model")
    assert calls == [(read("d"), read(name), read("ref")) for name in "abc"]
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.split("\n") if "│ COMET" in line]
    assert [row[1:3] for row in rows] == [["a", "0.6667"], ["b", "0.5000"], ["c", "0.6667"]]
    assert all(row[4] for row in rows[1:])
    assert "it uses the first of 2" in caplog.text


def score(**settings: Any) -> None:
    command(OmegaConf.structured(ScoreConfig(**settings)))


def test_the_command_prints_a_row_per_score_and_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(hyp="a", further_hyps=["d"], ref="ref", further_refs=["ref2"])
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.split("\n") if line.startswith("│")]
    assert [row[:2] for row in rows] == [
        [title, file] for title in ("BLEU", "chrF", "chrF++", "TER", "ROUGE-L") for file in "ad"
    ]
    assert [row[-2] for row in rows[:2]] == ["", "worse"]
    assert "60 sentences, 2 references" in printed


def test_files_that_cannot_be_compared_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="further_hyps and hyp name a file twice"):
        score(hyp="a", further_hyps=["a"], ref="ref")
    Path("short").write_text("one line\n", encoding="utf-8")
    with pytest.raises(UserError, match="hyp has 60 lines and short 1; give parallel files"):
        score(hyp="a", further_hyps=["short"], ref="ref")
