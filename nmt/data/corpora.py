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


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file, plain or gzip (told by its first bytes), without their line ends.

    Lines end at "\\n" or "\\r\\n" and at no other character. A byte order mark at the start is dropped.
    Raises UserError for a file that cannot be read, bytes that are not UTF-8, and damaged gzip.
    """
    number = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(_unpacked(file), start=1):
                yield _decoded(line, number)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _explained(error, path, number) from error


def read_stretch(stretch: Stretch) -> Iterator[str]:
    """Yields these lines as `read_lines` does; raises what it raises, and UserError if they are not all there."""
    number = stretch.before
    try:
        with open(stretch.plain, "rb") as file:
            file.seek(stretch.start)
            for number, line in enumerate(islice(file, stretch.lines), start=stretch.before + 1):
                yield _decoded(line, number)
    except (OSError, UnicodeDecodeError) as error:
        raise _explained(error, Path(stretch.file), number) from error
    if number < stretch.before + stretch.lines:
        raise UserError(f"{stretch.file} became shorter while it was read; start again when nothing writes to it")


def read_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yields the text of a file, unpacked if it is gzip, in blocks; raises what `read_lines` raises.

    Each with how many bytes of the file have been read for it.
    """
    lines = before = 0
    try:
        with open(path, "rb") as file:
            text = _unpacked(file)
            while block := text.read(_BLOCK):
                lines += block.count(b"\n")
                yield block, file.tell() - before
                before = file.tell()
    except (OSError, EOFError, zlib.error) as error:
        raise _explained(error, path, lines) from error


def is_packed(path: Path) -> bool:
    with open(path, "rb") as file:
        return isinstance(_unpacked(file), gzip.GzipFile)


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


def read_pairs(files: TextFiles, folder: Path) -> Iterator[tuple[str, str]]:
    """Yields (src, tgt) over all files of one split in order; names are relative to `folder`, or absolute.

    Raises UserError, besides what `read_lines` raises, for sides of different length (after the pairs that
    both have), a line without tab in a tab-separated file, and a split without a single pair.
    """
    pairs = 0
    for pair in _all_pairs(files, folder):
        pairs += 1
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


def _unpacked(file: BufferedReader) -> BufferedReader | gzip.GzipFile:
    if file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
        return gzip.open(file)
    return file


def _all_pairs(files: TextFiles, folder: Path) -> Iterator[tuple[str, str]]:
    for src, tgt in zip(files.src, files.tgt, strict=True):
        yield from _parallel(folder / src, folder / tgt)
    for tsv in files.tsv:
        yield from _columns(read_lines(folder / tsv), folder / tsv, 0)


def _parallel(src_file: Path, tgt_file: Path) -> Iterator[tuple[str, str]]:
    src_lines = tgt_lines = 0
    # To the end of the longer side: both counts tell better than one where the files went apart.
    for src, tgt in zip_longest(read_lines(src_file), read_lines(tgt_file)):
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
