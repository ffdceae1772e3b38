"""English-German sentence pairs from a typed grammar: an unlimited, license-free parallel corpus.

A clause is drawn at random as an abstract structure and realised in both languages, so the pairs are
exact translations and a translation model has one right answer to learn. `depth` bounds how many
subordinate clauses stand inside each other, and with it the distance over which words depend on each other.
"""

from collections.abc import Collection, Iterator
from hashlib import blake2b
from typing import NamedTuple

from nmt.data.phrasebook import english, german
from nmt.data.phrasebook.sentences import Sentences
from nmt.errors import UserError

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
    if depth < 0:
        raise UserError(f"phrasebook: depth is {depth}, but it must be 0 or more")
    return _stream(seed, depth)


def _stream(seed: int, depth: int) -> Iterator[Pair]:
    source = Sentences(seed)
    while True:
        sentence = source.sentence(depth)
        yield Pair(english.sentence(sentence), german.sentence(sentence))


def pairs(size: int, seed: int, depth: int = 1, exclude: Collection[Pair] = ()) -> Iterator[Pair]:
    """`size` distinct pairs, no English and no German sentence twice, none of either side of `exclude`.

    Keeps 16 bytes of digest for each pair in memory, not the pair.
    Raises UserError if size or depth is negative, and, while iterating, if the grammar has no more pairs.
    """
    _check("size", size)
    seen: set[bytes] = set()
    for pair in exclude:
        seen.update(_digests(pair))
    return _distinct(stream(seed, depth), size, seen, depth)


def splits(train: int, valid: int, test: int, seed: int, depth: int = 1) -> dict[str, Iterator[Pair]]:
    """Train, valid and test sets of the given sizes with no sentence of either language in common.

    Valid and test are drawn at once, train streams. Raises UserError as `pairs` does.
    """
    for name, size in (("train", train), ("valid", valid), ("test", test)):
        _check(name, size)
    source = stream(seed, depth)
    seen: set[bytes] = set()
    held_out = {name: list(_distinct(source, size, seen, depth)) for name, size in (("test", test), ("valid", valid))}
    return {
        "train": _distinct(source, train, seen, depth),
        "valid": iter(held_out["valid"]),
        "test": iter(held_out["test"]),
    }


def _check(name: str, size: int) -> None:
    if size < 0:
        raise UserError(f"phrasebook: {name} is {size}, but it must be 0 or more pairs")


def _digests(pair: Pair) -> tuple[bytes, bytes]:
    return (
        blake2b(pair.en.encode(), digest_size=8, person=b"en").digest(),
        blake2b(pair.de.encode(), digest_size=8, person=b"de").digest(),
    )


def _distinct(source: Iterator[Pair], size: int, seen: set[bytes], depth: int) -> Iterator[Pair]:
    """The next `size` pairs of the source with both sides new; adds their digests to `seen`."""
    found = repeats = 0
    while found < size:
        pair = next(source)
        en, de = _digests(pair)
        if en in seen or de in seen:
            repeats += 1
            if repeats > _PATIENCE:
                raise UserError(
                    f"phrasebook: no more than {found} of {size} pairs at depth {depth}; ask for fewer pairs"
                    " or a greater depth"
                )
            continue
        repeats = 0
        seen.add(en)
        seen.add(de)
        found += 1
        yield pair
