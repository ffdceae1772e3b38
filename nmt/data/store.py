"""Ids of sentence pairs on the disk, and offsets of where each begins: a corpus may be larger than memory.

A split is written as one shard or several, SPLIT-00000 and so on, and read as one store.
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
FILES_A_SHARD = len(SIDES) * (len(KINDS) + 1)  # a mapped file is open once more
OTHER_FILES = 256  # that a training may have open beside those of its corpus
WIDTHS = (2, 4)  # bytes of an id
EVERY = slice(None)
PART = 1 << 18  # offsets looked at together


class NumbersFile:
    """Numbers on the disk, read where they are asked for.

    A mapped file would come into the process' memory around each place that is read, in the end all of it.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        self.file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)

    def __getitem__(self, where: slice) -> NDArray[Any]:
        width = self.dtype.itemsize
        wanted = int(where.stop - where.start) * width
        read = os.pread(self.file, wanted, int(where.start) * width)
        if len(read) < wanted:
            raise UserError(f"{self.path} became shorter while it was read; delete the folder {self.path.parent}")
        return np.frombuffer(read, self.dtype)


class Side:
    """One side of a shard: the ids of all sentences in a row, and where each begins.

    Offsets are mapped for `lengths`, which looks at many together; a single sentence is found without the mapping.
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
            ids: of all sentences.
            offsets: where each begins, and where the last one ends.
            file: the same on the disk.
            mapped: what `offsets` look into.
        """
        self.ids = ids
        self.offsets = offsets
        self.bounds = offsets if file is None else file
        self.mapped = mapped

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.unsignedinteger]:
        number = int(index)  # one of 16 bits may be the last there is
        start, end = self.bounds[number : number + 2].tolist()
        return self.ids[start:end]

    def lengths(self, which: slice | NDArray[np.integer] = EVERY) -> NDArray[np.int64]:
        """Pieces of each sentence, or of some."""
        return self.offsets[1:][which] - self.offsets[:-1][which]

    def share_of(self, piece: int) -> tuple[int, int]:
        """Return how often a piece stands in all sentences, and the number of all their pieces."""
        total = int(self.offsets[-1])
        parts = (self.ids[start : min(start + PART, total)] for start in range(0, total, PART))
        return sum(int((part == piece).sum()) for part in parts), total

    def release(self) -> None:
        """Takes the offsets out of this process' memory; they are mapped again where they are looked at."""
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)


class JoinedSides:
    """One side of several shards in a row, numbered on. One shard's offsets are in memory at once."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self.sides = sides
        self.starts = list(accumulate(map(len, sides), initial=0))

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, index: int) -> NDArray[np.unsignedinteger]:
        number = int(index)
        shard = bisect_right(self.starts, number) - 1
        return self.sides[shard][number - self.starts[shard]]

    def share_of(self, piece: int) -> tuple[int, int]:
        """Return how often a piece stands in all sentences, and the number of all their pieces."""
        counts, totals = zip(*(side.share_of(piece) for side in self.sides), strict=True)
        return sum(counts), sum(totals)

    def lengths(self, which: slice | NDArray[np.integer] = EVERY) -> NDArray[np.int64]:
        """Pieces of each sentence, or of some."""
        numbers = np.arange(*which.indices(len(self))) if isinstance(which, slice) else which.astype(np.int64)
        shards = np.searchsorted(self.starts, numbers, side="right") - 1
        by_shard = np.argsort(shards, kind="stable")
        found = np.empty(len(numbers), dtype=np.int64)
        for own in np.split(by_shard, np.flatnonzero(np.diff(shards[by_shard])) + 1):
            if len(own):
                shard = int(shards[own[0]])
                found[own] = self.sides[shard].lengths(numbers[own] - self.starts[shard])
                self.sides[shard].release()
        return found


class PairStore:
    """A split as ids, without bos and eos."""

    def __init__(self, src: Side | JoinedSides, tgt: Side | JoinedSides) -> None:
        self.src = src
        self.tgt = tgt

    def __len__(self) -> int:
        return len(self.src)

    @classmethod
    def open(cls, folder: Path, *shards: str) -> "PairStore":
        """Maps shards that `StoreWriter` wrote, as one store.

        Raises:
            UserError: a file is missing, its size does not fit the others, or there are more than may be open.
        """
        allow_open_files(FILES_A_SHARD * len(shards))
        opened = []
        for shard in shards:
            src, tgt = (open_side(folder / f"{shard}.{side}") for side in SIDES)
            if len(src) != len(tgt):
                raise UserError(
                    f"{folder / shard}.*: {len(src)} source and {len(tgt)} target sentences; delete {folder}"
                )
            opened.append((src, tgt))
        if len(opened) == 1:
            return cls(*opened[0])
        return cls(*(JoinedSides(sides) for sides in zip(*opened, strict=True)))

    @classmethod
    def of(cls, src: Sequence[Sequence[int]], tgt: Sequence[Sequence[int]]) -> "PairStore":
        """A store in memory."""
        return cls(*(Side(*flatten(lines, np.dtype(np.uint32))) for lines in (src, tgt)))


def open_side(stem: Path) -> Side:
    try:
        with open(f"{stem}.offsets", "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        offsets = np.frombuffer(mapped, dtype=np.int64)
        total, size = int(offsets[-1]), Path(f"{stem}.ids").stat().st_size
        width = size // total if total > 0 else WIDTHS[0]
        if offsets[0] != 0 or not rising(offsets) or width not in WIDTHS or size != total * width:
            raise ValueError
        ids = NumbersFile(Path(f"{stem}.ids"), np.dtype(f"u{width}"))
        side = Side(ids, offsets, NumbersFile(Path(f"{stem}.offsets"), offsets.dtype), mapped)
        side.release()
        return side
    except (OSError, ValueError, IndexError) as error:
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            raise UserError(
                f"{stem.parent} has more shards than this process may open files for; raise `ulimit -n`, or prepare it "
                "with a larger data.shard_pairs"
            ) from None
        raise UserError(
            f"{stem}.ids and {stem}.offsets are missing or damaged; delete the folder {stem.parent}"
        ) from None


def allow_open_files(count: int) -> None:
    """Raises the process' own limit so far that it can open so many files more, if the system's limit lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def shard_name(split: str, number: int) -> str:
    return f"{split}-{number:05d}"


def store_files(folder: Path, shard: str) -> list[Path]:
    """All that a shard consists of."""
    return [folder / f"{shard}.{side}.{kind}" for side in SIDES for kind in KINDS]


def rising(offsets: NDArray[np.int64]) -> bool:
    """Whether none is less than the one before; looked at in parts, to need little memory."""
    parts = range(0, len(offsets), PART)
    return all(bool((np.diff(offsets[start : start + PART + 1]) >= 0).all()) for start in parts)


def flatten(
    lines: Sequence[Sequence[int]], dtype: np.dtype[Any]
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int64]]:
    offsets = np.zeros(len(lines) + 1, dtype=np.int64)
    np.cumsum([len(line) for line in lines], out=offsets[1:])
    return np.fromiter(chain.from_iterable(lines), dtype, count=int(offsets[-1])), offsets


class StoreWriter:
    """Appends sentence pairs to the files of a shard, a block at a time."""

    def __init__(self, folder: Path, shard: str, src_size: int, tgt_size: int) -> None:
        """
        Args:
            folder: where to write.
            shard: its name.
            src_size: size of the source vocabulary, which decides the width of an id; likewise `tgt_size`.
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
