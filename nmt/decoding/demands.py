"""What a user demands of a line's translation: how it begins, and what it must hold; from text to pieces."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from nmt.data import EOS_ID, Tokenizer, normalise, normalise_characters
from nmt.data.words import is_unspaced
from nmt.decoding.character_phrases import CharacterPhrases
from nmt.decoding.phrases import Constraints, Phrases
from nmt.decoding.rules import Prefix
from nmt.errors import UserError

LAST_CHARACTER = "\U0010ffff"
"""Sorts behind all others."""


@dataclass(frozen=True)
class Demand:
    """Of one line."""

    prefix: Prefix = ()
    """How it begins, in pieces."""
    phrases: Constraints = field(default_factory=lambda: Phrases([]))
    """The constraints."""
    where: str = "a line"
    """What a warning calls it."""


UNCONSTRAINED = Demand()


class Demands:
    """Makes demands in one target vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def pieces(self) -> list[str]:
        """All pieces; nothing for the special symbols, which write nothing."""
        pieces = self.tokenizer.pieces(range(self.tokenizer.size))
        return [""] * (EOS_ID + 1) + pieces[EOS_ID + 1 :]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Of the pieces that write something, in alphabetical order."""
        return dict(sorted((piece, i) for i, piece in enumerate(self.pieces) if piece))

    @cached_property
    def in_order(self) -> list[str]:
        return list(self.ids)

    def starting_with(self, text: str) -> list[int]:
        """The pieces that begin with this text."""
        found = self.in_order[bisect_left(self.in_order, text) : bisect_right(self.in_order, text + LAST_CHARACTER)]
        return [self.ids[piece] for piece in found]

    @cached_property
    def continues(self) -> frozenset[int]:
        """The pieces that go on with the word before them: those that begin with a letter or digit, and no space."""
        return frozenset(i for i, piece in enumerate(self.pieces) if piece[:1].isalnum())

    def make(self, prefix: str = "", phrases: Sequence[str] = (), where: str = "a line") -> Demand:
        """
        Args:
            prefix: what the translation begins with, to the byte, white space counting as one space. Its last word may
                go on ("Ma" to "Mann"); a space behind it ends the word, and another one follows.
            phrases: words and phrases that it holds, as whole words; in scripts without spaces anywhere.
            where: what errors and warnings call this line.

        Raises:
            UserError: the vocabulary cannot write something.
        """
        texts = [text for phrase in phrases if (text := normalise(phrase))]
        return Demand(self.beginning(normalise_characters(prefix), where), self.constraints(texts, where), where)

    @cached_property
    def unspaced(self) -> bool:
        """Whether the vocabulary is of a script without spaces between words."""
        letters = [piece for piece in self.pieces if any(map(str.isalpha, piece))]
        return 2 * sum(any(map(is_unspaced, piece)) for piece in letters) > len(letters)

    def constraints(self, texts: Sequence[str], where: str) -> Constraints:
        """Return phrases that are found by their pieces, or by their characters in scripts without spaces."""
        encoded = [self.encode(text, where) for text in texts]
        if self.unspaced or any(is_unspaced(letter) for text in texts for letter in text):
            return CharacterPhrases([text.replace(" ", "▁") for text in texts], self.ids, self.pieces)
        return Phrases(encoded, self.continues)

    def beginning(self, text: str, where: str) -> Prefix:
        """A prefix in pieces: those of its words as the tokenizer cuts them; an open last word in any pieces.

        The tokenizer would cut a begun word otherwise than the whole one: the last piece may reach beyond the prefix.
        """
        words = text.split()
        if not words:
            return ()
        if text[-1].isspace():
            prefix = self.in_a_row(words, where)
            state = len(prefix)
            spaces = dict.fromkeys(self.starting_with("▁"), state + 2)
            letters = {i: state + 2 for i in self.ids.values() if i not in spaces}
            if "▁" in self.ids:
                spaces[self.ids["▁"]] = state + 1
            return (*prefix, spaces, letters)
        self.encode(words[-1], where)
        prefix, last = self.in_a_row(words[:-1], where), f"▁{words[-1]}"
        state = len(prefix)
        moves: list[dict[int, int]] = [{} for _ in last]
        for start in reversed(range(len(last))):
            rest = last[start:]
            for end in range(1, len(rest)):
                if rest[:end] in self.ids and moves[start + end]:
                    moves[start][self.ids[rest[:end]]] = state + start + end
            moves[start] |= dict.fromkeys(self.starting_with(rest), state + len(last))
        return (*prefix, *moves)

    def in_a_row(self, words: Sequence[str], where: str) -> tuple[dict[int, int], ...]:
        """The pieces of these words one after another."""
        return tuple({piece: place + 1} for place, piece in enumerate(self.encode(" ".join(words), where)))

    def encode(self, text: str, where: str) -> list[int]:
        """Pieces that spell the text.

        Raises:
            UserError: the vocabulary has none for some of its characters.
        """
        for word in text.split():
            if self.tokenizer.decode(self.tokenizer.encode([word])) != [word]:
                raise UserError(f"{where}: the model's vocabulary cannot write {word!r}; leave it out")
        return self.tokenizer.encode([" ".join(text.split())])[0]
