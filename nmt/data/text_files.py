"""Reader of all text input of commands, and writer of their text output.

A text is a file, a pipe or standard input (`-`). It is read once, from beginning to end.
"""

import gzip
import io
import logging
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, TextIO

from nmt.config.paths import user_path
from nmt.data.preprocessing.cleaning import normalise_characters
from nmt.errors import Unfinished, UserError

STANDARD = "-"
"""Name of standard input and of standard output."""
MAX_LINE_BYTES = 1 << 20
"""Maximum number of bytes in a line. A small gzip file can unpack to a line larger than memory."""
MAX_TEXT_BYTES = 1 << 26
"""Maximum number of bytes of a text that is kept in memory as a whole: half a million sentences."""
MIN_LINE_BYTES = 64
"""Minimum number of bytes that a line counts towards such a maximum, because an empty line takes memory, too."""
UNCHECKED_BYTES = 1 << 30
"""Number of unpacked bytes up to which the compression ratio of a gzip file is not checked."""
MAX_COMPRESSION_RATIO = 100
"""Maximum ratio of unpacked to packed bytes beyond `UNCHECKED_BYTES`. Text has 3 to 10; gzip reaches 1000."""
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20  # bytes per block of `read_blocks`
_READ = 1 << 15  # bytes that are split into lines together
_OTHER_FORMATS = (
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bzip2", "bzip2 -dc"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz", "xz -dc"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "Zstandard", "zstd -dc"),
    (re.compile(rb"PK\x03\x04"), "zip", "unzip -p"),
    (re.compile(rb"(?s).{257}ustar"), "tar", "tar -xO -f"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "UTF-16", "iconv -f UTF-16 -t UTF-8"),
)
"""Formats that are detected by their first bytes and refused, with the command that converts them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LineRange:
    """Consecutive lines of a text file, which are read without reading the lines before them."""

    file: str
    """Path of the user's file, for error messages."""
    plain: str
    """Path of the uncompressed text; the same file unless that is gzip."""
    start: int
    """Byte offset of the first line in the text."""
    before: int
    """Number of lines before the first line."""
    lines: int
    """Number of lines."""


def read_lines(path: Path, most: float = float("inf")) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their line ends. gzip is detected by its first bytes.

    Lines end at "\\n" or "\\r\\n" and at no other character. A byte order mark at the start is dropped.

    Args:
        path: the text.
        most: maximum number of unpacked bytes; a line counts as at least `MIN_LINE_BYTES`.

    Raises:
        UserError: the text cannot be read, is not UTF-8 or has more than `most` bytes, gzip data is damaged, or a line
            has more than `MAX_LINE_BYTES` bytes.
    """
    return chain.from_iterable(read_available(path, most))


def read_available(path: Path, most: float = float("inf")) -> Iterator[list[str]]:
    """Yield the lines of `read_lines` in lists, as soon as they are available: a pipe is not read ahead."""
    try:
        with _open(path) as file:
            yield from _lines(file, path, most)
    except OSError as error:
        raise _read_error(error, path, 0) from error


def read_all(path: Path, most: float = MAX_TEXT_BYTES) -> list[str]:
    """Return the lines of a text of at most `most` bytes; raise what `read_lines` raises."""
    return list(read_lines(path, most))


def read_for_scoring(path: Path) -> list[str]:
    """Return lines of references, or of translations to score, in the same normal form as a model's output.

    The normal form is Unicode NFC without invisible characters; white space is kept. A warning reports altered lines,
    because scores of the unaltered text would differ and mostly be lower.
    """
    return in_scored_form(read_all(path), named(path))


def in_scored_form(lines: Sequence[str], name: str) -> list[str]:
    """Return lines in the normal form of `read_for_scoring`, with its warning, which gives the name of the text."""
    normal = [normalise_characters(line) for line in lines]
    altered = [number for number, pair in enumerate(zip(lines, normal, strict=True), start=1) if pair[0] != pair[1]]
    if altered:
        log.warning(
            "%s: %d of %d lines, the first of them line %d, are not in Unicode NFC or have invisible characters; "
            "they are scored in NFC without invisible characters",
            *(name, len(altered), len(lines), altered[0]),
        )
    return normal


def decode_whole(data: bytes, path: Path) -> str:
    """Return a file that was read as a whole as text, with its byte order mark and line ends.

    Raises:
        UserError: it is not UTF-8, or is compressed.
    """
    if data.startswith(_GZIP_MAGIC):
        raise UserError(f"{named(path)}: is gzip data; convert it first with gzip -dc")
    _refuse_other_formats(data, path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        begin = data.rfind(b"\n", 0, error.start) + 1
        number = data.count(b"\n", 0, begin) + 1
        place = UnicodeDecodeError("utf-8", data[begin:], error.start - begin, error.end - begin, error.reason)
        raise _read_error(place, path, number) from None


def read_line_range(part: LineRange) -> Iterator[str]:
    """Yield the lines of a range; raise what `read_lines` raises, and UserError if lines are missing."""
    path, count = Path(part.file), 0
    try:
        with open(part.plain, "rb") as file:
            file.seek(part.start)
            lines = chain.from_iterable(_lines(file, path, before=part.before, packed=False))
            for line in islice(lines, part.lines):
                count += 1
                yield line
    except OSError as error:
        raise _read_error(error, path, part.before + count) from error
    if count < part.lines:
        raise UserError(f"{part.file} became shorter while it was read; start again when nothing writes to it")


def read_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the unpacked text of a file in blocks, each with the number of bytes read from the file for it.

    Raises what `read_lines` raises, except for faults of single lines.
    """
    lines = total = before = 0
    allowed = UNCHECKED_BYTES
    try:
        with open(path, "rb") as file:
            text = _unpacked(file)
            while block := text.read(_BLOCK):
                if not total:
                    _refuse_other_formats(block, path)
                lines += block.count(b"\n")
                total += len(block)
                if total > allowed and text is not file:
                    allowed = _check_ratio(path, file, total, lines)
                yield block, file.tell() - before
                before = file.tell()
    except (OSError, EOFError, zlib.error) as error:
        raise _read_error(error, path, lines) from error


def is_packed(path: Path) -> bool:
    """Return whether a file is gzip."""
    with open(path, "rb") as file:
        return _unpacked(file) is not file


def is_regular(path: Path) -> bool:
    """Return whether a text is a regular file, which can be read twice, and not a pipe, device or standard input."""
    return str(path) != STANDARD and path.is_file()


def named(path: Path | str) -> str:
    """Return the name of a text for messages."""
    return "standard input" if str(path) == STANDARD else str(path)


def _lines(
    file: BufferedReader, path: Path, most: float = float("inf"), before: int = 0, packed: bool = True
) -> Iterator[list[str]]:
    """Yield the lines of an open text in lists, as they become available; raise what `read_lines` raises."""
    number, total, allowed, rest = before, 0, UNCHECKED_BYTES, b""
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
                    total += max(len(line) + 1, MIN_LINE_BYTES)
                    _check_length(line, path, number)
                    if total > most:
                        raise UserError(
                            f"{named(path)}: has more than {most:,} bytes, too many to keep in memory; use a part of it"
                        )
                    if total > allowed and text is not file:
                        allowed = _check_ratio(path, file, total, number)
                    lines.append(_decode(line, number))
                _check_length(rest, path, number + 1)
            except (UserError, UnicodeDecodeError):
                yield lines  # the lines before the error
                raise
            yield lines
            data = text.read1(_READ)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _read_error(error, path, number) from error


def _check_length(line: bytes, path: Path, number: int) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise UserError(
            f"{named(path)}: line {number} is longer than {MAX_LINE_BYTES:,} bytes; write one sentence per line"
        )


def _check_ratio(path: Path, file: BufferedReader, total: int, number: int) -> int:
    """Check the compression ratio of a gzip file that unpacks to `total` bytes up to line `number`.

    Returns:
        Maximum number of unpacked bytes for the part of the file that was read.
    """
    if not file.seekable():
        return sys.maxsize  # for a pipe the number of bytes read is unknown, and its text is not kept
    allowed = MAX_COMPRESSION_RATIO * file.tell()
    if total > allowed:
        raise UserError(
            f"{path}: unpacks to more than {MAX_COMPRESSION_RATIO} times its size up to line {number}; "
            "unpack it yourself if you trust it"
        )
    return allowed


def _decode(line: bytes, number: int) -> str:
    if number == 1:
        line = line.removeprefix(_BOM)
    return line.decode("utf-8").removesuffix("\r")


def _refuse_other_formats(begin: bytes, path: Path) -> None:
    for magic, name, command in _OTHER_FORMATS:
        if magic.match(begin):
            raise UserError(f"{named(path)}: line 1 is not UTF-8 text but {name} data; convert it first with {command}")


def _read_error(error: Exception, path: Path, number: int) -> UserError:
    """Return an error in reading a text as one line; `number` is the last line that was read."""
    name = named(path)
    if isinstance(error, UnicodeDecodeError):
        return UserError(
            f"{name}: line {number} is not UTF-8 "
            f"(0x{error.object[error.start]:02x} at byte {error.start + 1} of the line); "
            "convert the file, for example with iconv -t UTF-8"
        )
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        remedy = "give a file or a pipe" if name == named(Path(STANDARD)) else "check its name and permissions"
        return Unfinished(f"{name}: cannot be read ({error.strerror or error}); {remedy}")
    return UserError(f"{name}: gzip data cut off or damaged after line {number}; get the file again ({error})")


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader]:
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
    """File whose write errors carry its name, as open errors do."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            error.filename = self.name
            raise


def check_new_text_file(given: str, key: str) -> None:
    """Check that an output text is a new file, a pipe or device, or standard output.

    Raises:
        UserError: a file or folder of this name exists.
    """
    if given == STANDARD:
        return
    path = user_path(given)
    if path.exists() and (S_ISREG(path.stat().st_mode) or S_ISDIR(path.stat().st_mode)):
        raise UserError(f"{key}={given} exists already; choose another name or delete it")


@contextmanager
def written(given: str) -> Iterator[TextIO]:
    """Open standard output, a pipe, a device or a file for writing in UTF-8.

    A file is written as `GIVEN.part` and renamed when it is complete, so it is complete or absent.
    """
    if given == STANDARD:
        yield sys.stdout
        return
    target = user_path(given)
    special = target.exists() and not target.is_file()
    partial = target if special else target.with_name(f"{target.name}.part")
    try:
        try:
            raw = _NamedFile(partial, "w")
        except OSError as error:
            raise UserError(f"{given}: {error.strerror}; check the path and its permissions") from None
        with io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", newline="\n") as file:
            yield file
    finally:
        if not special and partial.is_file() and partial.stat().st_size == 0 and sys.exc_info()[0] is not None:
            partial.unlink()
    if not special:
        os.replace(partial, target)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file atomically."""
    with written(str(path)) as file:
        file.writelines(f"{line}\n" for line in lines)
