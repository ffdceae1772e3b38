"""Sentence segmentation by rules for some 300 languages (sentencex). The only file that imports sentencex."""

import sentencex


def split_sentences(text: str, language: str) -> list[str]:
    """Return the sentences of a text, each with the white space behind it: joined they are the text.

    Args:
        text: a line.
        language: a code such as `de` or `pt_BR`; one that the library does not know is treated as English.
    """
    sentences = [str(sentence) for sentence in sentencex.segment(language.replace("_", "-").split("-")[0], text)]
    return sentences if "".join(sentences) == text else [text]
