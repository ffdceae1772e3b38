"""Reads parallel text, one pair at a time, so that a corpus may be larger than memory."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path

from nmt.config.data import TextFiles
from nmt.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file, plain or gzip (told by its first bytes), without their line ends.

    Lines end at "\\n" or "\\r\\n" and at no other character. A byte order mark at the start is dropped.
    Raises UserError for a file that cannot be read, bytes that are not UTF-8, and damaged gzip.
    """
    number = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(_unpacked(file), start=1):
                if number == 1:
                    line = line.removeprefix(_BOM)
                yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: line {number} is not UTF-8 "
            f"(0x{error.object[error.start]:02x} at byte {error.start + 1} of the line); "
            "convert the file, for example with iconv -t UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path}: gzip data cut off or damaged after line {number}; get the file again ({error})"
        ) from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}); check the name and the file's rights"
        ) from error


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
        names = ", ".join(str(folder / name) for name in [*files.src, *files.tgt, *files.tsv])
        raise UserError(f"{names or folder}: no sentence pair found; give src and tgt, or tsv, with text")


def _unpacked(file: BufferedReader) -> Iterable[bytes]:
    if file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
        return gzip.open(file)
    return file


def _all_pairs(files: TextFiles, folder: Path) -> Iterator[tuple[str, str]]:
    for src, tgt in zip(files.src, files.tgt, strict=True):
        yield from _parallel(folder / src, folder / tgt)
    for tsv in files.tsv:
        yield from _tab_separated(folder / tsv)


def _parallel(src_file: Path, tgt_file: Path) -> Iterator[tuple[str, str]]:
    src_lines = tgt_lines = 0
    # To the end of the longer side: both counts tell better than one where the files went apart.
    for src, tgt in zip_longest(read_lines(src_file), read_lines(tgt_file)):
        src_lines += src is not None
        tgt_lines += tgt is not None
        if src is not None and tgt is not None:
            yield src, tgt
    if src_lines != tgt_lines:
        raise UserError(
            f"{src_file} has {src_lines} lines and {tgt_file} has {tgt_lines}; "
            "the sides must be parallel line by line: use files that belong together"
        )


def _tab_separated(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(file), start=1):
        columns = line.split("\t", maxsplit=2)
        if len(columns) < 2:
            raise UserError(f"{file}: line {number} has no tab; write source, tab, target on every line")
        yield columns[0], columns[1]
