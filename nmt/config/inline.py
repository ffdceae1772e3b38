"""Kinds of text that a translation keeps unchanged, and columns of its output."""

from enum import StrEnum


class Protection(StrEnum):
    """Kind of text that is protected in a translation."""

    placeholders = "placeholders"
    """Placeholders such as {name}, %s and %(name)d."""
    tags = "tags"
    """Inline tags such as <b>...</b>, which are placed by word alignment."""
    urls = "urls"
    """Web and e-mail addresses."""
    numbers = "numbers"
    """Numbers in digits."""


class OutputFormat(StrEnum):
    """Form in which `translate` writes the translations of lines."""

    text = "text"
    """One translation per line; with n best ones the number of the line, the score and the text."""
    tsv = "tsv"
    """Tab-separated columns with scores, probabilities of words and word alignment."""
    jsonl = "jsonl"
    """The same as one JSON object per translation."""
