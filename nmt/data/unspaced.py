"""Advice on BLEU's tokenizer for text without spaces between words."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from nmt.data.words import unspaced

SPACE_TOKENIZERS = ("13a", "intl", "none", "zh")
"""sacrebleu's tokenizers that find words between spaces; zh splits Chinese characters and kana besides."""
SAMPLE = 1000
KANA_SHARE = 0.05
"""Japanese has more kana than this among its letters, Chinese has none."""


def tokenizer_advice(
    references: Sequence[str], tokenize: str, remedy: str = "use data.bleu_tokenize={better}"
) -> str | None:
    """Return a warning if sacrebleu's tokenizer leaves the sentences of the references unsplit, otherwise None.

    Args:
        references: reference translations, of which the first thousand are read.
        tokenize: sacrebleu's tokenizer.
        remedy: end of the warning; {better} stands for the tokenizer that splits this script.
    """
    if tokenize not in SPACE_TOKENIZERS:
        return None
    lines = references[:SAMPLE]
    if not unspaced(lines):
        return None
    script, better = tokenizer_for(lines)
    if tokenize == "zh" and better in ("zh", "ja-mecab"):
        return None
    return (
        f"the references are written without spaces between words ({script}), which the tokenizer {tokenize} does not "
        f"split: BLEU and ROUGE-L count whole sentences as words and stay near 0; {remedy.format(better=better)}"
    )


def tokenizer_for(lines: Sequence[str]) -> tuple[str, str]:
    """Return the name of the most frequent script of unspaced text and the tokenizer of sacrebleu that splits it."""
    scripts = Counter(
        unicodedata.name(character, "unknown").split()[0]
        for line in lines
        for character in line
        if unicodedata.category(character)[0] == "L"
    )
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana > KANA_SHARE * scripts.total():
        return "Japanese", "ja-mecab"
    most = scripts.most_common(1)[0][0] if scripts else "unknown"
    match most:
        case "CJK":
            return "Chinese characters", "zh"
        case "HANGUL":
            return "Korean", "ko-mecab"
    return f"{most.capitalize()} script", "char"
