"""Tests of significance tests of files, against sacrebleu's command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nmt.cli.score import command
from nmt.config import ScoreConfig
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison.files import file_cells, files_grid
from nmt.metrics import all_scores, holm, significance
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
    assert [cell and cell.verdict for cell in cells["rouge_l"]] == [None] * 3
    grid = files_grid(translations, scores, test)
    assert [row[:2] for row in grid.rows[:3]] == [["BLEU", "a"], ["BLEU", "b"], ["BLEU", "c"]]
    assert sum(note.startswith(f"BLEU: nrefs:{len(references)}|") for note in grid.notes) == 1


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
