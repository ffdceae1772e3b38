"""What `make` calls, with a python that only notes how it was called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"
TRAIN, MEASURE = "scripts/questions.py jobs=2", "scripts/questions.py measure=true"
NOTES = """#!/bin/sh
echo "$*" >> called
case "$*" in *measure=true*) exit $MEASURED;; esac
exit $TRAINED
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("given", "trained", "measured", "called", "fails"),
    [
        ("", 0, 0, [TRAIN, MEASURE], False),
        ("question=cell", 0, 0, [f"{TRAIN} question=cell", f"{MEASURE} question=cell"], False),
        ("question=cell dry=true", 0, 0, [f"{TRAIN} question=cell dry=true"], False),
        ("dry=true", 2, 0, [f"{TRAIN} dry=true"], True),
        ("", 2, 0, [TRAIN, MEASURE], True),
        ("", 0, 1, [TRAIN, MEASURE], True),
        ("", 130, 0, [TRAIN], True),
    ],
)
def test_the_questions_are_measured_though_a_training_failed_and_the_failure_is_told(
    tmp_path: Path, given: str, trained: int, measured: int, called: list[str], fails: bool
) -> None:
    for name in ("pyproject.toml", "constraints.txt", "ready"):  # the last one is the newest
        (tmp_path / name).touch()
    (tmp_path / "python").write_text(NOTES, encoding="utf-8")
    (tmp_path / "python").chmod(0o755)
    command = ["make", "-f", str(MAKEFILE), "questions", "READY=ready", "BIN=.", f"QUESTIONS={given}"]
    codes = {"TRAINED": str(trained), "MEASURED": str(measured)}
    made = subprocess.run(command, cwd=tmp_path, env=os.environ | codes, capture_output=True, check=False)
    assert (tmp_path / "called").read_text(encoding="utf-8").strip().split("\n") == called
    assert bool(made.returncode) == fails
