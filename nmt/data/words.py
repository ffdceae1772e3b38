"""The words of a line, and how often those of the held-out sets stand in the training data."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from nmt.data.preprocessing.cleaning import normalise

LONG = 14  # characters a word above which text is taken to be written without spaces
LONG_IN_CJK = 4  # the same for Han and kana: a word has about two of them, a short sentence ten
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def words_of(line: str) -> list[str]:
    """The words between white space, case-folded, without the punctuation around them."""
    return [word for token in normalise(line).split() if (word := bare(token))]


@lru_cache(maxsize=1 << 16)
def bare(token: str) -> str:
    """A token without the punctuation and symbols at its ends, case-folded; empty if it has nothing else."""
    inside = [at for at, sign in enumerate(token) if unicodedata.category(sign)[0] not in "PS"]
    return token[inside[0] : inside[-1] + 1].casefold() if inside else ""


def unspaced(lines: Iterable[str]) -> bool:
    """Whether text has no spaces between words, as Chinese, Japanese or Thai before a segmenter puts some there."""
    words = [word for line in lines for word in words_of(line)]
    letters = "".join(words)
    longest = LONG_IN_CJK if 2 * len(_CJK.findall(letters)) > len(letters) else LONG
    return len(letters) > longest * len(words)


def units_of(line: str, characters: bool) -> list[str]:
    """Return the words of a line, or the characters of its words, which is what counts in a script without spaces."""
    words = words_of(line)
    return [sign for word in words for sign in word] if characters else words


class WordCounts:
    """Counts the words of held-out sentences in the training data, and no others: memory does not grow with it.

    Where the held-out sentences have no spaces between words, their characters are counted too.
    """

    def __init__(self, held_out: Iterable[str]) -> None:
        lines = list(held_out)
        self.characters = unspaced(lines)
        kinds = (False, True) if self.characters else (False,)
        self.counts = dict.fromkeys(
            sorted({each for line in lines for kind in kinds for each in units_of(line, kind)}), 0
        )

    def add(self, lines: Iterable[str]) -> None:
        """Counts a block of normalised training sentences."""
        for token, count in Counter(itertools.chain.from_iterable(map(str.split, lines))).items():
            word = bare(token)
            for unit in (word, *word) if self.characters and len(word) > 1 else (word,):
                if unit in self.counts:
                    self.counts[unit] += count
