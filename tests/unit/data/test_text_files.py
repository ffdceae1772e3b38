"""Reader and writer of text: files, pipes, standard input, and refused input."""

import gzip
import io
import os
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt.data import check_new_text_file, read_all, read_available, read_for_scoring, written
from nmt.errors import UserError

LINES = ["the house", "", "the\u2028garden", "die Tür"]
CONTENT = "\ufeffthe house\r\n\nthe\u2028garden\ndie Tür".encode()


@contextmanager
def pipe(content: bytes) -> Iterator[Path]:
    """Return the reading end of a pipe as a path, as in a shell's process substitution."""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        threading.Thread(target=lambda: (process.stdin.write(content), process.stdin.close())).start()
        yield Path(f"/dev/fd/{process.stdout.fileno()}")


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_and_standard_input_are_read_as_a_file_is(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(CONTENT) if packed else CONTENT
    with pipe(content) as path:
        assert read_all(path) == LINES
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(content))))
    assert read_all(Path("-")) == LINES


def test_the_lines_of_a_pipe_are_there_before_the_next_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as source, open(writing, "wb", buffering=0) as sink:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=source))
        lines = read_available(Path("-"))
        for number in range(3):
            sink.write(f"line {number}\nhalf ".encode())
            block = next(lines)
            assert block == [f"{'half ' * bool(number)}line {number}"]


def test_closed_standard_input_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="standard input is closed; give the name of a file"):
        read_all(Path("-"))


@pytest.mark.parametrize(
    ("command", "name", "remedy"),
    [
        (["bzip2", "-c"], "bzip2", "bzip2 -dc"),
        (["xz", "-c"], "xz", "xz -dc"),
        (["iconv", "-f", "UTF-8", "-t", "UTF-16"], "UTF-16", "iconv -f UTF-16"),
        (["tar", "-c", "-f", "-", "text"], "tar", "tar -xO"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_other_formats_are_refused_with_the_command_that_reads_them(
    tmp_path: Path, command: list[str], name: str, remedy: str, packed: bool
) -> None:
    (tmp_path / "text").write_bytes(b"the house\n" * 20)
    try:
        made = subprocess.run(
            command, input=b"the house\n" * 20, stdout=subprocess.PIPE, cwd=tmp_path, check=True
        ).stdout
    except FileNotFoundError:
        pytest.skip(f"no {command[0]}")
    (tmp_path / "text").write_bytes(gzip.compress(made) if packed else made)
    with pytest.raises(UserError, match=rf"text: line 1 is not UTF-8 text but {name} data; convert it .*{remedy}"):
        read_all(tmp_path / "text")


def test_what_is_scored_is_in_the_normal_form_of_translations(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = ["die Tür", "zwei  Türen ", "ein\u200bs", "offen"]
    decomposed = [unicodedata.normalize("NFD", line) for line in lines]
    (tmp_path / "ref").write_text("".join(f"{line}\n" for line in decomposed), encoding="utf-8")
    assert read_for_scoring(tmp_path / "ref") == ["die Tür", "zwei  Türen ", "eins", "offen"]
    assert "ref: 3 of 4 lines, the first of them line 1, are not in Unicode NFC" in caplog.text
    caplog.clear()
    (tmp_path / "ref").write_text("die Tür\noffen\n", encoding="utf-8")
    assert read_for_scoring(tmp_path / "ref") == ["die Tür", "offen"]
    assert caplog.text == ""


def test_a_written_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def stopped(words: str) -> None:
        with written(str(target)) as file:
            file.write(words)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stopped("")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError):
        stopped("die Tür\n")
    assert [path.name for path in tmp_path.iterdir()] == [
        "out.part"
    ]  # partial output is kept, because it may be the result of hours of translation
    with written(str(target)) as file:
        file.write("die Tür\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_bytes() == "die Tür\n".encode()
    with pytest.raises(UserError, match=r"^output=.*out exists already; choose another name or delete it$"):
        check_new_text_file(str(target), "output")


def test_a_pipe_and_standard_output_are_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as source:
        path = f"/dev/fd/{writing}"
        check_new_text_file(path, "output")
        with written(path) as file:
            file.write("die Tür\n")
        os.close(writing)
        assert source.read() == "die Tür\n".encode()
    check_new_text_file("-", "output")
    with written("-") as file:
        file.write("offen\n")
    assert capsys.readouterr().out == "offen\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named() -> None:
    def fill() -> None:
        with written("/dev/full") as file:
            file.write("the house\n")

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert str(caught.value.filename) == "/dev/full"
