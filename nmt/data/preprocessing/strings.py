"""Corpus of random strings that are copied or reversed, which a model can only translate by remembering them."""

from collections.abc import Iterator
from random import Random

from nmt.config import StringsConfig, StringTask
from nmt.config.strings import ALPHABET
from nmt.digests import DigestSet, digest


def string_pairs(config: StringsConfig) -> dict[str, Iterator[tuple[str, str]]]:
    """Return source and target of each pair of the train, valid and test sets.

    No string is twice in the corpus. Valid and test are drawn immediately, train is drawn during iteration.
    """
    uniform, seen = Random(config.seed).random, DigestSet()  # `random` gives the same numbers in every version

    def draw(size: int, lengths: list[int]) -> Iterator[tuple[str, str]]:
        low, high = lengths
        for _ in range(size):
            length = low + int(uniform() * (high - low + 1))
            while True:  # a repeated string is drawn again with the same length, so that lengths are uniform
                symbols = [ALPHABET[int(uniform() * config.symbols)] for _ in range(length)]
                if seen.add(digest(" ".join(symbols))):
                    break
            yield " ".join(symbols), " ".join(symbols if config.task == StringTask.copy else reversed(symbols))

    held_out = {
        "test": list(draw(config.test, config.test_lengths)),
        "valid": list(draw(config.valid, config.train_lengths)),
    }
    return {
        "train": draw(config.train, config.train_lengths),
        **{split: iter(pairs) for split, pairs in held_out.items()},
    }
