"""Extension of a SentencePiece model by the pieces of another one."""

import struct

from nmt.config import SubwordType
from nmt.data.tokenizer import Tokenizer, read_fields

PIECES = 1  # field of ModelProto, sentencepiece_model.proto
PIECES_KEY = b"\x0a"  # key of that field: number 1, length-delimited
SCORE_KEY = b"\x15"  # key of the score in SentencePiece: number 2, 32 bits


def extend_tokenizer(base: Tokenizer, other: Tokenizer, kind: SubwordType) -> Tokenizer:
    """Return the base tokenizer with the pieces of the other that it lacks, appended in their order.

    The ids of the base's pieces stay the same. Added pieces of a unigram model keep their log-probabilities. In
    byte-pair encoding the added merges come after all merges of the base, in their own order, so that every merge still
    finds its two parts.

    A protocol buffer is extended by appending bytes: elements of a repeated field are collected, and the last value of
    a single field counts.
    """
    known = set(base.pieces(range(base.size)))
    messages = [content for number, content in read_fields(other.model) if number == PIECES]
    rank = min(base.scores())
    model = [base.model]
    for piece, message in zip(other.pieces(range(other.size)), messages, strict=True):
        if piece in known:
            continue
        if kind == SubwordType.bpe:
            rank -= 1
            message += SCORE_KEY + struct.pack("<f", rank)
        model += [PIECES_KEY, varint(len(message)), message]
    return Tokenizer(b"".join(model), "the extended tokenizer")


def varint(number: int) -> bytes:
    """Encode a number as a protocol buffer does: seven bits per byte, the lowest first."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
