"""Phrases in text without spaces between words, matched by characters independently of the pieces."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from nmt.data.words import continues_word
from nmt.decoding.phrases import PhraseState

NEVER = 1 << 30


class CharacterPhrases:
    """Phrases of one sentence, given and matched as characters.

    A text contains a phrase if it contains its characters. If the phrase begins or ends with a letter or digit of a
    script with spaces, no such letter can stand beside it there. The state's second part is the end of the text.
    """

    start: PhraseState = (frozenset(), ())

    def __init__(self, texts: Sequence[str], ids: Mapping[str, int], pieces: Sequence[str]) -> None:
        """
        Args:
            texts: phrases, with `▁` for a space.
            ids: id of each piece.
            pieces: piece of each id; empty if it writes nothing.
        """
        phrases = list(dict.fromkeys(filter(None, texts)))
        self.ids = ids
        self.pieces = pieces
        self.longest_piece = max(map(len, ids), default=0)
        self.phrases = phrases
        self.all = frozenset(range(len(phrases)))
        self.memory = max(map(len, phrases), default=0) + 1
        self.costs = [[self.cost(phrase[n:]) for n in range(len(phrase))] for phrase in phrases]
        """Number of pieces that write each phrase without its first n characters, or `NEVER`."""
        self.begin_costs = [self.begin_cost(i) for i in range(len(phrases))]
        self.length = sum(self.begin_costs)
        """Number of pieces of all phrases."""

    @cached_property
    def continues(self) -> frozenset[int]:
        """Pieces that continue the word before them."""
        return frozenset(i for i, piece in enumerate(self.pieces) if piece and continues_word(piece[0]))

    @cached_property
    def words(self) -> list[int]:
        """Pieces that write a part of a phrase."""
        starts = (f"{space}{phrase}"[n:] for phrase in self.phrases for space in ("▁", "") for n in range(len(phrase)))
        return sorted({self.ids[piece] for text in starts for piece in self.beginnings(text)})

    def beginnings(self, text: str) -> Iterator[str]:
        """Yield the pieces that begin this text."""
        for size in range(1, min(len(text), self.longest_piece) + 1):
            if text[:size] in self.ids:
                yield text[:size]

    def cost(self, text: str) -> int:
        """Return the smallest number of pieces that write this text, or `NEVER`."""
        costs = [0] * (len(text) + 1)
        for start in reversed(range(len(text))):
            costs[start] = 1 + min((costs[start + len(p)] for p in self.beginnings(text[start:])), default=NEVER)
        return min(costs[0], NEVER)

    def begin_cost(self, i: int) -> int:
        """Return the smallest number of pieces that write a phrase after any text."""
        phrase = self.phrases[i]
        spaced = self.cost(f"▁{phrase}")
        return spaced if continues_word(phrase[0]) else min(spaced, self.costs[i][0])

    def after(self, state: PhraseState, word: int) -> PhraseState:
        """Return the state after this piece."""
        firm, end = state
        before = "".join(end)
        text = before + self.pieces[word]
        contained = firm | {i for i in self.all - firm if self.stands_firmly(i, text, len(before))}
        return contained, tuple(text[-self.memory :])

    def stands_firmly(self, i: int, text: str, new: int) -> bool:
        """Check if the text contains a phrase for good; `new` is the index of its first new character."""
        phrase = self.phrases[i]
        at = text.find(phrase, max(0, new - len(phrase)))
        while at >= 0:
            last = at + len(phrase)
            closed = not continues_word(phrase[-1]) or (last < len(text) and not continues_word(text[last]))
            if closed and self.begins(i, text, at):
                return True
            at = text.find(phrase, at + 1)
        return False

    def begins(self, i: int, text: str, at: int) -> bool:
        """Check if a phrase can begin at an index of the text."""
        return at == 0 or not (continues_word(self.phrases[i][0]) and continues_word(text[at - 1]))

    def at(self, end: Sequence[str]) -> frozenset[int]:
        """Return the numbers of the phrases that end here."""
        text = "".join(end)
        return frozenset(
            i
            for i, phrase in enumerate(self.phrases)
            if text.endswith(phrase) and self.begins(i, text, len(text) - len(phrase))
        )

    def missing(self, state: PhraseState) -> frozenset[int]:
        """Return the numbers of the phrases that the hypothesis would not contain if it ended now."""
        return self.all - state[0] - self.at(state[1])

    def overlaps(self, end: Sequence[str], i: int) -> list[int]:
        """Return the numbers of a phrase's characters that can already stand at the end, the largest first."""
        text, phrase = "".join(end), self.phrases[i]
        sizes = range(min(len(text), len(phrase) - 1), 0, -1)
        return [n for n in sizes if text.endswith(phrase[:n]) and self.begins(i, text, len(text) - n)]

    def rest(self, state: PhraseState, i: int) -> int:
        """Return the smallest number of pieces that complete a phrase from here."""
        loss = sum(self.begin_costs[k] for k in self.at(state[1]) - state[0] - {i})  # phrases that continuing revokes
        costs = [self.begin_costs[i]]
        if not state[1] or not continues_word(state[1][-1]):
            costs.append(self.costs[i][0])
        for n in self.overlaps(state[1], i):
            revoked = loss if continues_word(self.phrases[i][n]) else 0
            costs.append(self.costs[i][n] + revoked)
        return min(costs)

    def progress(self, state: PhraseState) -> int:
        """Return the number of pieces of the contained phrases and of the longest begun one."""
        missing = self.missing(state)
        begun = max((self.begin_costs[i] - self.rest(state, i) for i in missing), default=0)
        return sum(self.begin_costs[i] for i in self.all - missing) + begun

    def advances(self, state: PhraseState) -> set[int]:
        """Return the pieces that continue or begin a missing phrase."""
        pieces: set[str] = set()
        for i in self.missing(state):
            phrase = self.phrases[i]
            pieces.update(self.beginnings(f"▁{phrase}"))
            if not continues_word(phrase[0]) or not state[1] or not continues_word(state[1][-1]):
                pieces.update(self.beginnings(phrase))
            for n in self.overlaps(state[1], i):
                pieces.update(self.beginnings(phrase[n:]))
        return {self.ids[piece] for piece in pieces}

    def need(self, state: PhraseState) -> int:
        """Return a number of further pieces that is enough for all phrases; some next piece reduces it by one."""
        missing = self.missing(state)
        others = sum(self.begin_costs[i] for i in missing)
        return min((self.rest(state, i) + others - self.begin_costs[i] for i in missing), default=0)

    def fitting(self, state: PhraseState, room: int) -> tuple[set[int], bool, bool]:
        """Return the words that can follow, as `Phrases.fitting`."""
        words = {word for word in self.words if self.need(self.after(state, word)) <= room}
        firm, end = state
        begins = sum(self.begin_costs[i] for i in self.all - firm - self.at(end)) <= room
        return words, begins, sum(self.begin_costs[i] for i in self.all - firm) <= room
