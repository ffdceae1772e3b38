"""English-German sentence pairs from a typed grammar: an unlimited, licence-free parallel corpus.

A sentence is drawn at random as an abstract structure and realised in both languages, so the pairs are exact
translations and a model has one correct answer to learn. `depth` limits the nesting of subordinate clauses, and thereby
the distance between words that depend on each other.
"""

from collections.abc import Collection, Iterator
from itertools import count
from typing import NamedTuple

from nmt.digests import DigestSet, digest
from nmt.errors import UserError
from nmt.phrasebook import english, german
from nmt.phrasebook.grammar import Sentence
from nmt.phrasebook.sentences import SentenceSampler

# Number of consecutive draws without a new pair after which the grammar counts as exhausted at this depth.
_PATIENCE = 50_000


class Pair(NamedTuple):
    """English sentence and its German translation."""

    en: str
    de: str


def stream(seed: int, depth: int = 1) -> Iterator[Pair]:
    """Yield random pairs endlessly; pairs may repeat. The same seed gives the same pairs on every machine.

    Args:
        seed: seed of the random generator.
        depth: maximum number of nested subordinate clauses; 0 for none.

    Raises:
        UserError: depth is negative.
    """
    return (Pair(english.sentence(s), german.sentence(s)) for s in _sentences(seed, depth))


def _sentences(seed: int, depth: int) -> Iterator[Sentence]:
    if depth < 0:
        raise UserError(f"phrasebook: depth is {depth}, but it must be 0 or more")
    draw = SentenceSampler(seed).sentence
    return (draw(depth) for _ in count())


def pairs(size: int, seed: int, depth: int = 1, exclude: Collection[Pair] = ()) -> Iterator[Pair]:
    """Yield `size` pairs in which no English and no German sentence occurs twice, or occurs in `exclude`.

    Memory grows by 24 to 48 bytes per pair, for the digests of both sides.

    Raises:
        UserError: size or depth is negative, or (during iteration) the grammar has too few pairs.
    """
    _check("size", size)
    seen = DigestSet()
    for pair in exclude:
        seen.add(digest(pair.en, b"en"))
        seen.add(digest(pair.de, b"de"))
    return _distinct(_sentences(seed, depth), size, seen, depth)


def splits(train: int, valid: int, test: int, seed: int, depth: int = 1) -> dict[str, Iterator[Pair]]:
    """Return train, valid and test sets of the given sizes that share no sentence of either language.

    Valid and test are drawn immediately, train is drawn during iteration. Raises what `pairs` raises.
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
    """Yield the next `size` pairs of the source whose sides are both new, and add their digests to `seen`."""
    drawn = repeats = 0
    while drawn < size:
        sentence = next(source)
        en = english.sentence(sentence)
        en_digest = digest(en, b"en")
        new = en_digest not in seen
        if new:  # German is realised only if needed, because half of a million draws are repetitions
            de = german.sentence(sentence)
            de_digest = digest(de, b"de")
            new = de_digest not in seen
        if not new:
            repeats += 1
            if repeats > _PATIENCE:
                raise UserError(
                    f"phrasebook: the grammar has only {drawn} of {size} pairs at depth {depth}; "
                    "reduce the number of pairs or increase the depth"
                )
            continue
        repeats = 0
        seen.add(en_digest)
        seen.add(de_digest)
        drawn += 1
        yield Pair(en, de)
