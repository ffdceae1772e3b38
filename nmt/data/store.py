"""Sentence pairs as ids on disk, with the offset of each sentence, for corpora larger than memory.

A split is written as one or more shards, named SPLIT-00000 and so on, and read as one store.
"""

import errno
import mmap
import os
import resource
import weakref
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.errors import UserError

SIDES = ("src", "tgt")
KINDS = ("ids", "offsets")
OPEN_FILES_PER_SHARD = len(SIDES) * (len(KINDS) + 1)  # memory mapping opens the offsets a second time
OTHER_OPEN_FILES = 256  # files that a training may have open beside those of its corpus
WIDTHS = (2, 4)  # bytes per id
ALL = slice(None)
PART = 1 << 18  # offsets processed together


class NumbersFile:
    """Array of numbers on disk, of which only the requested slice is read.

    A memory-mapped file would load the pages around each slice, and in the end the whole file, into memory.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        self.file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)

    def __getitem__(self, where: slice) -> NDArray[Any]:
        width = self.dtype.itemsize
        size = int(where.stop - where.start) * width
        data = os.pread(self.file, size, int(where.start) * width)
        if len(data) < size:
            raise UserError(f"{self.path} became shorter while it was read; delete the folder {self.path.parent}")
        return np.frombuffer(data, self.dtype)


class ShardSide:
    """One side of a shard: the concatenated ids of all sentences, and their offsets.

    Offsets are memory-mapped for `lengths`, which reads many of them; a single sentence is read without the mapping.
    """

    def __init__(
        self,
        ids: NDArray[np.unsignedinteger] | NumbersFile,
        offsets: NDArray[np.int64],
        file: NumbersFile | None = None,
        mapped: mmap.mmap | None = None,
    ) -> None:
        """
        Args:
            ids: concatenated ids of all sentences.
            offsets: start of each sentence, followed by the end of the last one.
            file: the offsets on disk.
            mapped: the memory mapping behind `offsets`.
        """
        self.ids = ids
        self.offsets = offsets
        self.bounds = offsets if file is None else file
        self.mapped = mapped

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.unsignedinteger]:
        number = int(index)  # number + 2 may overflow an index of 16 bits
        start, end = self.bounds[number : number + 2].tolist()
        return self.ids[start:end]

    def lengths(self, which: slice | NDArray[np.integer] = ALL) -> NDArray[np.int64]:
        """Return the number of pieces of each selected sentence."""
        return self.offsets[1:][which] - self.offsets[:-1][which]

    def piece_counts(self, size: int) -> NDArray[np.int64]:
        """Return the number of occurrences of each of the `size` pieces of the vocabulary."""
        total = int(self.offsets[-1])
        counts = np.zeros(size, dtype=np.int64)
        for start in range(0, total, PART):
            counts += np.bincount(self.ids[start : min(start + PART, total)] % size, minlength=size)
        return counts

    def release(self) -> None:
        """Release the memory of the mapped offsets; the next access loads them again."""
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)


class JoinedSides:
    """One side of several shards with consecutive indices. The offsets of one shard are in memory at a time."""

    def __init__(self, sides: Sequence[ShardSide]) -> None:
        self.sides = sides
        self.starts = list(accumulate(map(len, sides), initial=0))

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, index: int) -> NDArray[np.unsignedinteger]:
        number = int(index)
        shard = bisect_right(self.starts, number) - 1
        return self.sides[shard][number - self.starts[shard]]

    def piece_counts(self, size: int) -> NDArray[np.int64]:
        """Return the number of occurrences of each of the `size` pieces of the vocabulary."""
        counts = np.zeros(size, dtype=np.int64)
        for side in self.sides:
            counts += side.piece_counts(size)
        return counts

    def lengths(self, which: slice | NDArray[np.integer] = ALL) -> NDArray[np.int64]:
        """Return the number of pieces of each selected sentence."""
        numbers = np.arange(*which.indices(len(self))) if isinstance(which, slice) else which.astype(np.int64)
        shards = np.searchsorted(self.starts, numbers, side="right") - 1
        by_shard = np.argsort(shards, kind="stable")
        lengths = np.empty(len(numbers), dtype=np.int64)
        for positions in np.split(by_shard, np.flatnonzero(np.diff(shards[by_shard])) + 1):
            if len(positions):
                shard = int(shards[positions[0]])
                lengths[positions] = self.sides[shard].lengths(numbers[positions] - self.starts[shard])
                self.sides[shard].release()
        return lengths


class PairStore:
    """Sentence pairs of a split as ids, without bos and eos."""

    def __init__(self, src: ShardSide | JoinedSides, tgt: ShardSide | JoinedSides) -> None:
        self.src = src
        self.tgt = tgt

    def __len__(self) -> int:
        return len(self.src)

    @classmethod
    def open(cls, folder: Path, *shards: str) -> "PairStore":
        """Open shards written by `StoreWriter` as one store.

        Raises:
            UserError: a file is missing, file sizes are inconsistent, or the process cannot open all files.
        """
        allow_open_files(OPEN_FILES_PER_SHARD * len(shards))
        opened = []
        for shard in shards:
            src, tgt = (open_side(folder / f"{shard}.{side}") for side in SIDES)
            if len(src) != len(tgt):
                raise UserError(
                    f"{folder / shard}.*: {len(src)} source and {len(tgt)} target sentences; delete the folder {folder}"
                )
            opened.append((src, tgt))
        if len(opened) == 1:
            return cls(*opened[0])
        return cls(*(JoinedSides(sides) for sides in zip(*opened, strict=True)))

    @classmethod
    def of(cls, src: Sequence[Sequence[int]], tgt: Sequence[Sequence[int]]) -> "PairStore":
        """Build a store in memory."""
        return cls(*(ShardSide(*flatten(lines, np.dtype(np.uint32))) for lines in (src, tgt)))


def open_side(stem: Path) -> ShardSide:
    """Open one side of a shard; raise UserError if its files are missing or inconsistent."""
    try:
        with open(f"{stem}.offsets", "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        offsets = np.frombuffer(mapped, dtype=np.int64)
        total, size = int(offsets[-1]), Path(f"{stem}.ids").stat().st_size
        width = size // total if total > 0 else WIDTHS[0]
        if offsets[0] != 0 or not is_sorted(offsets) or width not in WIDTHS or size != total * width:
            raise ValueError
        ids = NumbersFile(Path(f"{stem}.ids"), np.dtype(f"u{width}"))
        side = ShardSide(ids, offsets, NumbersFile(Path(f"{stem}.offsets"), offsets.dtype), mapped)
        side.release()
        return side
    except (OSError, ValueError, IndexError) as error:
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            raise UserError(
                f"{stem.parent} has too many shards for this process's limit of open files; raise `ulimit -n`, "
                "or prepare the corpus with a larger data.shard_pairs"
            ) from None
        raise UserError(
            f"{stem}.ids and {stem}.offsets are missing or damaged; delete the folder {stem.parent}"
        ) from None


def allow_open_files(count: int) -> None:
    """Raise the process's limit of open files for `count` more files, within the system's hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_OPEN_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def shard_name(split: str, number: int) -> str:
    """Return the name of a shard, which its file names begin with."""
    return f"{split}-{number:05d}"


def store_files(folder: Path, shard: str) -> list[Path]:
    """Return the paths of all files of a shard."""
    return [folder / f"{shard}.{side}.{kind}" for side in SIDES for kind in KINDS]


def is_sorted(offsets: NDArray[np.int64]) -> bool:
    """Return whether the offsets do not decrease; they are compared in parts to save memory."""
    parts = range(0, len(offsets), PART)
    return all(bool((np.diff(offsets[start : start + PART + 1]) >= 0).all()) for start in parts)


def flatten(
    lines: Sequence[Sequence[int]], dtype: np.dtype[Any]
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int64]]:
    """Concatenate lines of ids and return the ids and the offset of each line."""
    offsets = np.zeros(len(lines) + 1, dtype=np.int64)
    np.cumsum([len(line) for line in lines], out=offsets[1:])
    return np.fromiter(chain.from_iterable(lines), dtype, count=int(offsets[-1])), offsets


class StoreWriter:
    """Writer of a shard's files, to which sentence pairs are appended in blocks."""

    def __init__(self, folder: Path, shard: str, src_size: int, tgt_size: int) -> None:
        """
        Args:
            folder: output folder.
            shard: name of the shard.
            src_size: size of the source vocabulary, which determines the number of bytes per source id.
            tgt_size: the same for the target.
        """
        self.files = {side: [(folder / f"{shard}.{side}.{kind}").open("wb") for kind in KINDS] for side in SIDES}
        self.dtypes = {
            side: np.dtype(np.uint16 if size <= 2**16 else np.uint32)
            for side, size in zip(SIDES, (src_size, tgt_size), strict=True)
        }
        self.ends = dict.fromkeys(SIDES, 0)
        for _, offsets in self.files.values():
            offsets.write(np.zeros(1, dtype=np.int64).tobytes())

    def append(self, src: Sequence[Sequence[int]], tgt: Sequence[Sequence[int]]) -> None:
        """Append a block of sentence pairs."""
        for side, lines in zip(SIDES, (src, tgt), strict=True):
            ids, offsets = flatten(lines, self.dtypes[side])
            self.files[side][0].write(ids.tobytes())
            self.files[side][1].write((offsets[1:] + self.ends[side]).tobytes())
            self.ends[side] += len(ids)

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, *_: Iterable[object]) -> None:
        for pair in self.files.values():
            for file in pair:
                file.close()
