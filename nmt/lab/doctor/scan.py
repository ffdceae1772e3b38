"""One pass over each split for all that is cheap. Text is in memory a block at a time; held-out text stays."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from nmt.config.data import CleaningConfig
from nmt.data.preprocessing.cleaning import CleaningReport, clean
from nmt.data.preprocessing.shard_steps import blocks
from nmt.data.preprocessing.sources import Source
from nmt.data.words import WordCounts
from nmt.errors import UserError
from nmt.lab.doctor.findings import Share, Tally
from nmt.lab.doctor.leakage import Leakage
from nmt.lab.doctor.text import TEXT_CHECKS, TOKENISED, capitals, matching, other_addresses, other_numbers

CODE_POINTS = 0x110000
SIDES = ("src", "tgt")
FINDERS = {check.name: check.find for check in TEXT_CHECKS} | {"tokenised": matching(TOKENISED), "capitals": capitals}
"""What is counted of each side of each line."""


class Entry(NamedTuple):
    """A pair of a sample."""

    line: int
    """From 1, counted on over the files of the split."""
    src: str
    tgt: str

    @property
    def sides(self) -> tuple[str, str]:
        return self.src, self.tgt


@dataclass
class Readable:
    """A split's pairs up to where its files are damaged, if they are."""

    source: Source
    fault: str | None = None

    def pairs(self, most: float = float("inf")) -> Iterator[tuple[str, str]]:
        """The pairs, as long as they have no more than `most` characters, of those that are kept."""
        try:
            yield from self.source.pairs(most)
        except UserError as error:
            self.fault = str(error)


@dataclass
class SplitScan:
    """What one pass over a split counted."""

    split: str
    report: CleaningReport = field(default_factory=CleaningReport)
    """As preparation would clean it, with every reason to drop a pair on."""
    sample: list[Entry] = field(default_factory=list)
    """Pairs that cleaning keeps, drawn by seed, in their order."""
    kept: int = 0
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """By name of the check and place, as `train.src`."""
    wholes: dict[str, int] = field(default_factory=lambda: {"numbers": 0, "addresses": 0})
    """Pairs that the checks of pairs apply to."""
    characters: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = field(default_factory=dict)
    """How often each code point stands on each side."""

    def __post_init__(self) -> None:
        for side in SIDES:
            self.characters[side] = np.zeros(CODE_POINTS, dtype=np.int64)
            for name in FINDERS:
                self.tallies[name, f"{self.split}.{side}"] = Tally()
        for name in self.wholes:
            self.tallies[name, self.split] = Tally()

    def shares(self, name: str) -> list[Share]:
        """Of all places that a check was made in."""
        return [
            Share(place, tally, self.wholes.get(name, self.report.read))
            for (check, place), tally in self.tallies.items()
            if check == name
        ]

    def add(self, begin: int, block: list[tuple[str, str]]) -> None:
        """Looks at pairs as they stand in the files; `begin` have gone before."""
        for at, side in enumerate(SIDES):
            lines = [pair[at] for pair in block]
            for name, find in FINDERS.items():
                tally = self.tallies[name, f"{self.split}.{side}"]
                for place in find(lines):
                    tally.add(begin + place + 1)
            codes = np.frombuffer("".join(lines).encode("utf-32-le"), dtype=np.uint32)
            found = np.bincount(codes)
            self.characters[side][: len(found)] += found
        for name, check in (("numbers", other_numbers), ("addresses", other_addresses)):
            for place, (src, tgt) in enumerate(block, start=begin + 1):
                differs = check(src, tgt)
                if differs is not None:
                    self.wholes[name] += 1
                    if differs:
                        self.tallies[name, self.split].add(place)


def scan(
    split: str,
    readable: Readable,
    cleaning: CleaningConfig,
    held_out: set[int],
    sample: tuple[int, int],
    advance: Callable[[int], None],
    leakage: Leakage | None = None,
    words: tuple[WordCounts, WordCounts] | None = None,
) -> SplitScan:
    """Reads a split once.

    Args:
        split: its name.
        readable: its pairs.
        cleaning: limits of length and ratio.
        held_out: digests of the held-out pairs, for training pairs.
        sample: pairs to draw, and the seed.
        advance: told of each block's size.
        leakage: is shown each pair.
        words: counts the words of the pairs that are kept.
    """
    found = SplitScan(split)
    settings = replace(cleaning, drop_identical=True, drop_duplicates=True, drop_test_pairs=True)
    kept = clean(watched(found, readable.pairs(), advance, leakage), settings, held_out, found.report)
    most, seed = sample
    draw = random.Random(seed)
    for block in blocks(Entry(found.report.read, src, tgt) for src, tgt in kept):
        for side, counts in enumerate(words or ()):
            counts.add(entry.sides[side] for entry in block)
        for count, entry in enumerate(block, start=found.kept + 1):
            if count <= most:
                found.sample.append(entry)
            elif (place := draw.randrange(count)) < most:  # algorithm R (Vitter 1985)
                found.sample[place] = entry
        found.kept += len(block)
    found.sample.sort()
    return found


def watched(
    found: SplitScan, pairs: Iterable[tuple[str, str]], advance: Callable[[int], None], leakage: Leakage | None
) -> Iterator[tuple[str, str]]:
    """Passes the pairs on as they are, and looks at them in blocks."""
    begin = 0
    for block in blocks(pairs):
        found.add(begin, block)
        if leakage is not None:
            for line, (src, tgt) in enumerate(block, start=begin + 1):
                leakage.add(line, src, tgt)
        advance(len(block))
        begin += len(block)
        yield from block
