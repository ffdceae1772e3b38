"""Rule-based sentence segmentation for about 300 languages (sentencex). The only file that imports sentencex."""

import sentencex

MAX_CHARACTERS = 10_000
"""Number of characters that are segmented together. The library's time is quadratic in the length of the text."""


def split_sentences(text: str, language: str) -> list[str]:
    """Return the sentences of a line, each with the white space behind it, so that joining them restores the line.

    A line of more than `MAX_CHARACTERS` characters is segmented in parts that end at a space. The last sentence of a
    part is segmented again with the next part.

    Args:
        text: a line.
        language: a code such as `de` or `pt_BR`; a code unknown to the library is treated as English.
    """
    sentences: list[str] = []
    start, rest = 0, ""
    while len(text) - start > MAX_CHARACTERS:
        end = text.rfind(" ", start, start + MAX_CHARACTERS) + 1 or start + MAX_CHARACTERS
        *complete, rest = _split_part(rest + text[start:end], language)
        sentences += complete
        if len(rest) > MAX_CHARACTERS:
            sentences.append(rest)
            rest = ""
        start = end
    return sentences + _split_part(rest + text[start:], language)


def _split_part(text: str, language: str) -> list[str]:
    """Return the sentences of a short text."""
    sentences = [str(sentence) for sentence in sentencex.segment(language.replace("_", "-").split("-")[0], text)]
    return sentences if "".join(sentences) == text else [text]
