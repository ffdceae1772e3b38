"""Settings of glibc's memory allocator, which keeps or returns freed memory."""

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h


@cache
def c_library() -> ctypes.CDLL | None:
    """Return glibc, or None on other systems and with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        library.mallopt, library.malloc_trim  # noqa: B018  looks the functions up
    except (OSError, AttributeError):
        return None
    return library


def keep_memory() -> bool:
    """Make glibc keep freed memory instead of returning large blocks to the kernel at each step.

    Page faults for returned blocks took a fifth of a training step. The cost is more resident memory, which
    `return_memory` limits. Return whether glibc was found.
    """
    library = c_library()
    if library is None:
        return False
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    library.mallopt(M_TOP_PAD, 2**28)
    return True


def return_memory() -> None:
    """Return freed memory to the kernel now, also from the middle of the heap.

    Blocks of batches of many lengths leave gaps between blocks in use, so that the heap grows for thousands of steps.
    """
    library = c_library()
    if library is not None:
        library.malloc_trim(0)
