"""Cuts text files into shards: so many lines each, and wherever a file ends."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nmt.data.preprocessing.parallel_text import unequal, without_pairs
from nmt.data.preprocessing.sources import Source
from nmt.data.text_files import Stretch, is_packed, read_blocks
from nmt.errors import UserError

WORK = "work"  # folder, in that of the corpus, of what is needed only while it is prepared
MOST_SHARDS = 100_000  # each has six files

Result = dict[str, Any]
"""What a step tells the process that asked for it, as JSON can hold it."""


def cut(folder: Path, number: int, file: str, every: int, advance: Callable[[int], None]) -> tuple[list[Path], Result]:
    """Finds where each `every`-th line of a file begins; unpacks gzip, which can be read from its start alone.

    Args:
        folder: of the corpus.
        number: of the file.
        file: its path.
        every: lines.
        advance: told how many bytes more are read.

    Returns:
        The files written. And as `starts` the bytes, as `lines` how many there are, and whether the file is `packed`.
    """
    packed = is_packed(Path(file))
    starts, lines, at, last = [0], 0, 0, b"\n"
    with ExitStack() as stack:
        out = stack.enter_context(unpacked(folder, number).open("wb")) if packed else None
        for block, read in read_blocks(Path(file)):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            starts += (at + 1 + ends[every - 1 - lines % every :: every]).tolist()
            lines, at, last = lines + len(ends), at + len(block), block[-1:]
            if out is not None:
                out.write(block)
            advance(read)
    if starts[-1] == at:
        starts.pop()  # nothing follows there
    lines += last != b"\n"
    return [unpacked(folder, number)] * packed, {"starts": starts, "lines": lines, "packed": packed}


def unpacked(folder: Path, number: int) -> Path:
    """Where the text of a packed file is."""
    return folder / WORK / f"cut-{number:05d}.txt"


def shards_of(source: Source, cuts: list[Result], every: int, folder: Path) -> list[dict[str, Any]]:
    """The shards of a split, in the order of its pairs.

    Args:
        source: the split.
        cuts: the result of `cut` for each of its paths.
        every: what they were cut with.
        folder: likewise.

    Returns:
        For each shard its `Stretch` of the source and of the target file, as `src` and `tgt`; None as `tgt` if `src` is
        tab-separated. No more than the first pairs, if the source is to have no more.

    Raises:
        UserError: the sides of two files are not parallel, or there is no pair at all.
    """
    paths, files = source.paths(), source.files
    parallel = len(files.src)
    shards: list[dict[str, Any]] = []
    for src in [*range(parallel), *range(2 * parallel, len(paths))]:
        tgt = src + parallel if src < parallel else None
        if tgt is not None and cuts[src]["lines"] != cuts[tgt]["lines"]:
            raise unequal(paths[src], cuts[src]["lines"], paths[tgt], cuts[tgt]["lines"])
        for part in range(len(cuts[src]["starts"])):
            sides = [
                None if file is None else asdict(stretch(paths[file], cuts[file], file, part * every, every, folder))
                for file in (src, tgt)
            ]
            shards.append(dict(zip(("src", "tgt"), sides, strict=True)))
    if not shards:
        raise without_pairs(files, source.folder)
    if len(shards) > MOST_SHARDS:
        raise UserError(
            f"data.shard_pairs={every} makes {len(shards):,} shards; raise it until they are {MOST_SHARDS:,}"
        )
    return shards if source.most is None else first(shards, source.most)


def first(shards: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The shards that hold the first `most` pairs, the last of them cut short."""
    kept = []
    for shard in shards:
        lines = min(shard["src"]["lines"], most)
        if lines > 0:
            kept.append({side: at and at | {"lines": lines} for side, at in shard.items()})
        most -= lines
    return kept


def stretch(path: Path, cut: Result, number: int, before: int, every: int, folder: Path) -> Stretch:
    plain = unpacked(folder, number) if cut["packed"] else path
    return Stretch(str(path), str(plain), cut["starts"][before // every], before, min(every, cut["lines"] - before))
