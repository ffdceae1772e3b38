"""Reading of parallel text pair by pair, for corpora larger than memory."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from nmt.config import TextFiles
from nmt.data.text_files import MIN_LINE_BYTES, LineRange, read_line_range, read_lines
from nmt.errors import UserError


def read_pairs(
    files: TextFiles, folder: Path, most: float = float("inf"), tags: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield (src, tgt) from all files of a split in order.

    Args:
        files: file names, relative to `folder` or absolute.
        folder: folder of the corpus.
        most: maximum number of bytes of each file, and of characters of the split.
        tags: tag of the source lines of each file of `src` and of `tsv`, in this order; none: no tags.

    Raises:
        UserError: what `read_lines` raises, or the sides differ in their number of lines (raised after the pairs of
            both), a line of a tab-separated file has no tab, or the split has no pair.
    """
    pairs = total = 0
    for pair in _all_pairs(files, folder, most, tags or [""] * (len(files.src) + len(files.tsv))):
        pairs += 1
        total += max(sum(map(len, pair)), MIN_LINE_BYTES)
        if total > most:
            raise UserError(
                f"{folder}: the split has more than {most:,} characters, too many to keep in memory; use a part of it"
            )
        yield pair
    if pairs == 0:
        raise empty_split_error(files, folder)


def read_shard(src: LineRange, tgt: LineRange | None) -> Iterator[tuple[str, str]]:
    """Yield the pairs of two parallel line ranges, or of a tab-separated one; raise what `read_pairs` raises."""
    if tgt is None:
        return _split_columns(read_line_range(src), Path(src.file), src.before)
    return zip(read_line_range(src), read_line_range(tgt), strict=True)


def empty_split_error(files: TextFiles, folder: Path) -> UserError:
    """Return the error for a split without sentence pairs."""
    names = ", ".join(str(folder / name) for name in [*files.src, *files.tgt, *files.tsv])
    return UserError(f"{names or folder}: no sentence pair found; give src and tgt, or tsv, with text")


def unequal_sides_error(src_file: Path, src_lines: int, tgt_file: Path, tgt_lines: int) -> UserError:
    """Return the error for source and target files with different numbers of lines."""
    return UserError(
        f"{src_file} has {src_lines} lines and {tgt_file} has {tgt_lines}; "
        "the sides must be parallel line by line: use files that belong together"
    )


def tagged(pairs: Iterable[tuple[str, str]], tag: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs with a tag before each source line that is not blank; an empty tag changes nothing."""
    for src, tgt in pairs:
        yield f"{tag} {src}" if tag and src.strip() else src, tgt


def _all_pairs(files: TextFiles, folder: Path, most: float, tags: Sequence[str]) -> Iterator[tuple[str, str]]:
    parallel = len(files.src)
    for src, tgt, tag in zip(files.src, files.tgt, tags[:parallel], strict=True):
        yield from tagged(_read_sides(folder / src, folder / tgt, most), tag)
    for tsv, tag in zip(files.tsv, tags[parallel:], strict=True):
        yield from tagged(_split_columns(read_lines(folder / tsv, most), folder / tsv, 0), tag)


def _read_sides(src_file: Path, tgt_file: Path, most: float) -> Iterator[tuple[str, str]]:
    src_lines = tgt_lines = 0
    # The longer side is read to its end, because both line counts together help to find where the files diverge.
    for src, tgt in zip_longest(read_lines(src_file, most), read_lines(tgt_file, most)):
        src_lines += src is not None
        tgt_lines += tgt is not None
        if src is not None and tgt is not None:
            yield src, tgt
    if src_lines != tgt_lines:
        raise unequal_sides_error(src_file, src_lines, tgt_file, tgt_lines)


def _split_columns(lines: Iterable[str], file: Path, before: int) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=before + 1):
        columns = line.split("\t", maxsplit=2)
        if len(columns) < 2:
            raise UserError(f"{file}: line {number} has no tab; each line must be source, tab, target")
        yield columns[0], columns[1]
