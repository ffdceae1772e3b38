"""Rule-based sentence segmentation for about 300 languages (sentencex). The only file that imports sentencex."""

import sentencex


def split_sentences(text: str, language: str) -> list[str]:
    """Return the sentences of a line, each with the white space behind it, so that joining them restores the line.

    Args:
        text: a line.
        language: a code such as `de` or `pt_BR`; a code unknown to the library is treated as English.
    """
    sentences = [str(sentence) for sentence in sentencex.segment(language.replace("_", "-").split("-")[0], text)]
    return sentences if "".join(sentences) == text else [text]
