"""Words of a text, in scripts with and without spaces between words, and counts of held-out words in training data."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from nmt.data.preprocessing.cleaning import normalise

_HAN_AND_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WIDE_SIGNS = "\u3000-\u303f\u31f0-\u31ff\ufe30-\ufe4f"  # CJK punctuation, small kana, vertical forms
_FULL_WIDTH_SIGNS = "\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f"  # punctuation and half-width kana
# Thai to Tibetan, Myanmar, Khmer, Tai scripts, kana supplements. Hangul has spaces.
_SOUTH_EAST = "\u0e00-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf\U0001b000-\U0001b16f"

HAN_OR_KANA = re.compile(f"[{_HAN_AND_KANA}]")
UNSPACED = re.compile(f"[{_SOUTH_EAST}{_HAN_AND_KANA}{_WIDE_SIGNS}{_FULL_WIDTH_SIGNS}]")
"""Characters of scripts without spaces between words, and the wide punctuation between these characters."""
WIDE = re.compile(f"[{_HAN_AND_KANA}{_WIDE_SIGNS}\uff00-\uffef]")
"""Characters beside which sentences, too, are joined without a space: Han, kana and wide punctuation."""

MAX_WORD_LENGTH = 14
"""Mean number of characters per word above which text is taken to have no spaces between words."""
MAX_CJK_WORD_LENGTH = 4
"""The same for Han and kana: a word has about two characters, a short sentence ten."""

SPACE_TOKENIZERS = ("13a", "intl", "none", "zh")
"""Tokenizers of sacrebleu that split at spaces; zh also splits Chinese characters and kana."""
SAMPLE_LINES = 1000
MIN_KANA_SHARE = 0.05
"""Share of kana among letters above which text is Japanese; Chinese has none."""


@lru_cache(maxsize=1 << 16)
def is_unspaced(character: str) -> bool:
    """Return whether a character belongs to a script without spaces between words, or to its punctuation."""
    return UNSPACED.match(character) is not None


@lru_cache(maxsize=1 << 16)
def continues_word(character: str) -> bool:
    """Return whether a character is a letter, digit or combining mark of a script that has spaces between words.

    Two such characters side by side belong to the same word.
    """
    letter = character.isalnum() or unicodedata.category(character).startswith("M")
    return letter and not is_unspaced(character)


def join_sentences(texts: list[str]) -> str:
    """Join the translations of a line's sentences to one line, with spaces where the script has them."""
    joined = ""
    for text in filter(None, texts):
        wide = joined and (WIDE.match(joined[-1]) or WIDE.match(text[0]))
        joined += text if wide or not joined else f" {text}"
    return joined


def split_words(line: str) -> list[str]:
    """Return the words between white space, case-folded and without the punctuation at their ends."""
    return [word for token in normalise(line).split() if (word := strip_punctuation(token))]


@lru_cache(maxsize=1 << 16)
def strip_punctuation(token: str) -> str:
    """Return a token case-folded and without punctuation and symbols at its ends; it may become empty."""
    inside = [at for at, sign in enumerate(token) if unicodedata.category(sign)[0] not in "PS"]
    return token[inside[0] : inside[-1] + 1].casefold() if inside else ""


def unspaced(lines: Iterable[str]) -> bool:
    """Return whether text has no spaces between words, as unsegmented Chinese, Japanese or Thai."""
    words = [word for line in lines for word in split_words(line)]
    letters = "".join(words)
    cjk = 2 * len(HAN_OR_KANA.findall(letters)) > len(letters)
    return len(letters) > (MAX_CJK_WORD_LENGTH if cjk else MAX_WORD_LENGTH) * len(words)


def split_units(line: str, characters: bool) -> list[str]:
    """Return the words of a line, or the characters of its words, which are counted in scripts without spaces."""
    words = split_words(line)
    return [sign for word in words for sign in word] if characters else words


class WordCounts:
    """Counts of held-out words in the training data. Other words are not counted, so memory stays bounded.

    If the held-out sentences have no spaces between words, their characters are counted too.
    """

    def __init__(self, held_out: Iterable[str]) -> None:
        lines = list(held_out)
        self.characters = unspaced(lines)
        kinds = (False, True) if self.characters else (False,)
        units = {unit for line in lines for kind in kinds for unit in split_units(line, kind)}
        self.counts = dict.fromkeys(sorted(units), 0)

    def add(self, lines: Iterable[str]) -> None:
        """Count the words of a block of normalised training sentences."""
        for token, count in Counter(itertools.chain.from_iterable(map(str.split, lines))).items():
            word = strip_punctuation(token)
            for unit in (word, *word) if self.characters and len(word) > 1 else (word,):
                if unit in self.counts:
                    self.counts[unit] += count


def tokenizer_advice(
    references: Sequence[str], tokenize: str, remedy: str = "use data.bleu_tokenize={better}"
) -> str | None:
    """Return a warning if sacrebleu's tokenizer does not split the references into words, otherwise None.

    Args:
        references: reference translations, of which the first thousand are read.
        tokenize: sacrebleu's tokenizer.
        remedy: end of the warning; {better} stands for the tokenizer that splits this script.
    """
    if tokenize not in SPACE_TOKENIZERS:
        return None
    lines = references[:SAMPLE_LINES]
    if not unspaced(lines):
        return None
    script, better = choose_tokenizer(lines)
    if tokenize == "zh" and better in ("zh", "ja-mecab"):
        return None
    return (
        f"the references are written without spaces between words ({script}), which the tokenizer {tokenize} does not "
        f"split: BLEU and ROUGE-L count whole sentences as words and stay near 0; {remedy.format(better=better)}"
    )


def choose_tokenizer(lines: Sequence[str]) -> tuple[str, str]:
    """Return the most frequent script of unspaced text and the name of sacrebleu's tokenizer that splits it."""
    scripts = Counter(
        unicodedata.name(character, "unknown").split()[0]
        for line in lines
        for character in line
        if unicodedata.category(character)[0] == "L"
    )
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana > MIN_KANA_SHARE * scripts.total():
        return "Japanese", "ja-mecab"
    script = scripts.most_common(1)[0][0] if scripts else "unknown"
    match script:
        case "CJK":
            return "Chinese characters", "zh"
        case "HANGUL":
            return "Korean", "ko-mecab"
    return f"{script.capitalize()} script", "char"
