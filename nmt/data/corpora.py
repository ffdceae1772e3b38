"""Reads parallel text, one pair at a time, so that a corpus may be larger than memory."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice, zip_longest
from pathlib import Path

from nmt.config.data import TextFiles
from nmt.errors import Unfinished, UserError

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
    """Yields the lines of a UTF-8 file, plain or gzip (told by its first bytes), without their line ends.

    Lines end at "\\n" or "\\r\\n" and at no other character. A byte order mark at the start is dropped.
    Raises UserError for a file that cannot be read, bytes that are not UTF-8, damaged gzip, a line of more than
    `MOST_IN_A_LINE` bytes, and more than `most` bytes in all, unpacked (a line counts `LEAST_OF_A_LINE` at least).
    """
    number = total = 0
    allowed = MOST_UNCHECKED
    try:
        with open(path, "rb") as file:
            text = _unpacked(file)
            for number, line in _bounded(text, path):
                total += max(len(line), LEAST_OF_A_LINE)
                if total > most:
                    raise UserError(f"{path}: has more than {most:,} bytes to keep in memory; use a part of it")
                if total > allowed and text is not file:
                    allowed = _allowed(path, file, total, number)
                yield _decoded(line, number)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _explained(error, path, number) from error


def read_stretch(stretch: Stretch) -> Iterator[str]:
    """Yields these lines as `read_lines` does; raises what it raises, and UserError if they are not all there."""
    number, path = stretch.before, Path(stretch.file)
    try:
        with open(stretch.plain, "rb") as file:
            file.seek(stretch.start)
            for number, line in islice(_bounded(file, path, stretch.before), stretch.lines):
                yield _decoded(line, number)
    except (OSError, UnicodeDecodeError) as error:
        raise _explained(error, path, number) from error
    if number < stretch.before + stretch.lines:
        raise UserError(f"{stretch.file} became shorter while it was read; start again when nothing writes to it")


def read_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yields the text of a file, unpacked if it is gzip, in blocks; raises what `read_lines` raises of whole files.

    Each with how many bytes of the file have been read for it.
    """
    lines = total = before = 0
    allowed = MOST_UNCHECKED
    try:
        with open(path, "rb") as file:
            text = _unpacked(file)
            while block := text.read(_BLOCK):
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


def _bounded(text: BufferedReader, path: Path, before: int = 0) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, none of which is larger than memory."""
    number = before
    while line := text.readline(MOST_IN_A_LINE + 2):
        number += 1
        if len(line.removesuffix(b"\n")) > MOST_IN_A_LINE:
            raise UserError(f"{path}: line {number} is longer than {MOST_IN_A_LINE:,} bytes; write one sentence a line")
        yield number, line


def _allowed(path: Path, file: BufferedReader, total: int, number: int) -> int:
    """Bytes that what has been read of a gzip file may hold, for it holds `total` up to line `number`."""
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
    return line.decode("utf-8").removesuffix("\n").removesuffix("\r")


def _explained(error: Exception, path: Path, number: int) -> UserError:
    """What reading a file failed with, in one line; `number` is the last line that was read."""
    if isinstance(error, UnicodeDecodeError):
        return UserError(
            f"{path}: line {number} is not UTF-8 "
            f"(0x{error.object[error.start]:02x} at byte {error.start + 1} of the line); "
            "convert the file, for example with iconv -t UTF-8"
        )
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return Unfinished(f"{path}: cannot be read ({error.strerror or error}); check the name and the file's rights")
    return UserError(f"{path}: gzip data cut off or damaged after line {number}; get the file again ({error})")


def read_all(path: Path) -> list[str]:
    """The lines of a file that is kept in memory; raises as `read_lines`, for a large one too."""
    return list(read_lines(path, MOST_IN_MEMORY))


def read_pairs(files: TextFiles, folder: Path, most: float = float("inf")) -> Iterator[tuple[str, str]]:
    """Yields (src, tgt) over all files of one split in order; names are relative to `folder`, or absolute.

    Raises UserError, besides what `read_lines` raises, for sides of different length (after the pairs that
    both have), a line without tab in a tab-separated file, and a split without a single pair.
    """
    pairs = total = 0
    for pair in _all_pairs(files, folder, most):
        pairs += 1
        total += max(sum(map(len, pair)), LEAST_OF_A_LINE)
        if total > most:
            raise UserError(
                f"{folder}: the split has more than {most:,} characters to keep in memory; use a part of it"
            )
        yield pair
    if pairs == 0:
        raise without_pairs(files, folder)


def read_shard(src: Stretch, tgt: Stretch | None) -> Iterator[tuple[str, str]]:
    """Yields the pairs of two parallel stretches, or of one that is tab-separated; raises what `read_pairs` raises."""
    if tgt is None:
        return _columns(read_stretch(src), Path(src.file), src.before)
    return zip(read_stretch(src), read_stretch(tgt), strict=True)


def without_pairs(files: TextFiles, folder: Path) -> UserError:
    names = ", ".join(str(folder / name) for name in [*files.src, *files.tgt, *files.tsv])
    return UserError(f"{names or folder}: no sentence pair found; give src and tgt, or tsv, with text")


def unequal(src_file: Path, src_lines: int, tgt_file: Path, tgt_lines: int) -> UserError:
    return UserError(
        f"{src_file} has {src_lines} lines and {tgt_file} has {tgt_lines}; "
        "the sides must be parallel line by line: use files that belong together"
    )


def _unpacked(file: BufferedReader) -> BufferedReader:
    if file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
        return BufferedReader(gzip.open(file))
    return file


def _all_pairs(files: TextFiles, folder: Path, most: float) -> Iterator[tuple[str, str]]:
    for src, tgt in zip(files.src, files.tgt, strict=True):
        yield from _parallel(folder / src, folder / tgt, most)
    for tsv in files.tsv:
        yield from _columns(read_lines(folder / tsv, most), folder / tsv, 0)


def _parallel(src_file: Path, tgt_file: Path, most: float) -> Iterator[tuple[str, str]]:
    src_lines = tgt_lines = 0
    # To the end of the longer side: both counts tell better than one where the files went apart.
    for src, tgt in zip_longest(read_lines(src_file, most), read_lines(tgt_file, most)):
        src_lines += src is not None
        tgt_lines += tgt is not None
        if src is not None and tgt is not None:
            yield src, tgt
    if src_lines != tgt_lines:
        raise unequal(src_file, src_lines, tgt_file, tgt_lines)


def _columns(lines: Iterable[str], file: Path, before: int) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=before + 1):
        columns = line.split("\t", maxsplit=2)
        if len(columns) < 2:
            raise UserError(f"{file}: line {number} has no tab; write source, tab, target on every line")
        yield columns[0], columns[1]
