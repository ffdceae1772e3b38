"""Configuration of the embedded corpus of random strings: `data.strings.*`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
SPARE = 4
"""Minimum ratio of the possible strings of the shortest length to all pairs, so that new strings are found quickly."""
MOST_PAIRS = 10_000_000
MOST_SYMBOLS = 10_000
"""Maximum length of a string."""


class StringTask(StrEnum):
    """Target of a random string."""

    copy = "copy"
    reverse = "reverse"


@dataclass
class StringsConfig:
    """Embedded corpus of random strings and their copies or reversals, generated without any download."""

    task: StringTask = StringTask.reverse
    """Target: copy, the string itself; reverse, its symbols from last to first."""
    symbols: int = 26
    """Number of different symbols, which are small letters. Each symbol is a word."""
    train: int = 20_000
    """Number of training pairs."""
    valid: int = 500
    """Number of validation pairs."""
    test: int = 1000
    """Number of test pairs."""
    train_lengths: list[int] = field(default_factory=lambda: [4, 20])
    """Smallest and largest length of the strings of the training and validation sets; all lengths between are equally
    frequent."""
    test_lengths: list[int] = field(default_factory=lambda: [4, 40])
    """Smallest and largest length of the strings of the test set."""
    seed: int = 1
    """Seed of the corpus, independent of the run's seed."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "symbols", 2, len(ALPHABET))
        for name in ("train", "valid", "test"):
            yield from number(self, name, 1, MOST_PAIRS)
        pairs = self.train + self.valid + self.test
        for name in ("train_lengths", "test_lengths"):
            lengths = getattr(self, name)
            if len(lengths) != 2 or not 1 <= lengths[0] <= lengths[1] <= MOST_SYMBOLS:
                yield name, f"is {lengths}; allowed: the smallest and the largest length, from 1 to {MOST_SYMBOLS:,}"
            elif self.symbols ** min(lengths[0], 64) < SPARE * pairs:
                yield (
                    name,
                    f"begins with {lengths[0]}, but {self.symbols} symbols have too few strings of this length for "
                    f"{pairs:,} different pairs; begin with a larger length",
                )
