"""The file of corrections: both formats, errors that name line and key, and appending from several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.data import Correction, append_correction, check_new_corrections, latest, read_corrections
from nmt.data import corrections as module
from nmt.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
FIRST = Correction("The house is red.", "Das Haus ist rot.", "Das Haus rot.", "en", "de")
WRITER = """
import sys
from pathlib import Path
from nmt.data import Correction, append_correction
for number in range(40):
    append_correction(Path(sys.argv[1]), Correction(f"{sys.argv[2]} {number} " + "a" * 3000, "b"))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corrections.jsonl"


def test_corrections_are_read_as_they_were_appended(path: Path) -> None:
    strange = Correction('"quoted"\u2028 \\ 家', "¿{}?")
    append_correction(path, FIRST)
    append_correction(path, strange)
    assert read_corrections(path) == [(1, FIRST), (2, Correction('"quoted" \\ 家', "¿{}?"))]
    assert json.loads(path.read_text(encoding="utf-8").split("\n")[1]).keys() == {"source", "correction"}


def test_a_line_without_an_end_is_ended_first(path: Path) -> None:
    path.write_text('\n{"source": "a", "correction": "b"}', encoding="utf-8")
    append_correction(path, FIRST)
    assert read_corrections(path) == [(2, Correction("a", "b")), (3, FIRST)]


def test_a_table_has_two_or_three_columns(tmp_path: Path) -> None:
    table = tmp_path / "terms.tsv"
    table.write_text("\ufeffa  b\tc\r\n\nd\te\tf\n", encoding="utf-8")
    assert read_corrections(table) == [(1, Correction("a b", "c")), (3, Correction("d", "e", "f"))]
    table.write_text("a\tb\nc\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"terms\.tsv: line 2 has 1 columns"):
        read_corrections(table)


@pytest.mark.parametrize("header", ["source\tcorrection", "\ufeffSource\tCorrection\ttranslation", "source \ttarget"])
def test_a_line_of_column_names_is_left_out(header: str, tmp_path: Path) -> None:
    table = tmp_path / "corrections.tsv"
    table.write_text(f"{header}\na\tb\n", encoding="utf-8")
    assert read_corrections(table) == [(2, Correction("a", "b"))]
    table.write_text(f"a\tb\n{header}\n", encoding="utf-8")
    assert len(read_corrections(table)) == 2
    table.write_text(f"{header}\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no corrections"):
        read_corrections(table)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("source", "is not a JSON object"),
        ("[" * 100_000, "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ('{"source": "a"}', "correction is missing"),
        ('{"source": " ", "correction": "b"}', "source is empty"),
        ('{"source": "a", "correction": 3}', "correction is 3; write a text"),
        ('{"source": "a", "corection": "b"}', "has the key 'corection'; allowed: source, correction"),
        (json.dumps({"source": "a", "correction": "b" * 5001}), "correction has 5,001 characters"),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_key(path: Path, line: str, problem: str) -> None:
    path.write_text('{"source": "a", "correction": "b"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_corrections(path)
    assert f"{path}: line 2" in str(error.value)
    assert problem in str(error.value)
    assert len(str(error.value)) < 300


def test_a_file_without_corrections_is_refused(path: Path) -> None:
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(UserError, match="has no corrections"):
        read_corrections(path)


def test_the_last_correction_of_a_sentence_counts() -> None:
    again = Correction(FIRST.source, "Rot ist das Haus.", src_lang="en", tgt_lang="de")
    other = Correction(FIRST.source, "La maison est rouge.", src_lang="en", tgt_lang="fr")
    assert latest([(1, FIRST), (2, other), (5, again)]) == [(5, again), (2, other)]


def test_processes_that_append_at_the_same_time_keep_their_lines_apart(path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name], env=environment) for name in ("one", "two")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    found = [each.source.split()[:2] for _, each in read_corrections(path)]
    assert sorted(found) == sorted([name, str(number)] for name in ("one", "two") for number in range(40))
    for name in ("one", "two"):
        assert [number for writer, number in found if writer == name] == [str(number) for number in range(40)]


def test_a_full_file_and_a_full_disk_leave_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_correction(path, FIRST)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module, "MAX_CORRECTIONS_BYTES", len(before) + 10)
        with pytest.raises(UserError, match="has reached"):
            append_correction(path, FIRST)
    with monkeypatch.context() as patch:

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left on device"):
            append_correction(path, FIRST)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_appended_to_is_refused_at_the_start(tmp_path: Path) -> None:
    for path, problem in (
        (tmp_path / "terms.tsv", "saved as JSON lines"),
        (tmp_path, "is not a file"),
        (Path("/dev/null"), "is not a file"),
        (tmp_path / "missing" / "file", "does not exist"),
    ):
        with pytest.raises(UserError, match=problem):
            check_new_corrections(path)
    check_new_corrections(tmp_path / "new.jsonl")
    assert not list(tmp_path.iterdir())
