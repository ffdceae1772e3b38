"""Locks between processes. The only file that imports filelock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.errors import UserError


@contextmanager
def locked(file: Path, busy: str | None = None) -> Iterator[None]:
    """Keeps other processes out while entered; the lock goes with the process that holds it.

    Args:
        file: stands for what is locked.
        busy: what to say where another process holds the lock; None: wait for it.

    Raises:
        UserError: another process holds it.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=-1 if busy is None else 0)
    except Timeout:
        raise UserError(f"{busy}; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()
