"""Standard input, output and error in UTF-8, with errors that name the stream."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

OUTPUT = "standard output"


class StandardFile(io.FileIO):
    """The file of a standard stream. Its errors carry the name of the stream as their file name."""

    def __init__(self, descriptor: int, mode: str, label: str) -> None:
        super().__init__(descriptor, mode, closefd=False)
        self.label = label

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        with self.named_errors():
            return super().write(data)

    def readinto(self, buffer: Any) -> int | None:
        with self.named_errors():
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with self.named_errors():
            return super().readall()

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Put the name of the stream into an error; that of a closed pipe stays a `BrokenPipeError`."""
        try:
            yield
        except OSError as error:
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise OSError(error.errno, reason, self.label) from None


def prepare_streams() -> None:
    """Use UTF-8 in all streams, arguments and file names, independently of the locale and PYTHONIOENCODING.

    If Python decodes arguments and file names with another encoding, the process restarts in Python's UTF-8 mode. A
    closed stream is replaced by one that fails at its first use, so that no other file gets its descriptor.
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
            errors="surrogateescape",  # file names that are not UTF-8
            newline="\n",
            line_buffering=file.isatty() or bool(os.environ.get("PYTHONUNBUFFERED")),
        )
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")


def flush_output() -> None:
    """Flush standard output; drop its buffer if it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        drop_output()


def drop_output() -> None:
    """Redirect the rest of standard output to the null device, so that Python does not fail at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()
