"""One pass over each split for the checks of every line. Training text is held in memory one block at a time."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from nmt.config.data import CleaningConfig
from nmt.data.preprocessing.cleaning import CleaningReport, clean, unchanged
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
"""Checks of each line of each side, by name."""


class Entry(NamedTuple):
    """Sampled pair with its line number."""

    line: int
    """Line number from 1, continued over the files of the split."""
    src: str
    tgt: str

    @property
    def sides(self) -> tuple[str, str]:
        return self.src, self.tgt


@dataclass
class Readable:
    """Pairs of a split up to the first damage in its files."""

    source: Source
    plain: Callable[[str], str] = unchanged
    """Returns the words of a source line without factors."""
    fault: str | None = None

    def pairs(self, most: float = float("inf")) -> Iterator[tuple[str, str]]:
        """Yield the pairs up to a damage, and stop after `most` characters."""
        try:
            yield from ((self.plain(src), tgt) for src, tgt in self.source.pairs(most))
        except UserError as error:
            self.fault = str(error)


@dataclass
class SplitScan:
    """Counts of one pass over a split."""

    split: str
    symbols: Sequence[str] = ()
    """User symbols of the tokenizer, which are not markup."""
    report: CleaningReport = field(default_factory=CleaningReport)
    """Report of cleaning with every reason to drop a pair enabled."""
    sample: list[Entry] = field(default_factory=list)
    """Pairs that cleaning keeps, drawn by seed, in their order."""
    kept: int = 0
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """Tallies by name of the check and place, such as `train.src`."""
    wholes: dict[str, int] = field(default_factory=lambda: {"numbers": 0, "addresses": 0})
    """Number of pairs to which each check of pairs applies."""
    characters: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = field(default_factory=dict)
    """Number of occurrences of each code point on each side."""

    def __post_init__(self) -> None:
        for side in SIDES:
            self.characters[side] = np.zeros(CODE_POINTS, dtype=np.int64)
            for name in FINDERS:
                self.tallies[name, f"{self.split}.{side}"] = Tally()
        for name in self.wholes:
            self.tallies[name, self.split] = Tally()

    def shares(self, name: str) -> list[Share]:
        """Return the shares of a check, one per place."""
        return [
            Share(place, tally, self.wholes.get(name, self.report.read))
            for (check, place), tally in self.tallies.items()
            if check == name
        ]

    def add(self, begin: int, block: list[tuple[str, str]]) -> None:
        """Check a block of pairs as they are in the files, after `begin` earlier pairs."""
        for at, side in enumerate(SIDES):
            lines = [pair[at] for pair in block]
            for name, find in FINDERS.items():
                tally = self.tallies[name, f"{self.split}.{side}"]
                for place in find(without(self.symbols, lines) if name == "markup" else lines):
                    tally.add(begin + place + 1)
            codes = np.frombuffer("".join(lines).encode("utf-32-le"), dtype=np.uint32)
            counts = np.bincount(codes)
            self.characters[side][: len(counts)] += counts
        for name, check in (("numbers", other_numbers), ("addresses", other_addresses)):
            for place, (src, tgt) in enumerate(block, start=begin + 1):
                differs = check(src, tgt)
                if differs is not None:
                    self.wholes[name] += 1
                    if differs:
                        self.tallies[name, self.split].add(place)


def without(symbols: Sequence[str], lines: list[str]) -> list[str]:
    """Return the lines without the symbols."""
    for symbol in symbols:
        lines = [line.replace(symbol, "") for line in lines]
    return lines


def scan(
    split: str,
    readable: Readable,
    cleaning: CleaningConfig,
    held_out: set[int],
    sample: tuple[int, int],
    advance: Callable[[int], None],
    leakage: Leakage | None = None,
    words: tuple[WordCounts, WordCounts] | None = None,
    symbols: Sequence[str] = (),
) -> SplitScan:
    """Read a split once, count and sample.

    `sample` is the number of pairs to sample, and the seed. `held_out` has digests of the held-out pairs, for the
    training split. `leakage` receives each pair, `words` counts the words of the pairs that cleaning keeps, and
    `advance` is called with the number of pairs of each block.
    """
    result = SplitScan(split, symbols)
    settings = replace(cleaning, drop_identical=True, drop_duplicates=True, drop_test_pairs=True)
    kept = clean(counted(result, readable.pairs(), advance, leakage), settings, held_out, result.report)
    size, seed = sample
    generator = random.Random(seed)
    for block in blocks(Entry(result.report.read, src, tgt) for src, tgt in kept):
        for side, counts in enumerate(words or ()):
            counts.add(entry.sides[side] for entry in block)
        for count, entry in enumerate(block, start=result.kept + 1):
            if count <= size:
                result.sample.append(entry)
            elif (place := generator.randrange(count)) < size:  # algorithm R (Vitter 1985)
                result.sample[place] = entry
        result.kept += len(block)
    result.sample.sort()
    return result


def counted(
    result: SplitScan, pairs: Iterable[tuple[str, str]], advance: Callable[[int], None], leakage: Leakage | None
) -> Iterator[tuple[str, str]]:
    """Yield the pairs unchanged, and count them in blocks."""
    begin = 0
    for block in blocks(pairs):
        result.add(begin, block)
        if leakage is not None:
            for line, (src, tgt) in enumerate(block, start=begin + 1):
                leakage.add(line, src, tgt)
        advance(len(block))
        begin += len(block)
        yield from block
