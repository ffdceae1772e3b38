"""Translated files, kept in memory until they are fetched or expire."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

KEEP_SECONDS = 600
MAX_STORED = 200_000_000
"""Maximum number of bytes of all files; the oldest are dropped."""


@dataclass(frozen=True)
class StoredFile:
    """Translated file."""

    data: bytes
    suffix: str
    expires: float


class FileStore:
    """Files by random names, which serve as their passwords."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: function that returns the time in seconds.
        """
        self.clock = clock
        self.files: dict[str, StoredFile] = {}

    def add(self, data: bytes, suffix: str) -> str:
        """Store a file and return its name."""
        now = self.clock()
        self.files = {name: file for name, file in self.files.items() if file.expires > now}
        while self.files and sum(len(file.data) for file in self.files.values()) + len(data) > MAX_STORED:
            del self.files[next(iter(self.files))]
        name = secrets.token_urlsafe(24) + suffix
        self.files[name] = StoredFile(data, suffix, now + KEEP_SECONDS)
        return name

    def get(self, name: str) -> StoredFile | None:
        """Return a file; None if there is none of this name, or it has expired."""
        file = self.files.get(name)
        return file if file is not None and file.expires > self.clock() else None
