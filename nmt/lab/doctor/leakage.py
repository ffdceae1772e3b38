"""Held-out sentences in the training set: equal except for case and punctuation, or nearly equal."""

from collections import Counter, defaultdict

from nmt.config.data import CleaningConfig
from nmt.data.preprocessing.cleaning import loose
from nmt.lab.doctor.findings import Finding, Limits, Share, Tally, worst_share

GRAM = 5  # length of an n-gram, in words
RARE = 8  # maximum number of held-out sentences with an n-gram; commoner n-grams are ignored
LEAST = 4  # minimum number of such n-grams of a sentence that is compared
NEAR = 0.7  # share of these n-grams in one training sentence from which the two are nearly equal

Place = tuple[str, int]
"""Split and line number, from 1."""


class Leakage:
    """Index of the held-out pairs, with those that occur in training pairs."""

    def __init__(self, held_out: dict[str, list[tuple[str, str]]]) -> None:
        self.sizes = {split: len(pairs) for split, pairs in held_out.items()}
        self.pairs: dict[tuple[str, str], list[Place]] = defaultdict(list)
        self.sources: dict[str, list[Place]] = defaultdict(list)
        grams: dict[str, list[Place]] = defaultdict(list)
        for split, pairs in held_out.items():
            for line, pair in enumerate(pairs, start=1):
                src, tgt = map(loose, pair)
                if src and tgt:
                    self.pairs[src, tgt].append((split, line))
                    self.sources[src].append((split, line))
                for gram in set(grams_of(src)):
                    grams[gram].append((split, line))
        self.grams = {gram: places for gram, places in grams.items() if len(places) <= RARE}
        self.counts = Counter(place for places in self.grams.values() for place in places)
        self.met: dict[str, dict[Place, int]] = {"pairs": {}, "sources": {}, "near": {}}
        """For each kind of leak, the held-out sentences and the first training line with each of them."""

    def add(self, line: int, src: str, tgt: str) -> None:
        """Compare a training pair with the held-out pairs."""
        src = loose(src)
        if src in self.sources:
            self.meet("sources", self.sources[src], line)
            self.meet("pairs", self.pairs.get((src, loose(tgt)), []), line)
        shared = Counter(place for gram in set(grams_of(src)) for place in self.grams.get(gram, ()))
        near = [p for p, count in shared.items() if self.counts[p] >= LEAST and count >= NEAR * self.counts[p]]
        if near:
            self.meet("near", near, line)

    def meet(self, kind: str, places: list[Place], line: int) -> None:
        """Record that a training line contains held-out sentences."""
        for place in places:
            self.met[kind].setdefault(place, line)

    def findings(self, cleaning: CleaningConfig) -> list[Finding]:
        """Return one finding per kind of leak. Pairs and sources that `cleaning` drops are not bad."""
        near = "evaluate on sentences that differ more from the training text, or report this with the scores"
        drop = "set data.cleaning.drop_test_sources=true, which drops these training pairs, or use another data.{split}"
        bad: tuple[float | None, float | None] = (0.05, 0.2)
        if cleaning.drop_test_sources:
            drop, bad = "preparation drops them: leave data.cleaning.drop_test_sources on", (None, None)
        pairs = "pairs are in train, ignoring case and punctuation"
        sources = "sources are in train, with the same or another target"
        return [
            self.finding("leakage: pairs", "pairs", pairs, 0.002, bad[0], drop),
            self.finding("leakage: sources", "sources", sources, 0.02, bad[1], drop),
            self.finding(
                "leakage: near", "near", f"sources share {NEAR:.0%} of their {GRAM}-grams with train", 0.05, None, near
            ),
        ]

    def finding(self, name: str, kind: str, counted: str, look: float, bad: float | None, remedy: str) -> Finding:
        """Return the finding for one kind of leak."""
        shares = []
        for split, size in self.sizes.items():
            tally = Tally()
            for _, line in sorted(place for place in self.met[kind] if place[0] == split):
                tally.add(line)
            shares.append(Share(split, tally, size))
        return worst_share(name, counted, shares, Limits(look, bad), remedy)


def grams_of(text: str) -> list[str]:
    """Return the n-grams of `GRAM` words of a text."""
    words = text.split()
    return [" ".join(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]


def overlap(held_out: dict[str, list[tuple[str, str]]]) -> list[Finding]:
    """Check for test pairs that are also in the validation set."""
    if len(held_out) < 2:
        return []
    known = {(loose(src), loose(tgt)) for src, tgt in held_out["valid"]}
    tally = Tally()
    for line, (src, tgt) in enumerate(held_out["test"], start=1):
        if (loose(src), loose(tgt)) in known:
            tally.add(line)
    share = Share("test", tally, len(held_out["test"]))
    remedy = "drop them from data.valid: choosing a model on test sentences makes its test score too high"
    return [worst_share("valid and test", "pairs are also in valid", [share], Limits(0.005, 0.1), remedy)]
