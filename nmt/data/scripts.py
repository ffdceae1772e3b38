"""Scripts that are written without spaces between words."""

import re
import unicodedata
from functools import lru_cache

# Thai to Myanmar, Khmer, Tai scripts, kana, Han, and the wide punctuation that stands between them without spaces.
# Hangul has spaces.
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
WIDE = re.compile(
    "[\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)
"""Those beside which sentences stand without a space, too: Han, kana, and wide punctuation."""


@lru_cache(maxsize=1 << 16)
def is_unspaced(character: str) -> bool:
    """Return whether a character is of a script without spaces between words, or of its punctuation."""
    return UNSPACED.match(character) is not None


@lru_cache(maxsize=1 << 16)
def continues_word(character: str) -> bool:
    """Return whether a character beside a letter belongs to the same word, as in scripts with spaces."""
    letter = character.isalnum() or unicodedata.category(character).startswith("M")
    return letter and not is_unspaced(character)


def join_sentences(texts: list[str]) -> str:
    """Return translations of one line's sentences as a line, with spaces where their scripts have some."""
    joined = ""
    for text in filter(None, texts):
        wide = joined and (WIDE.match(joined[-1]) or WIDE.match(text[0]))
        joined += text if wide or not joined else f" {text}"
    return joined
