"""Finds the pairs that stand in an earlier shard, with the memory of a few shards however many there are.

The digests of a shard lie sorted on the disk, so all digests between two numbers are one stretch of each file. They are
looked at range by range, and equal ones fall into the same range.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOGETHER = 1 << 22
"""Digests in memory at once, on average; about 48 bytes each."""
DIGEST, POSITION = np.dtype("<u8"), np.dtype("<u4")


def write_digests(stem: Path, digests: NDArray[np.uint64]) -> list[Path]:
    """Writes the digests of a shard's pairs for `find_repeated`, 12 bytes each; returns the files."""
    order = np.argsort(digests, kind="stable")
    files = [Path(f"{stem}.digests"), Path(f"{stem}.positions")]
    files[0].write_bytes(digests[order].astype(DIGEST).tobytes())  # not tofile: it cannot say that the disk is full
    files[1].write_bytes(order.astype(POSITION).tobytes())
    return files


def find_repeated(stems: Sequence[Path]) -> int:
    """Writes for each shard which of its pairs an earlier shard has.

    Args:
        stems: of the files that `write_digests` wrote, in the order of the shards. No shard has a digest twice.

    Returns:
        How many there are in all.
    """
    total = sum(Path(f"{stem}.digests").stat().st_size for stem in stems) // DIGEST.itemsize
    ranges = max(1, -(-total // TOGETHER))
    bounds = np.array([2**64 * part // ranges for part in range(1, ranges)], dtype=np.uint64)
    edges = []
    for stem in stems:
        Path(f"{stem}.repeated").write_bytes(b"")
        digests = np.fromfile(f"{stem}.digests", DIGEST)
        edges.append([0, *np.searchsorted(digests, bounds).tolist(), len(digests)])
    found = 0
    for part in range(ranges):
        stretches = [(edge[part], edge[part + 1] - edge[part]) for edge in edges]
        digests, positions = (read_stretches(stems, stretches, dtype) for dtype in (DIGEST, POSITION))
        order = np.argsort(digests, kind="stable")  # equal ones stay in the order of their shards
        in_order = digests[order]
        repeated = np.sort(order[1:][in_order[1:] == in_order[:-1]])
        starts = np.cumsum([0, *(count for _, count in stretches)])
        for stem, (first, end) in zip(stems, pairwise(np.searchsorted(repeated, starts).tolist()), strict=True):
            if end > first:
                with open(f"{stem}.repeated", "ab") as file:
                    file.write(positions[repeated[first:end]].tobytes())
        found += len(repeated)
    return found


def read_stretches(
    stems: Sequence[Path], stretches: Sequence[tuple[int, int]], dtype: np.dtype[np.unsignedinteger]
) -> NDArray[np.unsignedinteger]:
    """One stretch, as first and count, of the digests or positions of each shard, in a row."""
    kind = "digests" if dtype == DIGEST else "positions"
    parts = [
        np.fromfile(f"{stem}.{kind}", dtype, count, offset=first * dtype.itemsize)
        for stem, (first, count) in zip(stems, stretches, strict=True)
    ]
    return np.concatenate(parts)


def read_repeated(stem: Path) -> NDArray[np.unsignedinteger]:
    """Positions among a shard's pairs of those that an earlier shard has; none if they were not looked for."""
    file = Path(f"{stem}.repeated")
    return np.fromfile(file, POSITION) if file.exists() else np.zeros(0, POSITION)
