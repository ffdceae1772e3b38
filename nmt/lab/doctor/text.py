"""Checks of a single line or pair by its characters: encoding errors, markup, numbers, addresses."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nmt.lab.doctor.findings import Limits

Finder = Callable[[Sequence[str]], list[int]]
"""Function from lines to the indices of those that match."""

# Characters that the bytes 80 to BF of UTF-8 become when they are read as Latin-1 or Windows-1252.
_TAIL = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
MOJIBAKE = re.compile(f"[ÂÃ]{_TAIL}|[ÄÅÎÏÐÑØÙ]{_TAIL}[ÄÅÎÏÐÑØÙ]{_TAIL}|â(?:€{_TAIL}|\x80{_TAIL})|\ufffd")
MARKUP = re.compile(
    r"&(?:[A-Za-z]{2,8}|#[0-9]{2,6}|#[xX][0-9A-Fa-f]{2,6});|</?[A-Za-z][A-Za-z0-9]{0,9}(?: [^<>\n]*)?/?>"
)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
TOKENISED = re.compile(r"\w [.,](?: |$)| (?:&quot;|&apos;|@-@)(?:\w{0,2} |$)|@@ ", re.MULTILINE)
DIGIT = re.compile(r"\d")
ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"“”„»«]+")


def matching(pattern: re.Pattern[str]) -> Finder:
    """Return a finder of the lines that match a pattern. It searches the joined lines first, which is fast."""

    def find(lines: Sequence[str]) -> list[int]:
        if not pattern.search("\n".join(lines)):
            return []
        return [place for place, line in enumerate(lines) if pattern.search(line)]

    return find


def not_nfc(lines: Sequence[str]) -> list[int]:
    """Return the indices of lines that are not in Unicode NFC, such as lines with separate combining accents."""
    if unicodedata.is_normalized("NFC", "\n".join(lines)):
        return []
    return [place for place, line in enumerate(lines) if not unicodedata.is_normalized("NFC", line)]


def capitals(lines: Sequence[str]) -> list[int]:
    """Return the indices of lines with an upper-case letter."""
    return [place for place, line in enumerate(lines) if line != line.lower()]


@dataclass(frozen=True)
class TextCheck:
    """Check of each line of each side."""

    name: str
    find: Finder
    counted: str
    """Text that follows "12 % of" in the finding."""
    limits: Limits
    remedy: str


TEXT_CHECKS = (
    TextCheck(
        "encoding",
        matching(MOJIBAKE),
        "lines look like UTF-8 read as Latin-1, or have U+FFFD",
        Limits(0.0002, 0.01),
        "convert the original again (iconv -f ORIGINAL -t UTF-8), or undo it: line.encode('cp1252').decode('utf-8')",
    ),
    TextCheck(
        "markup",
        matching(MARKUP),
        "lines have HTML entities or tags",
        Limits(0.001, 0.02),
        "unescape the files of data.{split} (Python's html.unescape) and remove tags",
    ),
    TextCheck(
        "control characters",
        matching(CONTROL),
        "lines have control or invisible characters",
        Limits(0.001, 0.05),
        "training, translation and scores replace or remove them: clean the files of data.{split}",
    ),
    TextCheck(
        "normalisation",
        not_nfc,
        "lines are not in Unicode NFC",
        Limits(0.001, 0.05),
        "training, translation and scores convert them: convert the files of data.{split} to NFC",
    ),
)


def other_numbers(src: str, tgt: str) -> bool | None:
    """Return whether the multisets of digits of the two sides differ; None if a side has no digit."""
    if not (DIGIT.search(src) and DIGIT.search(tgt)):
        return None
    return sorted(DIGIT.findall(src)) != sorted(DIGIT.findall(tgt))


def other_addresses(src: str, tgt: str) -> bool | None:
    """Return whether the web addresses of the two sides differ; None if there are none."""
    one, other = ({address.rstrip(".,;:!?)") for address in ADDRESS.findall(side)} for side in (src, tgt))
    return one != other if one or other else None
