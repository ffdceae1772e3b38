"""Interface of the models that divide text into pieces, and the bytes of characters that have no piece."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from nmt.config import TokenizerType

PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
SPACE = "▁"


class PieceModel(Protocol):
    """Model that divides text into pieces. Its ids are those of its file, which `Tokenizer` maps to those of a run.

    The spelling of a piece is the text that it writes; ▁ stands for a space. A byte that is not a whole character is
    spelled by a lone surrogate, as Python's error handler `surrogateescape` does it.
    """

    @property
    def kept(self) -> Sequence[int]:
        """Ids of the pieces that text can have, without unknown and special symbols."""

    @property
    def unk_id(self) -> int | None:
        """Id of the unknown piece; None if nothing is unknown."""

    @property
    def kind(self) -> TokenizerType | None:
        """Kind of the model, by which segmentations are sampled; None if they cannot be."""

    def encode(self, lines: Sequence[str], threads: int) -> list[list[int]]:
        """Return the ids of each line."""

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the text of the line that each of its pieces stands for, with ▁ for a space.

        A character of several pieces belongs to the last one; the others are empty.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids."""

    def name(self, piece: int) -> str:
        """Return a piece as people read it."""

    def spelling(self, piece: int) -> str:
        """Return the text that a piece writes."""

    def with_symbols(self, symbols: Sequence[str], source: str) -> bytes:
        """Return the content of a file of this model with further user symbols."""


def spell_bytes(content: bytes) -> str:
    """Return the spelling of bytes."""
    return content.decode("utf-8", "surrogateescape")


def join_spellings(spellings: Iterable[str]) -> str:
    """Return the text of the spellings of consecutive pieces; bytes that form no character become U+FFFD."""
    return "".join(spellings).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def whole_characters(spellings: Sequence[str]) -> list[str]:
    """Return the spellings with each character of several pieces at the last of them, and nothing at the others."""
    texts = []
    open_bytes = b""
    for spelling in spellings:
        content = open_bytes + spelling.encode("utf-8", "surrogateescape")
        text = content.decode("utf-8", "surrogateescape")
        closed = text.rstrip("".join(map(chr, range(0xDC80, 0xDD00))))
        open_bytes = content[len(closed.encode("utf-8", "surrogateescape")) :]
        if open_bytes and not begins_character(open_bytes):
            closed, open_bytes = text, b""
        texts.append(closed)
    if open_bytes:
        texts[-1] = spell_bytes(open_bytes)
    return ["".join("\ufffd" if "\udc80" <= sign <= "\udcff" else sign for sign in text) for text in texts]


def begins_character(content: bytes) -> bool:
    """Return whether bytes are the beginning of one UTF-8 character."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start == 0 and error.reason == "unexpected end of data"
    return False
