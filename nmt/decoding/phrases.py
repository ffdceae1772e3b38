"""Phrases that a hypothesis must hold: how far it is with them, and how many tokens the rest takes at least."""

from collections.abc import Sequence, Set
from typing import Any, Protocol

Phrase = tuple[int, ...]
State = tuple[frozenset[int], tuple[Any, ...]]
"""What matters of a hypothesis' tokens: the phrases that are in it for good, by number, and its longest end that begins
a phrase. A phrase at the very end is in it too, but the next token may take it back by going on with its last word."""
EXACT = 6
"""Up to so many phrases the shortest text that holds them all is found exactly, else by setting them in a row."""


class Constraints(Protocol):
    """What search knows of the phrases of one sentence."""

    start: State
    all: frozenset[int]
    length: int

    @property
    def words(self) -> Sequence[int]: ...
    @property
    def continues(self) -> Set[int]: ...
    def after(self, state: State, word: int) -> State: ...
    def missing(self, state: State) -> frozenset[int]: ...
    def progress(self, state: State) -> int: ...
    def advances(self, state: State) -> set[int]: ...
    def need(self, state: State) -> int: ...
    def fitting(self, state: State, room: int) -> tuple[set[int], bool, bool]: ...


class Phrases:
    """The phrases of one sentence. Which token follows decides whether one that begins a phrase has more of it."""

    start: State = (frozenset(), ())

    def __init__(self, phrases: Sequence[Sequence[int]], continues: Set[int] = frozenset()) -> None:
        """
        Args:
            phrases: their tokens; where one holds another, or the same one stands twice, one is enough.
            continues: the tokens that go on with the word before them.
        """
        each = list(dict.fromkeys(tuple(phrase) for phrase in phrases if phrase))
        self.phrases = [one for one in each if not any(one != all_ and holds(all_, one, continues) for all_ in each)]
        self.continues: Set[int] = continues
        self.all = frozenset(range(len(self.phrases)))
        self.words: Sequence[int] = sorted({word for phrase in self.phrases for word in phrase})
        self.beginnings = {(), *(phrase[:n] for phrase in self.phrases for n in range(1, len(phrase) + 1))}
        self.length = sum(map(len, self.phrases))
        """Tokens of all phrases."""
        self.known: dict[tuple[int, frozenset[int]], int] = {}

    def after(self, state: State, word: int) -> State:
        """The state once this word has followed."""
        firm, end = state
        if word not in self.continues:
            firm = firm | self.at(end)
        end = (*end, word)
        while end not in self.beginnings:
            end = end[1:]
        return firm, end

    def at(self, end: Phrase) -> frozenset[int]:
        """The phrases that end here."""
        return frozenset(i for i in self.all if end[-len(self.phrases[i]) :] == self.phrases[i])

    def missing(self, state: State) -> frozenset[int]:
        """The phrases that a hypothesis would not hold if it ended now."""
        return self.all - state[0] - self.at(state[1])

    def progress(self, state: State) -> int:
        """Tokens of the phrases that are held, and of the one that is furthest begun (Post and Vilar 2018)."""
        missing = self.missing(state)
        begun = max((n for i in missing for n in self.overlaps(state[1], i).values()), default=0)
        return sum(len(self.phrases[i]) for i in self.all - missing) + begun

    def advances(self, state: State) -> set[int]:
        """The words that go on with a missing phrase, or begin it."""
        return {self.phrases[i][n] for i in self.missing(state) for n in self.overlaps(state[1], i).values()}

    def overlaps(self, end: Phrase, i: int) -> dict[bool, int]:
        """How many tokens of phrase i stand at the end: at most, by whether the next one goes on with a word."""
        phrase = self.phrases[i]
        found = {False: 0}
        for n in range(1, min(len(end) + 1, len(phrase))):
            if end[-n:] == phrase[:n]:
                found[phrase[n] in self.continues] = n
        return found

    def need(self, state: State) -> int:
        """Tokens that it takes at least to hold all; there is always a word after which it takes one less."""
        missing = self.missing(state)
        least = self.length
        for i in missing:
            for goes_on, n in self.overlaps(state[1], i).items():
                rest = self.all - state[0] if goes_on else missing  # it takes back the phrases that end here
                least = min(least, len(self.phrases[i]) - n + self.shortest(i, rest - {i}))
        return least if missing else 0

    def shortest(self, last: int, rest: frozenset[int]) -> int:
        """Tokens that it takes to hold the phrases `rest` behind the phrase `last`."""
        if not rest:
            return 0
        if (last, rest) not in self.known:
            saved = {i: self.overlaps(self.phrases[last], i)[False] for i in rest}
            left = {i: len(self.phrases[i]) - saved[i] for i in rest}
            self.known[last, rest] = (
                sum(len(self.phrases[i]) for i in rest) - max(saved.values())
                if len(rest) > EXACT
                else min(left[i] + self.shortest(i, rest - {i}) for i in rest)
            )
        return self.known[last, rest]

    def fitting(self, state: State, room: int) -> tuple[set[int], bool, bool]:
        """What may follow so that `room` more tokens are enough for the rest.

        Returns:
            The words of the phrases that may; whether a word of none may that begins a word; or that goes on with one.
        """
        words = {word for word in self.words if self.need(self.after(state, word)) <= room}
        firm, end = state
        return words, self.need((firm | self.at(end), ())) <= room, self.need((firm, ())) <= room


def holds(tokens: Phrase, phrase: Phrase, continues: Set[int] = frozenset()) -> bool:
    """Whether the phrase stands somewhere in the tokens, and its last word does not go on there."""
    size = len(phrase)
    return any(
        tokens[n : n + size] == phrase and (n + size == len(tokens) or tokens[n + size] not in continues)
        for n in range(len(tokens) - size + 1)
    )
