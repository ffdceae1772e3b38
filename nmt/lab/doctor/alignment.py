"""Line alignment of the two sides, judged by a word translation model that is trained on the corpus itself."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.data.word_translation import ROUNDS, WordPair, Words, cells, expected_counts
from nmt.data.words import split_words, unspaced

SHIFTS = (0, 1, -1, 2, -2, 3, -3)
REACH = max(SHIFTS)
WINDOW = 64  # consecutive lines, so that each line can be compared with its neighbours
WINDOWS = 64
VOCABULARY = 3000  # most frequent words of a side; the translation table takes at most 72 MB
WORDS = 30  # words per sentence that are used
TRUST = 0.9  # weight of the translation table in the interpolation with the word's frequency
FARTHEST = 20_000  # maximum number of lines that are searched for a border
CLEAR = 0.75  # agreement from which the sides count as aligned
SURE = 0.9  # agreement from which no other shift is tried, because similar neighbours can fit too
BY_CHANCE = 4.5  # standard errors by which a shift must win: p = 1/300,000, for about 400 comparisons


@dataclass(frozen=True)
class LineWindow:
    """Consecutive lines of both sides."""

    begin: int
    """Number of lines before the first one of the window."""
    src: list[str]
    tgt: list[str]


@dataclass(frozen=True)
class AlignedStretch:
    """Consecutive windows with the same shift."""

    first: int
    """First line, from 1. The border to the stretch before lies between that one's last line and this line."""
    last: int
    """Last line, from 1."""
    shift: int | None
    """The target of line i is in line i + shift. None: not in a line nearby."""


@dataclass(frozen=True)
class Agreement:
    """Result of the comparison of the sides."""

    pairs: int
    """Number of pairs that were compared."""
    share: float
    """Share of the pairs that fit their own target better than a distant target; 0.5 is the chance level."""
    stretches: list[AlignedStretch]


def windows_of(pairs: Iterable[tuple[str, str]], total: int) -> Iterator[LineWindow]:
    """Yield windows spread evenly over `total` pairs; a short corpus is covered completely."""
    count = max(1, min(WINDOWS, total // WINDOW))
    starts = {round(number * (total - WINDOW) / max(1, count - 1)) for number in range(count)} if count > 1 else {0}
    lines = iter(pairs)
    done = 0
    for start in sorted(starts):
        block = list(itertools.islice(lines, max(0, start - done), start - done + WINDOW))
        if len(block) <= 2 * REACH:
            return
        yield LineWindow(start, [src for src, _ in block], [tgt for _, tgt in block])
        done = start + len(block)


class Dictionary:
    """Numbering of the frequent words of a side."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.characters = unspaced(lines)
        frequent = Counter(word for line in map(self.tokens, lines) for word in set(line)).most_common(VOCABULARY)
        self.numbers = {word: number for number, (word, count) in enumerate(frequent) if count > 1}

    def __len__(self) -> int:
        return len(self.numbers)

    def tokens(self, line: str) -> list[str]:
        words = split_words(line)
        return list("".join(words)) if self.characters else words

    def __call__(self, line: str) -> Words:
        """Return the numbers of the known words of a line, without repetition."""
        known = (self.numbers[word] for word in self.tokens(line)[:WORDS] if word in self.numbers)
        return np.fromiter(dict.fromkeys(known), np.int64)


class WordTranslation:
    """IBM Model 1 of the frequent words, with a dense table."""

    def __init__(self, pairs: Sequence[WordPair], src_size: int, tgt_size: int) -> None:
        self.tgt_size = tgt_size
        keys, slots, _ = cells(pairs, tgt_size)
        table: NDArray[np.float64] = np.ones(src_size * tgt_size)
        for _ in range(ROUNDS):
            by_source = expected_counts(table, keys, slots).reshape(src_size, tgt_size)
            table = (by_source / np.maximum(by_source.sum(axis=1, keepdims=True), 1e-9)).ravel()
        self.table = table
        seen = np.bincount(np.concatenate([tgt for _, tgt in pairs]), minlength=tgt_size)
        self.frequency = seen / max(1, seen.sum())

    def scores(self, pairs: Sequence[WordPair]) -> NDArray[np.float64]:
        """Return for each pair the mean of log p(f|source) / p(f) over the target words f, in nats; 0 is neutral."""
        keys, slots, owners = cells(pairs, self.tgt_size)
        words = np.concatenate([tgt for _, tgt in pairs])
        sizes = np.maximum(np.bincount(slots, minlength=len(words)), 1)
        likely = np.bincount(slots, self.table[keys], len(words)) / sizes
        frequency = self.frequency[words]
        ratio = np.log(TRUST * likely / np.maximum(frequency, 1e-9) + 1 - TRUST)
        ratio[(frequency == 0) | (np.bincount(slots, minlength=len(words)) == 0)] = 0
        counts = np.bincount(owners, minlength=len(pairs))
        mean: NDArray[np.float64] = np.bincount(owners, ratio, len(pairs)) / np.maximum(counts, 1)
        return mean


class WindowComparison:
    """Scores of all windows at all shifts. Each half of the windows is scored by a model trained on the other."""

    def __init__(self, windows: Sequence[LineWindow]) -> None:
        self.windows = windows
        src = Dictionary([line for window in windows for line in window.src])
        tgt = Dictionary([line for window in windows for line in window.tgt])
        self.sizes = len(src), len(tgt)
        self.words = [([src(line) for line in w.src], [tgt(line) for line in w.tgt]) for w in windows]
        self.dictionaries = src, tgt
        self.learn(0)
        if self.share(0) < SURE:  # the whole corpus may be shifted
            shares = {0: self.share(0)}
            for shift in SHIFTS[1:]:
                self.learn(shift)
                shares[shift] = self.share(shift)
            self.learn(max(shares, key=lambda shift: shares[shift]))
        self.tables = [np.stack([self.scores(number, k) for k in SHIFTS]) for number in range(len(windows))]
        self.shifts = [self.shift_of(number) for number in range(len(windows))]

    def learn(self, shift: int) -> None:
        """Train the word translation models on the pairs (i, i + shift)."""
        halves = [list(range(half, len(self.windows), 2)) for half in (0, 1)]
        if not halves[1]:  # a single window is scored by a model trained on itself
            halves[1] = halves[0]
        self.models = [WordTranslation(self.pairs(half, shift), *self.sizes) for half in halves]
        self.far = [self.model(number).scores(self.far_pairs(number)) for number in range(len(self.windows))]

    def model(self, number: int) -> WordTranslation:
        """Return the model of the half that does not contain this window."""
        return self.models[1 - number % 2]

    def scores(self, number: int, shift: int) -> NDArray[np.float64]:
        """Return the scores of a window's pairs (i, i + shift)."""
        return self.model(number).scores(self.pairs([number], shift))

    def pairs(self, numbers: Iterable[int], shift: int) -> list[WordPair]:
        """Return the pairs (i, i + shift) of some windows; the lines i do not depend on the shift."""
        return [
            (self.words[number][0][i], self.words[number][1][i + shift])
            for number in numbers
            for i in range(REACH, len(self.words[number][0]) - REACH)
        ]

    def far_pairs(self, number: int) -> list[WordPair]:
        """Pair the window's sources with targets of a distant window, or of distant lines in a single window."""
        src = self.words[number][0]
        tgt = self.words[(number + len(self.windows) // 2) % len(self.windows)][1]
        step = 0 if len(self.windows) > 1 else len(tgt) // 2
        return [(src[i], tgt[(i + step) % len(tgt)]) for i in range(REACH, len(src) - REACH)]

    def share(self, shift: int) -> float:
        """Return the share of all pairs (i, i + shift) that score higher than a distant pair."""
        return float(np.mean(np.concatenate([self.wins(number, shift) for number in range(len(self.windows))])))

    def wins(self, number: int, shift: int) -> NDArray[np.float64]:
        """Return 1 where a pair scores higher than a distant pair, 0 where lower, and 0.5 where equal."""
        near, far = self.scores(number, shift), self.far[number]
        wins: NDArray[np.float64] = (near > far) + (near == far) * 0.5
        return wins

    def shift_of(self, number: int) -> int | None:
        """Return the shift of a window, 0 unless another one is significantly better; None if no shift fits."""
        table = self.tables[number]
        best = int(table.mean(axis=1).argmax())
        gain = table[best] - table[0]
        error = gain.std() / np.sqrt(len(gain)) + 1e-9
        if SHIFTS[best] != 0 and gain.mean() > BY_CHANCE * error:
            return SHIFTS[best]
        return None if self.wins(number, 0).mean() < CLEAR else 0

    def model_without(self, low: int, high: int) -> WordTranslation:
        """Train a model on the windows outside the lines from `low` to `high`, each window at its shift."""
        outside = [
            pair
            for number, (window, shift) in enumerate(zip(self.windows, self.shifts, strict=True))
            if shift is not None and not low < window.begin + len(window.src) <= high + WINDOW
            for pair in self.pairs([number], shift)
        ]
        return WordTranslation(outside, *self.sizes) if outside else self.models[1]


def agreement(windows: Sequence[LineWindow]) -> tuple[Agreement, WindowComparison]:
    """Compare the sides of the windows of a corpus at each shift."""
    comparison = WindowComparison(windows)
    share = comparison.share(0)
    pairs = sum(len(far) for far in comparison.far)
    stretches = []
    for shift, group in itertools.groupby(zip(windows, comparison.shifts, strict=True), key=lambda pair: pair[1]):
        members = [window for window, _ in group]
        stretches.append(AlignedStretch(members[0].begin + 1, members[-1].begin + len(members[-1].src), shift))
    return Agreement(pairs, share, stretches), comparison


def border(
    pairs: Iterable[tuple[str, str]], comparison: WindowComparison, before: AlignedStretch, after: AlignedStretch
) -> int:
    """Return the most likely line, from 1, at which the shift of one stretch changes to that of the next.

    Where more than `FARTHEST` lines lie between the stretches, the result is the first line of the later one.
    """
    assert before.shift is not None
    assert after.shift is not None
    low, high = max(REACH, before.last - WINDOW), after.first + WINDOW
    if high - low > FARTHEST:
        return after.first
    block = list(itertools.islice(pairs, low - REACH, high + REACH))
    src, tgt = ([comparison.dictionaries[side](pair[side]) for pair in block] for side in (0, 1))
    lines = range(REACH, len(block) - REACH)
    model = comparison.model_without(low, high)
    one, other = (model.scores([(src[i], tgt[i + shift]) for i in lines]) for shift in (before.shift, after.shift))
    gain = np.concatenate([[0.0], np.cumsum(one - other)])  # log-likelihood if the first n lines belong to `before`
    return low + int(gain.argmax()) + 1
