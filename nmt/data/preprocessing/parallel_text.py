"""Parallel text, one pair at a time, so that a corpus may be larger than memory."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from nmt.config.data import TextFiles
from nmt.data.text_files import LEAST_OF_A_LINE, Stretch, read_lines, read_stretch
from nmt.errors import UserError


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
