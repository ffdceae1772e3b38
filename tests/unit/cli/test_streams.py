"""Tests of standard streams with pipes, full disks and other locales, in real processes without torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent
COMMAND = """
import sys
from nmt.cli.app.streams import prepare_streams
prepare_streams()
{body}
"""
PRINT = "print('Straße 門 ' + sys.argv[1]); sys.stdout.flush(); open(sys.argv[1], 'w').close()"


def run(body: str, tmp_path: Path, *arguments: str, shell: str = "", **settings: str) -> subprocess.CompletedProcess:  # type: ignore[type-arg]
    """Run code with prepared standard streams; `shell` is appended to the shell command."""
    script = tmp_path / "script.py"
    script.write_text(COMMAND.format(body=body), encoding="utf-8")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    line = f'"$0" "$@" {shell}'
    return subprocess.run(
        ["bash", "-c", line, sys.executable, str(script), *arguments],
        cwd=tmp_path,
        env={**plain, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii:strict"},
    ],
    ids=str,
)
def test_text_arguments_and_file_names_are_utf8(settings: dict[str, str], tmp_path: Path) -> None:
    done = run(PRINT, tmp_path, "Köln", **settings)
    if settings.get("PYTHONUTF8") == "0":  # what the user forces stays a matter of file names and arguments alone
        assert done.returncode == 0, done.stderr
    assert done.stdout == "Straße 門 Köln\n".encode()
    assert done.stderr == b""
    assert "Köln".encode() in [os.fsencode(path.name) for path in tmp_path.iterdir()]


def test_input_is_utf8(tmp_path: Path) -> None:
    done = run("print(ascii(input()))", tmp_path, shell="<<< 'Straße'", PYTHONIOENCODING="latin-1")
    assert done.stdout == b"'Stra\\xdfe'\n"


FAILING = """
try:
    {action}
except OSError as error:
    print(type(error).__name__, error.filename, error.strerror, sep='|', file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("action", "shell", "message"),
    [
        ("print('x'); sys.stdout.flush()", "> /dev/full", "OSError|standard output|No space left on device"),
        ("print('x'); sys.stdout.flush()", ">&-", "OSError|standard output|it is closed"),
        ("sys.stdin.read()", "<&-", "OSError|standard input|it is closed"),
        ("sys.stdin.buffer.read1(9)", "<&-", "OSError|standard input|it is closed"),
        ("sys.stdin.buffer.readline()", "<&-", "OSError|standard input|it is closed"),
        (
            "import time; time.sleep(0.3); print('x' * 99999, flush=True)",
            "| true",
            "BrokenPipeError|standard output|Broken pipe",
        ),
    ],
)
def test_an_error_names_the_stream(action: str, shell: str, message: str, tmp_path: Path) -> None:
    body = FAILING.format(action=action) + "from nmt.cli.app.streams import drop_output\ndrop_output()"
    done = run(body, tmp_path, shell=f"{shell}")
    assert done.stderr.decode() == message + "\n"


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    done = run("file = open('made', 'w'); print(file.fileno(), file=sys.stderr)", tmp_path, shell="<&- >&-")
    assert int(done.stderr) > 2
    assert (tmp_path / "made").read_bytes() == b""


def test_a_closed_standard_error_is_no_reason_to_fail(tmp_path: Path) -> None:
    done = run("print('error', file=sys.stderr); print('result')", tmp_path, shell="2>&-")
    assert (done.returncode, done.stdout) == (0, b"result\n")
