"""SentencePiece models (Kudo and Richardson 2018) and their training. The only file that imports sentencepiece."""

import io
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sentencepiece

from nmt.config import TokenizerConfig, TokenizerType
from nmt.data.piece_model import BOS_ID, EOS_ID, PAD_ID, SPACE, UNK_ID, spell_bytes
from nmt.errors import UserError

# Fields of ModelProto, TrainerSpec, NormalizerSpec and SentencePieceText, sentencepiece_model.proto.
PIECES, TRAINER, NORMALIZERS = 1, 2, (3, 5)
MODEL_TYPE, CHARACTER_MAP = 3, 2
TEXT_PIECES, TEXT_SURFACE = 2, 3
PIECE, PIECE_TYPE, USER_DEFINED = 1, 3, 4
SCORE_KEY = b"\x15"  # key of a piece's score: number 2, 32 bits
KINDS = {1: TokenizerType.unigram, 2: TokenizerType.bpe}

MAX_REPLACEMENT = 64
"""Maximum number of bytes that a model may write for one character. The longest of Unicode's NFKC has 33."""

# Sums depend on the number of threads, so the number is fixed and does not follow the machine. Two threads synchronise
# by spinning, which takes five times as long as one thread if any other process is running.
TRAINING_THREADS = 1


class SentencePieceModel:
    """SentencePiece model of this program or of another one."""

    def __init__(self, model: bytes, source: str) -> None:
        """
        Args:
            model: a serialised SentencePiece model.
            source: name of the model in error messages.

        Raises:
            UserError: the bytes are not a SentencePiece model, or its map of characters is not valid.
        """
        self.model = model
        self.processor = sentencepiece.SentencePieceProcessor()
        try:
            maps = [
                content
                for number, part in read_fields(model)
                if number in NORMALIZERS and isinstance(part, bytes)
                for field, content in read_fields(part)
                if field == CHARACTER_MAP and isinstance(content, bytes) and content
            ]
            for content in maps:
                check_character_map(content, source)
            self.processor.LoadFromSerializedProto(model)
            self.unk_id: int | None = int(self.processor.unk_id())
        except (RuntimeError, IndexError):
            raise UserError(f"{source} is not a SentencePiece model, or it is damaged") from None
        pieces = range(int(self.processor.GetPieceSize()))
        self.kept = [
            i
            for i in pieces
            if not (self.processor.IsControl(i) or self.processor.IsUnknown(i) or self.processor.IsUnused(i))
        ]
        self.rewrites = bool(maps) or any(map(self.processor.IsByte, pieces))

    @cached_property
    def kind(self) -> TokenizerType | None:
        """Kind of the model; None for words and characters, which have one segmentation."""
        trainers = [part for number, part in read_fields(self.model) if number == TRAINER and isinstance(part, bytes)]
        types = [value for part in trainers for number, value in read_fields(part) if number == MODEL_TYPE]
        return KINDS.get(int(types[-1])) if types else TokenizerType.unigram

    @cached_property
    def fixed(self) -> set[int]:
        """Ids of user symbols and bytes, which no sampled segmentation divides or joins."""
        pieces = (part for number, part in read_fields(self.model) if number == PIECES and isinstance(part, bytes))
        types = (dict(read_fields(part)).get(PIECE_TYPE) for part in pieces)
        return {i for i, kind in enumerate(types) if kind == USER_DEFINED or self.processor.IsByte(i)}

    def encode(self, lines: Sequence[str], threads: int) -> list[list[int]]:
        encoded: list[list[int]] = self.processor.Encode(list(lines), num_threads=threads)
        return encoded

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        if not self.rewrites:
            pieces: list[list[str]] = self.processor.Encode(list(lines), out_type=str)
            return pieces
        return [read_surfaces(content) for content in self.processor.Encode(list(lines), out_type="serialized_proto")]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.processor.Decode(list(ids)))

    def name(self, piece: int) -> str:
        return str(self.processor.IdToPiece(piece))

    def names(self) -> dict[str, int]:
        """Return the id in the model's file of each piece, special symbols included."""
        return {self.name(i): i for i in range(int(self.processor.GetPieceSize()))}

    def spelling(self, piece: int) -> str:
        name = self.name(piece)
        return spell_bytes(bytes([int(name[1:-1], 16)])) if self.processor.IsByte(piece) else name

    def with_symbols(self, symbols: Sequence[str], source: str) -> bytes:
        """Return the model with further user symbols at the end of its vocabulary.

        Raises:
            UserError: a symbol is an ordinary piece already.
        """
        names, added = self.names(), b""
        for symbol in symbols:
            if symbol in names and names[symbol] not in self.fixed:
                raise UserError(
                    f"data.tokenizer.user_symbols: {symbol!r} is an ordinary piece of {source}; leave it out"
                )
            if symbol not in names:
                score, kind = SCORE_KEY + struct.pack("<f", 0.0), bytes([PIECE_TYPE << 3, USER_DEFINED])
                added += field(PIECES, field(PIECE, symbol.encode()) + score + kind)
        return self.model + added

    def score(self, piece: int) -> float:
        """Return the log-probability of a piece (unigram), or minus its merge number (byte-pair encoding)."""
        return float(self.processor.GetScore(piece))


def read_surfaces(encoded: bytes) -> list[str]:
    """Return the surfaces of a serialised SentencePieceText, with ▁ for a space and at the beginning."""
    surfaces = [
        content.decode("utf-8")
        for number, piece in read_fields(encoded)
        if number == TEXT_PIECES and isinstance(piece, bytes)
        for content in [dict(read_fields(piece)).get(TEXT_SURFACE, b"")]
        if isinstance(content, bytes)
    ]
    return [(SPACE if at == 0 else "") + surface.replace(" ", SPACE) for at, surface in enumerate(surfaces)]


def check_character_map(content: bytes, source: str) -> None:
    """Check a map of characters: the size of a double array, the array (Darts), and replacements that end with zero.

    Raises:
        UserError: the map leads out of its array, or a replacement is longer than `MAX_REPLACEMENT`.
    """
    refusal = f"{source} has a map of characters that is damaged or too long; export the model again with SentencePiece"
    if len(content) < 4:
        raise UserError(refusal)
    (size,) = struct.unpack_from("<I", content)
    if size % 1024 or not 0 < size <= len(content) - 4:
        raise UserError(refusal)
    units = np.frombuffer(content, "<u4", size // 4, 4).astype(np.int64)
    replacements = content[4 + size :]
    leaves = units >> 31 == 1
    inner = np.flatnonzero(~leaves)
    children = inner ^ (units[inner] >> 10 << ((units[inner] & 512) >> 6))
    outside = (children | 255) >= len(units)
    if outside.any() or (units[leaves] & 0x7FFFFFFF >= len(replacements)).any() or replacements[-1:] != b"\0":
        raise UserError(refusal)
    if max(map(len, replacements.split(b"\0"))) > MAX_REPLACEMENT:
        raise UserError(f"{source} writes more than {MAX_REPLACEMENT} bytes for a character; use another tokenizer")


def read_fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield number and value of each varint and length-delimited field of a protocol buffer."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        number = (tag & 0xFFFFFFFF) >> 3  # the parser, too, drops the upper bits
        match tag & 7:
            case 0:
                yield number, varint()
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length = varint()
                yield number, message[at : at + length]
                at += length


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field of a protocol buffer."""
    length, size = b"", len(content)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def train_sentencepiece(lines: Iterable[str], config: TokenizerConfig) -> bytes:
    """Train a model and return it serialised; the same lines and settings give the same bytes.

    The text is not normalised here, because cleaning has normalised it (SentencePiece's default turns "…" into "...").

    Raises:
        UserError: there are no lines, or the corpus does not fit the size of the vocabulary.
    """
    model = io.BytesIO()
    further: dict[str, Any] = {
        "user_defined_symbols": config.user_symbols,
        "byte_fallback": config.byte_fallback,
        "split_digits": config.split_digits,
    }
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=config.type.value,
            vocab_size=config.vocab_size,
            hard_vocab_limit=config.hard_vocab_limit,
            character_coverage=config.character_coverage,
            normalization_rule_name="identity",
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            num_threads=TRAINING_THREADS,
            minloglevel=2,
            **{key: value for key, value in further.items() if value},
        )
    except RuntimeError as error:
        raise UserError(explain_error(str(error), config.vocab_size)) from None
    return model.getvalue()


def explain_error(message: str, vocab_size: int) -> str:
    """Return an error of SentencePiece's training as one line with the remedy."""
    if re.search(r"sentences_\.empty|all_chars_count", message):
        return "the tokenizer cannot be trained: there is no text; check the files of data.train"
    key = f"data.tokenizer.vocab_size={vocab_size}"
    if maximum := re.search(r"value <= (\d+)", message):
        remedy = f"set it to {maximum[1]} or less, or set data.tokenizer.hard_vocab_limit=false"
        return f"{key} is more than this corpus can fill; {remedy}"
    if minimum := re.search(r"vocab_size.*?(\d+) vs (\d+)|smaller than required_chars\D+(\d+) vs (\d+)", message):
        needed = minimum[2] or minimum[4]
        return (
            f"{key} is less than the number of characters of this corpus; set it to more than {needed}, "
            "or lower data.tokenizer.character_coverage"
        )
    return f"{key}: SentencePiece cannot be trained on this corpus: {' '.join(message.split())}"
