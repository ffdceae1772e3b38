"""Standard input, output and error: always UTF-8, and with errors that name the stream."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

OUTPUT = "standard output"


class StandardFile(io.FileIO):
    """The file of a standard stream. Its errors carry the stream's name in the place of a file's."""

    def __init__(self, descriptor: int, mode: str, label: str) -> None:
        super().__init__(descriptor, mode, closefd=False)
        self.label = label

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            raise self.named(error) from None

    def readinto(self, buffer: Any) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise self.named(error) from None

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise self.named(error) from None

    def named(self, error: OSError) -> OSError:
        """Return the error with the name of the stream; for a closed pipe it is a `BrokenPipeError` again."""
        said = "it is closed" if error.errno == errno.EBADF else error.strerror
        return OSError(error.errno, said, self.label)


def prepare_streams() -> None:
    """Make text UTF-8 in every stream, argument and file name, whatever the locale or PYTHONIOENCODING say.

    Where Python itself decodes arguments and file names otherwise, it is started again in its UTF-8 mode. A closed
    stream is replaced, so that no file gets its number, and fails at the first use.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.environ.pop("PYTHONIOENCODING", None)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    if sys.stdin is sys.__stdin__:
        descriptor = os.open(os.devnull, os.O_WRONLY) if sys.stdin is None else sys.stdin.fileno()
        file = StandardFile(descriptor, "r", "standard input")
        sys.stdin = io.TextIOWrapper(io.BufferedReader(file), encoding="utf-8")
    if sys.stdout is sys.__stdout__:
        descriptor = os.open(os.devnull, os.O_RDONLY) if sys.stdout is None else sys.stdout.fileno()
        file = StandardFile(descriptor, "w", OUTPUT)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(file),
            encoding="utf-8",
            errors="surrogateescape",  # names of files that are not UTF-8
            newline="\n",
            line_buffering=file.isatty() or bool(os.environ.get("PYTHONUNBUFFERED")),
        )
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")


def flush_output() -> None:
    """Write out what standard output holds; what cannot be written is dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        drop_output()


def drop_output() -> None:
    """Send what is left of standard output to nowhere, so that Python does not fail with it at the exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()
