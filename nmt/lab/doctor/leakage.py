"""Which held-out sentences the training set has: equal ones, equal but for case and punctuation, and nearly equal."""

from collections import Counter, defaultdict

from nmt.config.data import CleaningConfig
from nmt.data.preprocessing.cleaning import loose
from nmt.lab.doctor.findings import Finding, Limits, Share, Tally, worst_share

GRAM = 5  # words in a row that two sentences share
RARE = 8  # held-out sentences that have them at the most; commoner ones tell nothing
LEAST = 4  # such runs that a sentence must have to be judged
NEAR = 0.7  # share of a sentence's runs that one training sentence has

Place = tuple[str, int]
"""Split, and line from 1."""


class Leakage:
    """Held-out pairs in memory, and what of them has been met in training pairs."""

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
        """Of each kind of leak: the held-out sentences, and the training line that each was first met in."""

    def add(self, line: int, src: str, tgt: str) -> None:
        """Looks at a training pair."""
        src = loose(src)
        if src in self.sources:
            self.meet("sources", self.sources[src], line)
            self.meet("pairs", self.pairs.get((src, loose(tgt)), []), line)
        shared = Counter(place for gram in set(grams_of(src)) for place in self.grams.get(gram, ()))
        near = [p for p, count in shared.items() if self.counts[p] >= LEAST and count >= NEAR * self.counts[p]]
        if near:
            self.meet("near", near, line)

    def meet(self, kind: str, places: list[Place], line: int) -> None:
        for place in places:
            self.met[kind].setdefault(place, line)

    def findings(self, cleaning: CleaningConfig) -> list[Finding]:
        """Judge the leaks. Pairs and sources are not bad where `cleaning` drops them from the training set."""
        near = "evaluate on sentences that are further from the training text, or say so beside the scores"
        drop = (
            "set data.cleaning.drop_test_sources=true, which drops these training pairs, or take another data.{split}"
        )
        bad: tuple[float | None, float | None] = (0.05, 0.2)
        if cleaning.drop_test_sources:
            drop, bad = "preparation drops them: leave data.cleaning.drop_test_sources on", (None, None)
        pairs, sources = "pairs are in train but for case and punctuation", "sources are in train with some target"
        return [
            self.finding("leakage: pairs", "pairs", pairs, 0.002, bad[0], drop),
            self.finding("leakage: sources", "sources", sources, 0.02, bad[1], drop),
            self.finding("leakage: near", "near", f"sources share {NEAR:.0%} of their {GRAM}-grams", 0.05, None, near),
        ]

    def finding(self, name: str, kind: str, what: str, look: float, bad: float | None, remedy: str) -> Finding:
        shares = []
        for split, size in self.sizes.items():
            tally = Tally()
            for _, line in sorted(place for place in self.met[kind] if place[0] == split):
                tally.add(line)
            shares.append(Share(split, tally, size))
        return worst_share(name, what, shares, Limits(look, bad), remedy)


def grams_of(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]


def overlap(held_out: dict[str, list[tuple[str, str]]]) -> list[Finding]:
    """Test pairs that stand in the validation set too."""
    if len(held_out) < 2:
        return []
    known = {(loose(src), loose(tgt)) for src, tgt in held_out["valid"]}
    tally = Tally()
    for line, (src, tgt) in enumerate(held_out["test"], start=1):
        if (loose(src), loose(tgt)) in known:
            tally.add(line)
    share = Share("test", tally, len(held_out["test"]))
    remedy = "drop them from data.valid: a model chosen on test sentences scores too well on them"
    return [worst_share("valid and test", "pairs are in valid too", [share], Limits(0.005, 0.1), remedy)]
