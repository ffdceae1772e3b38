"""Detection of pairs that occur in an earlier shard, in memory that does not grow with the number of shards.

The digests of each shard are sorted on disk, so the digests in a range of numbers are contiguous in each file. Ranges
are processed one after the other, and equal digests fall into the same range.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RANGE_DIGESTS = 1 << 22
"""Mean number of digests per range, which are in memory together; each takes about 48 bytes."""
DIGEST, POSITION = np.dtype("<u8"), np.dtype("<u4")


def write_digests(stem: Path, digests: NDArray[np.uint64]) -> list[Path]:
    """Write the digests of a shard's pairs for `find_repeated`, 12 bytes each, and return the files."""
    order = np.argsort(digests, kind="stable")
    files = [Path(f"{stem}.digests"), Path(f"{stem}.positions")]
    files[0].write_bytes(digests[order].astype(DIGEST).tobytes())  # tofile does not report a full disk
    files[1].write_bytes(order.astype(POSITION).tobytes())
    return files


def find_repeated(stems: Sequence[Path]) -> int:
    """Write for each shard the positions of its pairs that occur in an earlier shard.

    Args:
        stems: stems of the files that `write_digests` wrote, in the order of the shards. The digests of a shard are
            distinct.

    Returns:
        Total number of these pairs.
    """
    total = sum(Path(f"{stem}.digests").stat().st_size for stem in stems) // DIGEST.itemsize
    ranges = max(1, -(-total // RANGE_DIGESTS))
    bounds = np.array([2**64 * part // ranges for part in range(1, ranges)], dtype=np.uint64)
    edges = []
    for stem in stems:
        Path(f"{stem}.repeated").write_bytes(b"")
        digests = np.fromfile(f"{stem}.digests", DIGEST)
        edges.append([0, *np.searchsorted(digests, bounds).tolist(), len(digests)])
    count = 0
    for part in range(ranges):
        stretches = [(edge[part], edge[part + 1] - edge[part]) for edge in edges]
        digests, positions = (read_stretches(stems, stretches, dtype) for dtype in (DIGEST, POSITION))
        order = np.argsort(digests, kind="stable")  # equal digests stay in the order of their shards
        in_order = digests[order]
        repeated = np.sort(order[1:][in_order[1:] == in_order[:-1]])
        starts = np.cumsum([0, *(size for _, size in stretches)])
        for stem, (first, end) in zip(stems, pairwise(np.searchsorted(repeated, starts).tolist()), strict=True):
            if end > first:
                with open(f"{stem}.repeated", "ab") as file:
                    file.write(positions[repeated[first:end]].tobytes())
        count += len(repeated)
    return count


def read_stretches(
    stems: Sequence[Path], stretches: Sequence[tuple[int, int]], dtype: np.dtype[np.unsignedinteger]
) -> NDArray[np.unsignedinteger]:
    """Return one stretch per shard, given as (first, count), of the digests or positions, concatenated."""
    kind = "digests" if dtype == DIGEST else "positions"
    parts = [
        np.fromfile(f"{stem}.{kind}", dtype, count, offset=first * dtype.itemsize)
        for stem, (first, count) in zip(stems, stretches, strict=True)
    ]
    return np.concatenate(parts)


def read_repeated(stem: Path) -> NDArray[np.unsignedinteger]:
    """Return the positions of a shard's pairs that occur in an earlier shard; empty without `find_repeated`."""
    file = Path(f"{stem}.repeated")
    return np.fromfile(file, POSITION) if file.exists() else np.zeros(0, POSITION)
