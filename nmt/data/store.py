"""Ids of sentence pairs on the disk, and mapped offsets of where each begins: a corpus may be larger than memory."""

import os
import weakref
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.errors import UserError

SIDES = ("src", "tgt")
WIDTHS = (2, 4)  # bytes of an id
EVERY = slice(None)
PART = 1 << 18  # offsets looked at together


class IdsFile:
    """Ids on the disk, read where they are asked for.

    A mapped file would come into the process' memory around each place that is read, in the end all of it.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        self.file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)

    def __getitem__(self, where: slice) -> NDArray[np.unsignedinteger]:
        width = self.dtype.itemsize
        wanted = int(where.stop - where.start) * width
        read = os.pread(self.file, wanted, int(where.start) * width)
        if len(read) < wanted:
            raise UserError(f"{self.path} became shorter while it was read; delete the folder {self.path.parent}")
        return np.frombuffer(read, self.dtype)


class Side:
    """One side of a split: the ids of all sentences in a row, and where each begins."""

    def __init__(self, ids: NDArray[np.unsignedinteger] | IdsFile, offsets: NDArray[np.int64]) -> None:
        self.ids = ids
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.unsignedinteger]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def lengths(self, which: slice | NDArray[np.integer] = EVERY) -> NDArray[np.int64]:
        """Pieces of each sentence, or of some."""
        return self.offsets[1:][which] - self.offsets[:-1][which]


class PairStore:
    """A split as ids, without bos and eos."""

    def __init__(self, src: Side, tgt: Side) -> None:
        self.src = src
        self.tgt = tgt

    def __len__(self) -> int:
        return len(self.src)

    @classmethod
    def open(cls, folder: Path, split: str) -> "PairStore":
        """Maps a split that `StoreWriter` wrote.

        Raises:
            UserError: a file is missing, or its size does not fit the others.
        """
        src, tgt = (open_side(folder / f"{split}.{side}") for side in SIDES)
        if len(src) != len(tgt):
            raise UserError(f"{folder / split}.*: {len(src)} source and {len(tgt)} target sentences; delete {folder}")
        return cls(src, tgt)

    @classmethod
    def of(cls, src: Sequence[Sequence[int]], tgt: Sequence[Sequence[int]]) -> "PairStore":
        """A store in memory."""
        return cls(*(Side(*flatten(lines, np.dtype(np.uint32))) for lines in (src, tgt)))


def open_side(stem: Path) -> Side:
    try:
        offsets = np.asarray(np.memmap(f"{stem}.offsets", dtype=np.int64, mode="r"))
        total, size = int(offsets[-1]), Path(f"{stem}.ids").stat().st_size
        width = size // total if total > 0 else WIDTHS[0]
        if offsets[0] != 0 or not rising(offsets) or width not in WIDTHS or size != total * width:
            raise ValueError
        return Side(IdsFile(Path(f"{stem}.ids"), np.dtype(f"u{width}")), offsets)
    except (OSError, ValueError, IndexError):
        raise UserError(
            f"{stem}.ids and {stem}.offsets are missing or damaged; delete the folder {stem.parent}"
        ) from None


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
    """Appends sentence pairs to the files of a split, a block at a time."""

    def __init__(self, folder: Path, split: str, src_size: int, tgt_size: int) -> None:
        """
        Args:
            folder: where to write.
            split: name of the split.
            src_size: size of the source vocabulary, which decides the width of an id; likewise `tgt_size`.
        """
        self.files = {
            side: [(folder / f"{split}.{side}.{kind}").open("wb") for kind in ("ids", "offsets")] for side in SIDES
        }
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
