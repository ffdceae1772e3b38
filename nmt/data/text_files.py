"""The reader of all text that a command is given, and the writer of the text files that it makes.

A text is a file, a pipe or standard input (`-`). It is read once, from its beginning to its end.
"""

import gzip
import io
import logging
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, TextIO

from nmt.config.paths import path_of
from nmt.data.preprocessing.cleaning import normalise_characters
from nmt.errors import Unfinished, UserError

STANDARD = "-"
"""The name of standard input, and of standard output."""
MOST_IN_A_LINE = 1 << 20
"""Bytes. A kilobyte of gzip can hold a megabyte without a line end, and a megabyte of it more than memory does."""
MOST_IN_MEMORY = 1 << 26
"""Bytes of text that is kept in memory as a whole: half a million sentences."""
LEAST_OF_A_LINE = 64
"""Bytes that a line counts, for it takes as many in memory if it is empty."""
MOST_UNCHECKED = 1 << 30
"""Bytes that a gzip file may hold however small it is ..."""
MOST_PACKED = 100
"""... and behind them, bytes for each of its own. Text has 3 to 10; gzip can do 1000."""
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20  # bytes that are looked at together
_READ = 1 << 15  # bytes that are cut into lines together
_OTHERS = (
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bzip2", "bzip2 -dc"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz", "xz -dc"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "Zstandard", "zstd -dc"),
    (re.compile(rb"PK\x03\x04"), "zip", "unzip -p"),
    (re.compile(rb"(?s).{257}ustar"), "tar", "tar -xO -f"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "UTF-16", "iconv -f UTF-16 -t UTF-8"),
)
"""Formats that are told by their first bytes and not decoded here, and the command that does."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stretch:
    """Some lines of a text file that follow each other, found without reading those before."""

    file: str
    """As the user knows it."""
    plain: str
    """Where its text is; the same file unless that is packed."""
    start: int
    """Byte of the text that the first of the lines begins at."""
    before: int
    """Lines before it."""
    lines: int


def read_lines(path: Path, most: float = float("inf")) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their line ends. gzip is told by the first bytes.

    Lines end at "\\n" or "\\r\\n" and at no other character. A byte order mark at the start is dropped.

    Raises:
        UserError: the text cannot be read or is not UTF-8, gzip data is damaged, a line has more than
            `MOST_IN_A_LINE` bytes, or the unpacked text more than `most` (a line counts at least `LEAST_OF_A_LINE`).
    """
    return chain.from_iterable(read_available(path, most))


def read_available(path: Path, most: float = float("inf")) -> Iterator[list[str]]:
    """Yield the same lines as soon as they are there, in lists: of a pipe never waits for more than the next line."""
    try:
        with _opened(path) as file:
            yield from _lines(file, path, most)
    except OSError as error:
        raise _explained(error, path, 0) from error


def read_all(path: Path, most: float = MOST_IN_MEMORY) -> list[str]:
    """Return the lines of a text that is kept in memory; raise as `read_lines`, for a large one too."""
    return list(read_lines(path, most))


def read_scored(path: Path) -> list[str]:
    """Return the lines of references, or of translations to score, in the normal form that a model's output has.

    Unicode NFC, no invisible characters; white space stays. A warning says what this alters, because scores of the
    text as it is would be others, mostly lower.
    """
    lines = read_all(path)
    normal = [normalise_characters(line) for line in lines]
    altered = [number for number, pair in enumerate(zip(lines, normal, strict=True), start=1) if pair[0] != pair[1]]
    if altered:
        log.warning(
            "%s: %d of %d lines, the first of them line %d, are not in Unicode NFC or have invisible characters; "
            "they are scored in NFC without these",
            *(named(path), len(altered), len(lines), altered[0]),
        )
    return normal


def read_stretch(stretch: Stretch) -> Iterator[str]:
    """Yield these lines as `read_lines` does; raise what it raises, and UserError if they are not all there."""
    path, count = Path(stretch.file), 0
    try:
        with open(stretch.plain, "rb") as file:
            file.seek(stretch.start)
            lines = chain.from_iterable(_lines(file, path, before=stretch.before, packed=False))
            for line in islice(lines, stretch.lines):
                count += 1
                yield line
    except OSError as error:
        raise _explained(error, path, stretch.before + count) from error
    if count < stretch.lines:
        raise UserError(f"{stretch.file} became shorter while it was read; start again when nothing writes to it")


def read_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the text of a file, unpacked if it is gzip, in blocks; raise what `read_lines` raises of whole files.

    Each comes with the number of bytes of the file that were read for it.
    """
    lines = total = before = 0
    allowed = MOST_UNCHECKED
    try:
        with open(path, "rb") as file:
            text = _unpacked(file)
            while block := text.read(_BLOCK):
                if not total:
                    _refuse_other_formats(block, path)
                lines += block.count(b"\n")
                total += len(block)
                if total > allowed and text is not file:
                    allowed = _allowed(path, file, total, lines)
                yield block, file.tell() - before
                before = file.tell()
    except (OSError, EOFError, zlib.error) as error:
        raise _explained(error, path, lines) from error


def is_packed(path: Path) -> bool:
    with open(path, "rb") as file:
        return _unpacked(file) is not file


def is_regular(path: Path) -> bool:
    """Return whether a text is a file, which can be read again, and not a pipe, a device or standard input."""
    return str(path) != STANDARD and path.is_file()


def named(path: Path | str) -> str:
    """Return what messages call a text."""
    return "standard input" if str(path) == STANDARD else str(path)


def _lines(
    file: BufferedReader, path: Path, most: float = float("inf"), before: int = 0, packed: bool = True
) -> Iterator[list[str]]:
    """Yield the lines of an open text, in lists as they come; raise as `read_lines`."""
    number, total, allowed, rest = before, 0, MOST_UNCHECKED, b""
    try:
        text = _unpacked(file) if packed else file
        data = text.read1(_READ)
        if packed:
            _refuse_other_formats(data, path)
        while data or rest:
            *raw, rest = (rest + data).split(b"\n") if data else (rest, b"")
            lines: list[str] = []
            try:
                for line in raw:
                    number += 1
                    total += max(len(line) + 1, LEAST_OF_A_LINE)
                    _check_length(line, path, number)
                    if total > most:
                        raise UserError(
                            f"{named(path)}: has more than {most:,} bytes to keep in memory; use a part of it"
                        )
                    if total > allowed and text is not file:
                        allowed = _allowed(path, file, total, number)
                    lines.append(_decoded(line, number))
                _check_length(rest, path, number + 1)
            except (UserError, UnicodeDecodeError):
                yield lines  # those before the fault
                raise
            yield lines
            data = text.read1(_READ)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _explained(error, path, number) from error


def _check_length(line: bytes, path: Path, number: int) -> None:
    if len(line) > MOST_IN_A_LINE:
        raise UserError(
            f"{named(path)}: line {number} is longer than {MOST_IN_A_LINE:,} bytes; write one sentence a line"
        )


def _allowed(path: Path, file: BufferedReader, total: int, number: int) -> int:
    """Return the bytes that what has been read of a gzip file may hold, for it holds `total` up to line `number`."""
    if not file.seekable():
        return sys.maxsize  # of a pipe it is not known how much was read, and the text is not kept
    allowed = MOST_PACKED * file.tell()
    if total > allowed:
        raise UserError(
            f"{path}: holds {MOST_PACKED} times what text of its size does, up to line {number}; "
            "unpack it yourself if you trust it"
        )
    return allowed


def _decoded(line: bytes, number: int) -> str:
    if number == 1:
        line = line.removeprefix(_BOM)
    return line.decode("utf-8").removesuffix("\r")


def _refuse_other_formats(begin: bytes, path: Path) -> None:
    for magic, name, command in _OTHERS:
        if magic.match(begin):
            raise UserError(f"{named(path)}: line 1 is not UTF-8 text but {name} data; convert it first with {command}")


def _explained(error: Exception, path: Path, number: int) -> UserError:
    """Return what reading a file failed with, in one line; `number` is the last line that was read."""
    name = named(path)
    if isinstance(error, UnicodeDecodeError):
        return UserError(
            f"{name}: line {number} is not UTF-8 "
            f"(0x{error.object[error.start]:02x} at byte {error.start + 1} of the line); "
            "convert the file, for example with iconv -t UTF-8"
        )
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return Unfinished(f"{name}: cannot be read ({error.strerror or error}); check the name and the file's rights")
    return UserError(f"{name}: gzip data cut off or damaged after line {number}; get the file again ({error})")


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    if str(path) != STANDARD:
        with open(path, "rb") as file:
            yield file
    elif sys.stdin is None:
        raise UserError("standard input is closed; give the name of a file")
    else:
        buffer: Any = sys.stdin.buffer
        yield buffer if isinstance(buffer, BufferedReader) else BufferedReader(buffer)


def _unpacked(file: BufferedReader) -> BufferedReader | gzip.GzipFile:
    if file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file)
    return file


class _NamedFile(io.FileIO):
    """A file whose errors in writing name it, as those in opening do."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            error.filename = self.name
            raise


def new_text_file(given: str, key: str) -> None:
    """Check that a text can be written: to a new file, to a pipe or device, or to standard output.

    Raises:
        UserError: there is a file of this name.
    """
    if given == STANDARD:
        return
    path = path_of(given)
    if path.exists() and (S_ISREG(path.stat().st_mode) or S_ISDIR(path.stat().st_mode)):
        raise UserError(f"{key}={given} exists already; choose another name or delete it")


@contextmanager
def written(given: str) -> Iterator[TextIO]:
    """Open a text for writing, in UTF-8: standard output, a pipe or device, or a file.

    A file has the name `GIVEN.part` until all is written: it is complete or not there.
    """
    if given == STANDARD:
        yield sys.stdout
        return
    target = path_of(given)
    special = target.exists() and not target.is_file()
    partial = target if special else target.with_name(f"{target.name}.part")
    try:
        try:
            raw = _NamedFile(partial, "w")
        except OSError as error:
            raise UserError(f"{given}: {error.strerror}; check the path and its rights") from None
        with io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", newline="\n") as file:
            yield file
    finally:
        if not special and partial.is_file() and partial.stat().st_size == 0 and sys.exc_info()[0] is not None:
            partial.unlink()
    if not special:
        os.replace(partial, target)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file, whole or not at all."""
    with written(str(path)) as file:
        file.writelines(f"{line}\n" for line in lines)
