"""Constraints on translations: a prefix and phrases, from text to pieces."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from nmt.data import Tokenizer, normalise, normalise_characters
from nmt.data.words import is_unspaced
from nmt.decoding.character_phrases import CharacterPhrases
from nmt.decoding.forbidden import ForbiddenPhrase
from nmt.decoding.phrases import Phrases, PhraseTracker, Prefix
from nmt.errors import UserError

BYTES = frozenset(map(chr, range(0xDC80, 0xDD00)))
"""Spellings of the bytes that are no whole character."""
LAST_CHARACTER = "\U0010ffff"
"""The character that sorts after all others."""


@dataclass(frozen=True)
class TargetConstraints:
    """Constraints on the translation of one line."""

    prefix: Prefix = ()
    """Prefix of the translation, in pieces."""
    phrases: PhraseTracker = field(default_factory=lambda: Phrases([]))
    """Phrases that the translation must contain."""
    where: str = "a line"
    """Name of the line in warnings."""
    forbidden: tuple[ForbiddenPhrase, ...] = ()
    """Phrases that the translation must not contain."""


UNCONSTRAINED = TargetConstraints()


class ConstraintBuilder:
    """Builder of constraints in one target vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def pieces(self) -> list[str]:
        """Spelling of each piece; special symbols are empty, because they write nothing."""
        return self.tokenizer.spellings

    @cached_property
    def ids(self) -> dict[str, int]:
        """Ids of the pieces that write something, in alphabetical order."""
        return dict(sorted((piece, i) for i, piece in enumerate(self.pieces) if piece))

    @cached_property
    def in_order(self) -> list[str]:
        """Pieces that write something, in alphabetical order."""
        return list(self.ids)

    def starting_with(self, text: str) -> list[int]:
        """Return the pieces that begin with this text."""
        pieces = self.in_order[bisect_left(self.in_order, text) : bisect_right(self.in_order, text + LAST_CHARACTER)]
        return [self.ids[piece] for piece in pieces]

    @cached_property
    def continues(self) -> frozenset[int]:
        """Pieces that continue the word before them: those that begin with a letter, digit or byte, without a space."""
        return frozenset(i for i, piece in enumerate(self.pieces) if piece[:1].isalnum() or piece[:1] in BYTES)

    def make(self, prefix: str = "", phrases: Sequence[str] = (), where: str = "a line") -> TargetConstraints:
        """Build the constraints of one line.

        Args:
            prefix: exact beginning of the translation; any white space is one space. The translation can continue its
                last word ("Ma" to "Mann"), unless a space follows it; then another word follows.
            phrases: phrases that the translation contains as whole words; in scripts without spaces, anywhere.
            where: name of the line in errors and warnings.

        Raises:
            UserError: the vocabulary cannot write a word.
        """
        texts = [text for phrase in phrases if (text := normalise(phrase))]
        return TargetConstraints(
            self.beginning(normalise_characters(prefix), where), self.constraints(texts, where), where
        )

    def forbid(self, phrases: Sequence[str]) -> tuple[ForbiddenPhrase, ...]:
        """Build phrases that a translation must not contain as whole words; in scripts without spaces, anywhere."""
        texts = [text for phrase in phrases if (text := normalise(phrase))]
        return tuple(self.forbidden_phrase(text) for text in texts)

    def forbidden_phrase(self, text: str) -> ForbiddenPhrase:
        """Return the pieces that complete a phrase behind each of its beginnings."""
        whole = not any(map(is_unspaced, text))
        spelled = self.tokenizer.spell(("▁" if whole else "") + "▁".join(text.split()))
        completions: dict[str, tuple[int, ...]] = {}
        for end in range(len(spelled)):
            rest = spelled[end:]
            last = tuple(
                i for i in self.starting_with(rest) if not (whole and self.pieces[i][len(rest) :][:1].isalnum())
            )
            if last:
                completions[spelled[:end]] = last
        return ForbiddenPhrase(completions)

    @cached_property
    def unspaced(self) -> bool:
        """True if the vocabulary is of a script without spaces between words."""
        letters = [piece for piece in self.pieces if any(map(str.isalpha, piece))]
        return 2 * sum(any(map(is_unspaced, piece)) for piece in letters) > len(letters)

    def constraints(self, texts: Sequence[str], where: str) -> PhraseTracker:
        """Return phrases matched by pieces, or in scripts without spaces by characters."""
        encoded = [self.encode(text, where) for text in texts]
        if self.unspaced or any(is_unspaced(letter) for text in texts for letter in text):
            spelled = [self.tokenizer.spell(text.replace(" ", "▁")) for text in texts]
            return CharacterPhrases(spelled, self.ids, self.pieces)
        return Phrases(encoded, self.continues)

    def beginning(self, text: str, where: str) -> Prefix:
        """Return the automaton of a prefix: complete words in the tokenizer's pieces, an open last word in any pieces.

        The tokenizer splits a begun word differently from the whole one, so the last piece can extend beyond the
        prefix.
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
        prefix, last = self.in_a_row(words[:-1], where), self.tokenizer.spell(f"▁{words[-1]}")
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
        """Return the automaton of these words in the tokenizer's pieces."""
        return tuple({piece: place + 1} for place, piece in enumerate(self.encode(" ".join(words), where)))

    def encode(self, text: str, where: str) -> list[int]:
        """Return the pieces of a text.

        Raises:
            UserError: the vocabulary cannot write one of its characters, or its pieces do not join to the text.
        """
        for word in text.split():
            if self.tokenizer.decode(self.tokenizer.encode([word])) != [word]:
                raise UserError(f"{where}: the model's vocabulary cannot write {word!r}; leave it out")
        pieces = self.tokenizer.encode([" ".join(text.split())])[0]
        joined = "".join(self.pieces[piece] for piece in pieces)
        if pieces and joined != self.tokenizer.spell("▁" + "▁".join(text.split())):
            raise UserError(
                f"{where}: the model's tokenizer does not write {text!r} by joining pieces, which prefixes and "
                "constraints need; leave it out"
            )
        return pieces
