"""Files of pretrained word vectors: text of GloVe, word2vec and fastText, and binary word2vec; plain or gzip.

A file is read in blocks, and only the vectors of wanted words are kept. No memory is allocated by the counts of a
header.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.data.text_files import MAX_LINE_BYTES, is_regular, read_blocks
from nmt.errors import UserError

MAX_WIDTH = 1 << 16
"""Maximum number of values per vector, the largest width of a model's layers."""
MAX_WORD_BYTES = 4096
"""Maximum number of bytes of a word in a binary file."""
HEADER = re.compile(rb"\s*([0-9]{1,12})\s+([0-9]{1,12})\s*")
_BOM = b"\xef\xbb\xbf"
_REFUSED = (
    (re.compile(rb"\xba\x16\x4f\x2f"), "a fastText model; give the .vec file of the same model"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array without words; write it as text, with a word before each vector"),
    (
        re.compile(rb"\x80[\x02-\x05]"),
        "a Python pickle, which can execute code and is not opened; save the vectors in the format of word2vec",
    ),
)
"""First bytes of formats that are refused by name, with the remedy."""


class ByteStream:
    """Unpacked content of a file, read in blocks."""

    def __init__(self, path: Path, advance: Callable[[int], object]) -> None:
        """
        Args:
            path: plain or gzip file.
            advance: called with the number of bytes that a block took in the file.
        """
        self.blocks = read_blocks(path)
        self.advance = advance
        self.data = b""
        self.at = 0

    def fill(self) -> bool:
        """Read one more block and return whether there was one."""
        block, packed = next(self.blocks, (b"", 0))
        self.data, self.at = self.data[self.at :] + block, 0
        self.advance(packed)
        return bool(block)

    def peek(self, size: int) -> bytes:
        """Return the next bytes, at most `size`, without consuming them."""
        while len(self.data) - self.at < size and self.fill():
            pass
        return self.data[self.at : self.at + size]

    def until(self, end: bytes, limit: int) -> bytes | None:
        """Consume and return the bytes before the next `end`, or None if it is not among the next `limit` bytes."""
        while (found := self.data.find(end, self.at, self.at + limit)) < 0:
            if len(self.data) - self.at >= limit or not self.fill():
                return None
        taken = self.data[self.at : found]
        self.at = found + len(end)
        return taken

    def take(self, size: int) -> bytes:
        """Consume and return the next bytes, fewer than `size` at the end of the file."""
        taken = self.peek(size)
        self.at += len(taken)
        return taken


@dataclass(frozen=True)
class VectorFile:
    """File of word vectors whose beginning was examined."""

    path: Path
    width: int
    """Number of values per vector."""
    count: int | None
    """Number of vectors by the header; None without a header."""
    binary: bool
    """True for binary word2vec."""

    @classmethod
    def open(cls, path: Path) -> "VectorFile":
        """Determine the format and the width of a file.

        Raises:
            UserError: the file cannot be read, or is of an unknown format.
        """
        if not is_regular(path):
            raise UserError(f"{path} is not a regular file, and vectors are read twice; check the path")
        stream = ByteStream(path, lambda _: None)
        begin = stream.peek(6)
        for magic, remedy in _REFUSED:
            if magic.match(begin):
                raise UserError(f"{path} is {remedy}")
        first = next_line(stream, path, 1)
        header = HEADER.fullmatch(first)
        if header is None:
            width = len(first.split()) - 1
            if width < 2 or width > MAX_WIDTH or values(first, width) is None:
                raise UserError(
                    f"{path}: line 1 is neither a header of count and width nor a word with its vector; "
                    "give text of GloVe, word2vec or fastText (.vec), or binary word2vec"
                )
            return cls(path, width, None, False)
        count, width = map(int, header.groups())
        if not (1 <= width <= MAX_WIDTH and count >= 1):
            raise UserError(
                f"{path}: the header announces {count} vectors of {width} values; "
                f"allowed: at least 1 vector of 1 to {MAX_WIDTH} values"
            )
        second = stream.peek(MAX_LINE_BYTES).partition(b"\n")[0]
        return cls(path, width, count, values(second, width) is None)

    def read(
        self, wanted: Collection[bytes], advance: Callable[[int], object]
    ) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Yield word and vector of each entry whose word is wanted, in the order of the file.

        Args:
            wanted: words in UTF-8.
            advance: called with the number of bytes of the file that were read since the last call.

        Raises:
            UserError: the file cannot be read, is cut off, or an entry is malformed.
        """
        stream = ByteStream(self.path, advance)
        entries = self.binary_entries(stream, wanted) if self.binary else self.text_entries(stream, wanted)
        for word, vector in entries:
            if not np.isfinite(vector).all():
                name = word.decode("utf-8", "replace")
                raise UserError(f"{self.path}: the vector of {name!r} is not finite; remove it or give another file")
            yield word, vector

    def text_entries(
        self, stream: ByteStream, wanted: Collection[bytes]
    ) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Yield the wanted entries of a text file; a word with spaces, as some are in GloVe, is never wanted."""
        number = entries = 0
        line = b""
        if self.count is not None:
            next_line(stream, self.path, number := 1)
        while stream.peek(1):
            line = next_line(stream, self.path, number := number + 1)
            begin = line.split(None, 1)[:1]
            entries += len(begin)
            if begin and begin[0] in wanted and len(line.split()) <= self.width + 1:
                yield begin[0], self.parsed(line, number)
        if line.strip() and len(line.split()) <= self.width:
            self.parsed(line, number)
        if self.count is not None and entries < self.count:
            raise UserError(self.cut_off(entries))

    def binary_entries(
        self, stream: ByteStream, wanted: Collection[bytes]
    ) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Yield the wanted entries of a binary word2vec file: word, space, little-endian floats, possibly a newline."""
        next_line(stream, self.path, 1)
        for entry in range(self.count or 0):
            word = stream.until(b" ", MAX_WORD_BYTES)
            if word is None and stream.peek(1).strip():
                raise UserError(
                    f"{self.path}: vector {entry + 1} has no word before it, so that this is not binary word2vec; "
                    "give text of GloVe, word2vec or fastText (.vec), or binary word2vec"
                )
            data = stream.take(4 * self.width)
            if word is None or len(data) < 4 * self.width:
                raise UserError(self.cut_off(entry))
            if (word := word.removeprefix(b"\n")) in wanted:
                yield word, np.frombuffer(data, "<f4").astype(np.float32)

    def parsed(self, line: bytes, number: int) -> NDArray[np.float32]:
        """Return the vector of a line of text.

        Raises:
            UserError: the line has too few values, or something else than numbers.
        """
        vector = values(line, self.width)
        if vector is None:
            raise UserError(
                f"{self.path}: line {number} is not a word with {self.width} numbers; get the file again, or remove it"
            )
        return vector

    def cut_off(self, entries: int) -> str:
        return f"{self.path}: the header announces {self.count} vectors but the file has {entries}; get the file again"

    @property
    def format(self) -> str:
        """Name of the format."""
        return "binary word2vec" if self.binary else "text" if self.count is None else "text with header"


def next_line(stream: ByteStream, path: Path, number: int) -> bytes:
    """Consume a line without its end; the last line may lack it.

    Raises:
        UserError: the line is too long.
    """
    line = stream.until(b"\n", MAX_LINE_BYTES)
    if line is None:
        line = stream.take(MAX_LINE_BYTES)
        if stream.peek(1):
            raise UserError(
                f"{path}: line {number} is longer than {MAX_LINE_BYTES:,} bytes; is this a file of vectors?"
            )
    return line.removeprefix(_BOM) if number == 1 else line


def values(line: bytes, width: int) -> NDArray[np.float32] | None:
    """Return the vector of a line with one word and `width` numbers, or None if it is anything else."""
    fields = line.split()
    if len(fields) != width + 1:
        return None
    try:
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which is reported
            return np.array([float(field) for field in fields[1:]]).astype(np.float32)
    except ValueError:
        return None
