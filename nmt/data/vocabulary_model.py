"""Vocabularies of words or characters: plain lists, learned from a corpus or given as a file."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from nmt.config import TokenizerConfig, TokenizerType
from nmt.data.piece_model import EOS_ID, SPACE, SPECIALS, UNK_ID, join_spellings, spell_bytes
from nmt.data.preprocessing.cleaning import normalise
from nmt.errors import UserError

UNKNOWN = " ⁇ "
"""Text of the unknown piece, as SentencePiece writes it."""
BYTES = [f"<0x{value:02X}>" for value in range(256)]
LISTED = re.compile(r"(\S+)(?:\s+\d+)?\s*")
"""Line of a list: a word or character, and possibly its count."""
LISTED_SPECIALS = {*SPECIALS, "<blank>", "<bos>", "<eos>", "<sep>", "[PAD]", "[UNK]", "[BOS]", "[EOS]"}


class VocabularyModel:
    """Words between spaces, or single characters. A word begins with ▁, which stands for the space before it."""

    kind = None

    def __init__(self, content: dict[str, Any], source: str) -> None:
        """
        Args:
            content: `type` (word or char), `user_symbols`, `byte_fallback` and `units`, the words or characters.
            source: name of the vocabulary in error messages.

        Raises:
            UserError: the content is not a vocabulary.
        """
        try:
            self.type = TokenizerType(content["type"])
            self.symbols, units, self.byte_fallback = (
                content[key] for key in ("user_symbols", "units", "byte_fallback")
            )
            names = [*self.symbols, *units]
            whole = all(isinstance(name, str) and name and not set(name) & {" ", "\n"} for name in names)
            self.content = content
            if not whole or self.type not in (TokenizerType.word, TokenizerType.char) or len(names) != len(set(names)):
                raise ValueError
        except (KeyError, ValueError, TypeError):
            raise UserError(f"{source} is not a vocabulary of words or characters, or it is damaged") from None
        self.bytes = EOS_ID + 1 + len(self.symbols) if self.byte_fallback else None
        """Id of byte 0."""
        self.names: list[str] = [*SPECIALS, *self.symbols, *(BYTES if self.byte_fallback else ()), *units]
        self.ids = {name: at for at, name in enumerate(self.names) if at > EOS_ID and not self.is_byte(at)}
        self.kept = range(EOS_ID + 1, len(self.names))
        self.unk_id: int | None = UNK_ID
        self.symbol = symbol_pattern(self.symbols)

    def is_byte(self, piece: int) -> bool:
        """Return whether a piece is a byte."""
        return self.bytes is not None and 0 <= piece - self.bytes < 256

    def encode(self, lines: Sequence[str], threads: int) -> list[list[int]]:
        return [[piece for unit in self.units(line) for piece in self.unit_ids(unit)] for line in lines]

    def units(self, line: str) -> Iterator[str]:
        """Yield the words or characters of a line, and its symbols."""
        return split_units(line, self.type, self.symbol)

    def unit_ids(self, unit: str) -> list[int]:
        """Return the id of a unit; of an unknown character with `byte_fallback`, those of its bytes."""
        piece = self.ids.get(unit)
        if piece is None and self.bytes is not None:
            return [self.bytes + value for value in unit.encode()]
        return [UNK_ID if piece is None else piece]

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        return [
            [text for unit in self.units(line) for text in [*[""] * (len(self.unit_ids(unit)) - 1), unit]]
            for line in lines
        ]

    def decode(self, ids: Sequence[int]) -> str:
        texts = (UNKNOWN if piece == UNK_ID else self.spelling(piece) for piece in ids)
        return join_spellings(texts).replace(SPACE, " ").removeprefix(" ")

    def name(self, piece: int) -> str:
        return self.names[piece]

    def spelling(self, piece: int) -> str:
        if self.bytes is not None and self.is_byte(piece):
            return spell_bytes(bytes([piece - self.bytes]))
        return self.names[piece]

    def with_symbols(self, symbols: Sequence[str], source: str) -> bytes:
        """Return the vocabulary with further user symbols after the others, in place of equal words."""
        added = [symbol for symbol in symbols if symbol not in self.symbols]
        content = self.content | {"user_symbols": [*self.symbols, *added]}
        units = [SPACE, *(unit for unit in content["units"] if unit not in added)]  # the space before a symbol
        return to_json(content | {"units": list(dict.fromkeys(units))})


def symbol_pattern(symbols: Sequence[str]) -> re.Pattern[str] | None:
    """Return the pattern that finds the symbols, the longest first; None without symbols."""
    longest_first = sorted(symbols, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if symbols else None


def split_units(line: str, kind: TokenizerType, symbol: re.Pattern[str] | None) -> Iterator[str]:
    """Yield the words or characters of a line, with ▁ for the space before a word, and its symbols."""
    words = line.replace(SPACE, " ").split()
    for word in words:
        text = SPACE + word
        for number, part in enumerate(symbol.split(text) if symbol else [text]):
            if number % 2 == 1 or kind == TokenizerType.word:
                yield from [part] * bool(part)
            else:
                yield from part


def train_vocabulary(lines: Iterable[str], config: TokenizerConfig) -> bytes:
    """Return the vocabulary of the most frequent words or characters, at most `vocab_size` pieces.

    Raises:
        UserError: there are no lines.
    """
    symbol = symbol_pattern(config.user_symbols)
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(split_units(line, config.type, symbol))
    for written in config.user_symbols:
        counts.pop(written, None)
    if not counts:
        raise UserError("the tokenizer cannot be trained: there is no text; check the files of data.train")
    spaces = counts.pop(SPACE, 0)
    ordered = sorted(counts, key=lambda unit: (-counts[unit], unit))
    if config.type == TokenizerType.char:
        covered = accumulate(counts[unit] for unit in ordered)
        needed = config.character_coverage * counts.total()
        ordered = ordered[: 1 + sum(count < needed for count in covered)]
    if spaces or config.user_symbols:  # a space can stand before a symbol
        ordered.insert(0, SPACE)
    units = ordered[: config.vocab_size - len(SPECIALS) - len(config.user_symbols) - 256 * config.byte_fallback]
    return write_vocabulary(config, units)


def read_list(content: bytes, config: TokenizerConfig, source: str) -> bytes:
    """Return the vocabulary of a text file with one word or character per line, possibly with its count.

    Raises:
        UserError: the file is not such a list.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(
            f"{source} is not UTF-8 text; type={config.type} needs one {NAMES[config.type]} per line"
        ) from None
    units = [SPACE] if config.type == TokenizerType.char or config.user_symbols else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        listed = LISTED.fullmatch(line)
        unit = normalise(listed[1].removeprefix(SPACE) or SPACE) if listed else ""
        if listed is None or (
            config.type == TokenizerType.char and len(listed[1]) > 1 and listed[1] not in LISTED_SPECIALS
        ):
            raise UserError(f"{source}, line {number} is not one {NAMES[config.type]}; give one per line")
        if listed[1] not in LISTED_SPECIALS and listed[1] not in config.user_symbols:
            units.append(SPACE + unit if config.type == TokenizerType.word else unit or SPACE)
    units = [unit for unit in dict.fromkeys(units) if unit not in config.user_symbols]
    if not units:
        raise UserError(f"{source} is empty; type={config.type} needs one {NAMES[config.type]} per line")
    return write_vocabulary(config, units)


NAMES = {TokenizerType.word: "word", TokenizerType.char: "character"}


def write_vocabulary(config: TokenizerConfig, units: Sequence[str]) -> bytes:
    """Return the JSON of a vocabulary."""
    settings = {"type": config.type.value, "user_symbols": list(config.user_symbols)}
    return to_json(settings | {"byte_fallback": config.byte_fallback, "units": list(units)})


def to_json(content: dict[str, Any]) -> bytes:
    """Return the content of a vocabulary's file."""
    return json.dumps(content, ensure_ascii=False, indent=0).encode()
