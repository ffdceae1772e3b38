"""File locks between processes. The only file that imports filelock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.errors import UserError


@contextmanager
def locked(file: Path, busy: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock inside a `with` block; it is released when the process ends. Create its folder if needed.

    `busy` is the error message if another process holds the lock; None waits for the lock.

    Raises:
        UserError: another process holds the lock and `busy` is given.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=-1 if busy is None else 0)
    except Timeout:
        raise UserError(f"{busy}; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()
