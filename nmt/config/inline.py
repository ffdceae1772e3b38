"""Kinds of text that a translation keeps unchanged."""

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
