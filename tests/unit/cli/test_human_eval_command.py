"""The human_eval command: its first word, and sheets without answers."""

import logging
from pathlib import Path

import pytest
from simulated_raters import SimulatedRater, fill_sheet, toy_design

from nmt.cli.human_eval import import_answers, with_action_as_key
from nmt.config import HumanEvalConfig
from nmt.errors import UserError
from nmt.lab.judgements.export import write_campaign


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        (["export", "folder=f"], ["action=export", "folder=f"]),
        (["folder=f", "import"], ["folder=f", "action=import"]),
        (["foo"], ['action="foo"']),
        (["export", "foo"], ["action=export", "foo"]),
        (["--config-dir", "foo", "bar"], ["--config-dir", "foo", 'action="bar"']),
        (["--help"], ["--help"]),
        (["action=score", "folder=f"], ["action=score", "folder=f"]),
    ],
)
def test_the_first_word_is_the_action(words: list[str], expected: list[str]) -> None:
    assert with_action_as_key(words) == expected


def test_a_sheet_without_answers_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    design, folder = toy_design(), tmp_path / "judge"
    write_campaign(design, folder)
    filled, empty, log = tmp_path / "anna.csv", folder / "sheets/rater2.csv", tmp_path / "log.jsonl"
    fill_sheet(folder / "sheets/rater1.csv", design, SimulatedRater("anna", 1), filled)
    log.write_text("")
    with pytest.raises(UserError, match=r"rater2\.csv and .*log\.jsonl have no answers; give filled sheets"):
        import_answers(HumanEvalConfig("import", str(folder), answers=[str(empty), str(log)]))
    assert not (folder / "ratings.csv").exists()
    with caplog.at_level(logging.WARNING, logger="nmt"):
        import_answers(HumanEvalConfig("import", str(folder), answers=[str(filled), str(empty), str(log)]))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{empty} has no answers",
        f"{log} has no answers",
    ]
    assert capsys.readouterr().out.startswith("anna: ")
