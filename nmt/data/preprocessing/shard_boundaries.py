"""Boundaries of shards: text files are split after a fixed number of lines, and at the end of each file."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nmt.data.preprocessing.parallel_text import empty_split_error, unequal_sides_error
from nmt.data.preprocessing.sources import Source
from nmt.data.text_files import LineRange, is_packed, read_blocks
from nmt.errors import UserError

WORK = "work"  # folder of temporary files, inside the folder of the corpus
MAX_SHARDS = 100_000  # each has six files

Result = dict[str, Any]
"""Result of a step, serialisable as JSON."""


def cut(folder: Path, number: int, file: str, every: int, advance: Callable[[int], None]) -> tuple[list[Path], Result]:
    """Find the byte offset of each `every`-th line of a file. gzip is unpacked, because it has no random access.

    A shard has `every` lines. `advance` is called with the number of bytes read since the last call.

    Returns:
        The files written, and a result: byte offsets `starts`, number of `lines`, and whether the file is `packed`.
    """
    packed = is_packed(Path(file))
    starts, lines, at, last = [0], 0, 0, b"\n"
    with ExitStack() as stack:
        out = stack.enter_context(unpacked_file(folder, number).open("wb")) if packed else None
        for block, read in read_blocks(Path(file)):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            starts += (at + 1 + ends[every - 1 - lines % every :: every]).tolist()
            lines, at, last = lines + len(ends), at + len(block), block[-1:]
            if out is not None:
                out.write(block)
            advance(read)
    if starts[-1] == at:
        starts.pop()  # the file ends here
    lines += last != b"\n"
    return [unpacked_file(folder, number)] * packed, {"starts": starts, "lines": lines, "packed": packed}


def unpacked_file(folder: Path, number: int) -> Path:
    """Return the path of the unpacked text of a gzip file."""
    return folder / WORK / f"cut-{number:05d}.txt"


def shards_of(source: Source, cuts: list[Result], every: int, folder: Path) -> list[dict[str, Any]]:
    """Return the shards of a split, in the order of its pairs and with at most `source.most` pairs.

    `cuts` has the result of `cut` for each path of the split, with the same `every`.

    Returns:
        For each shard the fields of its source and target `LineRange`, as `src` and `tgt`; `tgt` is None if `src` is
        tab-separated. In a multilingual corpus also its `direction` and tag.

    Raises:
        UserError: the two sides differ in their number of lines, or the split has no pair.
    """
    paths, files = source.paths(), source.files
    parallel = len(files.src)
    shards: list[dict[str, Any]] = []
    for at, src in enumerate([*range(parallel), *range(2 * parallel, len(paths))]):
        tgt = src + parallel if src < parallel else None
        if tgt is not None and cuts[src]["lines"] != cuts[tgt]["lines"]:
            raise unequal_sides_error(paths[src], cuts[src]["lines"], paths[tgt], cuts[tgt]["lines"])
        for part in range(len(cuts[src]["starts"])):
            shard: dict[str, Any] = {"src": None, "tgt": None}
            for side, file in (("src", src), ("tgt", tgt)):
                if file is not None:
                    shard[side] = asdict(make_line_range(paths[file], cuts[file], file, part * every, every, folder))
            if source.directions:
                shard["direction"] = list(source.directions[at])
            shards.append(shard)
    if not shards:
        raise empty_split_error(files, source.folder)
    if len(shards) > MAX_SHARDS:
        raise UserError(
            f"data.shard_pairs={every} makes {len(shards):,} shards; raise it so that there are at most {MAX_SHARDS:,}"
        )
    return shards if source.most is None else first_pairs(shards, source.most)


def first_pairs(shards: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Return the shards of the first `most` pairs; the last shard is shortened."""
    kept = []
    for shard in shards:
        lines = min(shard["src"]["lines"], most)
        if lines > 0:
            kept.append(shard | {side: shard[side] and shard[side] | {"lines": lines} for side in ("src", "tgt")})
        most -= lines
    return kept


def make_line_range(path: Path, cut: Result, number: int, before: int, every: int, folder: Path) -> LineRange:
    """Return the range of `every` lines (fewer at the end of the file) behind `before` lines."""
    plain = unpacked_file(folder, number) if cut["packed"] else path
    return LineRange(str(path), str(plain), cut["starts"][before // every], before, min(every, cut["lines"] - before))
