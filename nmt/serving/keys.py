"""API keys and the rate of requests."""

import hmac
import time
from collections.abc import Callable, Sequence

from nmt.config import user_path
from nmt.data import read_all
from nmt.errors import UserError

MIN_KEY_LENGTH = 16
MAX_ADDRESSES = 10_000
"""Number of addresses above which those that have not used their rate are forgotten."""


def read_keys(path: str | None) -> list[str]:
    """Return the API keys of a file, one per line; without a file there are none.

    Raises:
        UserError: the file cannot be read, has no keys, or has a short one.
    """
    if path is None:
        return []
    keys = [key for line in read_all(user_path(path), 1 << 20) if (key := line.strip())]
    if not keys:
        raise UserError(f"keys_file={path} has no keys; write one per line")
    if any(len(key) < MIN_KEY_LENGTH for key in keys):
        raise UserError(f"keys_file={path} has a key of less than {MIN_KEY_LENGTH} characters; use longer, random keys")
    return keys


def is_key(given: str, keys: Sequence[str]) -> bool:
    """Return whether a text is one of the keys, in a time that does not depend on the text."""
    found = False
    for key in keys:
        found |= hmac.compare_digest(given.encode(errors="replace"), key.encode())
    return found


class RateLimit:
    """Token bucket per address: a burst of one minute's requests, refilled evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            per_minute: maximum number of requests per minute; 0: no limit.
            clock: function that returns the time in seconds.
        """
        self.per_minute = per_minute
        self.clock = clock
        self.buckets: dict[str, tuple[float, float]] = {}
        """Number of requests left for each address, and the time at which it was computed."""

    def admit(self, address: str) -> bool:
        """Count a request and return whether it is within the rate."""
        if not self.per_minute:
            return True
        now = self.clock()
        left = self.left(address, now)
        if left < 1:
            return False
        if len(self.buckets) >= MAX_ADDRESSES:
            self.buckets = {name: self.buckets[name] for name in self.buckets if self.left(name, now) < self.per_minute}
        self.buckets[address] = (left - 1, now)
        return True

    def left(self, address: str, now: float) -> float:
        """Return the number of requests that an address has left."""
        count, then = self.buckets.get(address, (float(self.per_minute), now))
        return min(float(self.per_minute), count + (now - then) * self.per_minute / 60)
