"""Phrases that a hypothesis must contain: their progress, and the minimum number of tokens that the rest needs."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Protocol

Phrase = tuple[int, ...]
PhraseState = tuple[frozenset[int], tuple[Any, ...]]
"""State of the phrases in a hypothesis: the numbers of the phrases that it contains for good, and its longest suffix
that begins a phrase. It also contains a phrase at its very end, but the next token can revoke this by continuing the
phrase's last word."""
Prefix = Sequence[Mapping[int, int]]
"""Automaton of a prefix: for each state the allowed next words with the state after each, a later one. It starts in
state 0; after the last state every word is allowed."""
EXACT = 6
"""Maximum number of phrases whose shortest common text is computed exactly; more are concatenated greedily."""


def state_in_prefix(prefix: Prefix, written: Sequence[int]) -> int | None:
    """Return the state of a prefix after some words; None if it is complete or the words deviate from it."""
    state = 0
    for word in written:
        if state == len(prefix) or word not in prefix[state]:
            return None
        state = prefix[state][word]
    return None if state == len(prefix) else state


class PhraseTracker(Protocol):
    """Phrases of one sentence, as search uses them."""

    start: PhraseState
    all: frozenset[int]
    length: int

    @property
    def words(self) -> Sequence[int]: ...
    @property
    def continues(self) -> Set[int]: ...
    def after(self, state: PhraseState, word: int) -> PhraseState: ...
    def missing(self, state: PhraseState) -> frozenset[int]: ...
    def progress(self, state: PhraseState) -> int: ...
    def advances(self, state: PhraseState) -> set[int]: ...
    def need(self, state: PhraseState) -> int: ...
    def fitting(self, state: PhraseState, room: int) -> tuple[set[int], bool, bool]: ...


class Phrases:
    """Phrases of one sentence, given as tokens."""

    start: PhraseState = (frozenset(), ())

    def __init__(self, phrases: Sequence[Sequence[int]], continues: Set[int] = frozenset()) -> None:
        """
        Args:
            phrases: tokens of each phrase. A phrase that another one contains, or that is given twice, is dropped.
            continues: tokens that continue the word before them.
        """
        distinct = list(dict.fromkeys(tuple(phrase) for phrase in phrases if phrase))
        self.phrases = [
            phrase
            for phrase in distinct
            if not any(phrase != other and contains(other, phrase, continues) for other in distinct)
        ]
        self.continues: Set[int] = continues
        self.all = frozenset(range(len(self.phrases)))
        self.words: Sequence[int] = sorted({word for phrase in self.phrases for word in phrase})
        self.beginnings = {(), *(phrase[:n] for phrase in self.phrases for n in range(1, len(phrase) + 1))}
        self.length = sum(map(len, self.phrases))
        """Number of tokens of all phrases."""
        self.lengths: dict[tuple[int, frozenset[int]], int] = {}

    def after(self, state: PhraseState, word: int) -> PhraseState:
        """Return the state after this word."""
        firm, end = state
        if word not in self.continues:
            firm = firm | self.at(end)
        end = (*end, word)
        while end not in self.beginnings:
            end = end[1:]
        return firm, end

    def at(self, end: Phrase) -> frozenset[int]:
        """Return the numbers of the phrases that end here."""
        return frozenset(i for i in self.all if end[-len(self.phrases[i]) :] == self.phrases[i])

    def missing(self, state: PhraseState) -> frozenset[int]:
        """Return the numbers of the phrases that the hypothesis would not contain if it ended now."""
        return self.all - state[0] - self.at(state[1])

    def progress(self, state: PhraseState) -> int:
        """Return the number of tokens of the contained phrases and of the longest begun one (Post and Vilar 2018)."""
        missing = self.missing(state)
        begun = max((n for i in missing for n in self.overlaps(state[1], i).values()), default=0)
        return sum(len(self.phrases[i]) for i in self.all - missing) + begun

    def advances(self, state: PhraseState) -> set[int]:
        """Return the words that continue or begin a missing phrase."""
        return {self.phrases[i][n] for i in self.missing(state) for n in self.overlaps(state[1], i).values()}

    def overlaps(self, end: Phrase, i: int) -> dict[bool, int]:
        """Return the maximum number of tokens of phrase i at the end, by whether its next token continues a word."""
        phrase = self.phrases[i]
        longest = {False: 0}
        for n in range(1, min(len(end) + 1, len(phrase))):
            if end[-n:] == phrase[:n]:
                longest[phrase[n] in self.continues] = n
        return longest

    def need(self, state: PhraseState) -> int:
        """Return the minimum number of further tokens that contain all phrases; some next word reduces it by one."""
        missing = self.missing(state)
        least = self.length
        for i in missing:
            for continuing, n in self.overlaps(state[1], i).items():
                rest = self.all - state[0] if continuing else missing  # continuing revokes the phrases that end here
                least = min(least, len(self.phrases[i]) - n + self.shortest(i, rest - {i}))
        return least if missing else 0

    def shortest(self, last: int, rest: frozenset[int]) -> int:
        """Return the number of tokens that contain the phrases `rest` behind the phrase `last`."""
        if not rest:
            return 0
        if (last, rest) not in self.lengths:
            saved = {i: self.overlaps(self.phrases[last], i)[False] for i in rest}
            left = {i: len(self.phrases[i]) - saved[i] for i in rest}
            self.lengths[last, rest] = (
                sum(len(self.phrases[i]) for i in rest) - max(saved.values())
                if len(rest) > EXACT
                else min(left[i] + self.shortest(i, rest - {i}) for i in rest)
            )
        return self.lengths[last, rest]

    def fitting(self, state: PhraseState, room: int) -> tuple[set[int], bool, bool]:
        """Return the words that can follow if `room` more tokens must be enough for the rest.

        Returns:
            The allowed words among those of the phrases; whether other words are allowed that begin a word; and that
            continue one.
        """
        words = {word for word in self.words if self.need(self.after(state, word)) <= room}
        firm, end = state
        return words, self.need((firm | self.at(end), ())) <= room, self.need((firm, ())) <= room


def contains(tokens: Phrase, phrase: Phrase, continues: Set[int] = frozenset()) -> bool:
    """Check if the tokens contain the phrase at a place where its last word does not continue."""
    size = len(phrase)
    return any(
        tokens[n : n + size] == phrase and (n + size == len(tokens) or tokens[n + size] not in continues)
        for n in range(len(tokens) - size + 1)
    )
