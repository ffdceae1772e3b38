"""English-German sentence pairs from a typed grammar: an unlimited, license-free parallel corpus.

A clause is drawn at random as an abstract structure and realised in both languages, so the pairs are
exact translations and a translation model has one right answer to learn. `depth` bounds how many
subordinate clauses stand inside each other, and with it the distance over which words depend on each other.
"""

from collections.abc import Collection, Iterator
from itertools import count
from typing import NamedTuple

from nmt.digests import DigestSet, digest
from nmt.errors import UserError
from nmt.phrasebook import english, german
from nmt.phrasebook.grammar import Sentence
from nmt.phrasebook.sentences import Sentences

# So many draws in a row without a new pair mean that the grammar is exhausted at this depth.
_PATIENCE = 50_000


class Pair(NamedTuple):
    en: str
    de: str


def stream(seed: int, depth: int = 1) -> Iterator[Pair]:
    """Endless random pairs, which may repeat. The same seed gives the same pairs everywhere.

    depth: the largest number of subordinate clauses nested inside each other; 0 means none.
    Raises UserError if depth is negative.
    """
    return (Pair(english.sentence(s), german.sentence(s)) for s in _sentences(seed, depth))


def _sentences(seed: int, depth: int) -> Iterator[Sentence]:
    if depth < 0:
        raise UserError(f"phrasebook: depth is {depth}, but it must be 0 or more")
    draw = Sentences(seed).sentence
    return (draw(depth) for _ in count())


def pairs(size: int, seed: int, depth: int = 1, exclude: Collection[Pair] = ()) -> Iterator[Pair]:
    """`size` distinct pairs, no English and no German sentence twice, none of either side of `exclude`.

    Keeps 24 to 48 bytes for each pair in memory: the digests of both sides.
    Raises UserError if size or depth is negative, and, while iterating, if the grammar has no more pairs.
    """
    _check("size", size)
    seen = DigestSet()
    for pair in exclude:
        seen.add(digest(pair.en, b"en"))
        seen.add(digest(pair.de, b"de"))
    return _distinct(_sentences(seed, depth), size, seen, depth)


def splits(train: int, valid: int, test: int, seed: int, depth: int = 1) -> dict[str, Iterator[Pair]]:
    """Train, valid and test sets of the given sizes with no sentence of either language in common.

    Valid and test are drawn at once, train streams. Raises UserError as `pairs` does.
    """
    for name, size in (("train", train), ("valid", valid), ("test", test)):
        _check(name, size)
    source = _sentences(seed, depth)
    seen = DigestSet()
    held_out = {name: list(_distinct(source, size, seen, depth)) for name, size in (("test", test), ("valid", valid))}
    return {
        "train": _distinct(source, train, seen, depth),
        "valid": iter(held_out["valid"]),
        "test": iter(held_out["test"]),
    }


def _check(name: str, size: int) -> None:
    if size < 0:
        raise UserError(f"phrasebook: {name} is {size}, but it must be 0 or more pairs")


def _distinct(source: Iterator[Sentence], size: int, seen: DigestSet, depth: int) -> Iterator[Pair]:
    """The next `size` pairs of the source with both sides new; adds their digests to `seen`."""
    found = repeats = 0
    while found < size:
        sentence = next(source)
        en = english.sentence(sentence)
        en_digest = digest(en, b"en")
        new = en_digest not in seen
        if new:  # German takes as long, and every other sentence of a million has been drawn before
            de = german.sentence(sentence)
            de_digest = digest(de, b"de")
            new = de_digest not in seen
        if not new:
            repeats += 1
            if repeats > _PATIENCE:
                raise UserError(
                    f"phrasebook: no more than {found} of {size} pairs at depth {depth}; ask for fewer pairs"
                    " or a greater depth"
                )
            continue
        repeats = 0
        seen.add(en_digest)
        seen.add(de_digest)
        found += 1
        yield Pair(en, de)
