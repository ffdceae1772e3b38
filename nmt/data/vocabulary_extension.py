"""Extension of a SentencePiece model by the pieces of another one."""

import math
import struct
from collections.abc import Mapping, Sequence

from nmt.config import TokenizerType
from nmt.data.sentencepiece_model import PIECES, SCORE_KEY, SentencePieceModel, field, read_fields
from nmt.data.source_form import SourceTokenizer
from nmt.data.tokenizer import Tokenizer
from nmt.data.vocabulary_model import VocabularyModel
from nmt.errors import UserError


def extensible_tokenizers(
    tokenizers: Mapping[str, Tokenizer], symbols: Sequence[str], origin: str
) -> dict[str, Tokenizer]:
    """Return the tokenizers by side with further user symbols, ready to be extended.

    Args:
        tokenizers: tokenizers of a base run by side.
        symbols: user symbols; those that a tokenizer has already stay where they are.
        origin: name of the base run in messages.

    Raises:
        UserError: a tokenizer cannot be extended, or a symbol is an ordinary piece of it.
    """
    for side, tokenizer in tokenizers.items():
        if isinstance(tokenizer, SourceTokenizer):
            raise UserError(
                f"{origin}: train.init_vocabulary=extend cannot extend a vocabulary with tags or source factors; use "
                "train.init_vocabulary=base or corpus"
            )
        if tokenizer.kind is None:
            raise UserError(
                f"{origin}: train.init_vocabulary=extend needs a SentencePiece tokenizer of type unigram or bpe, but "
                f"the {side} tokenizer is {title_of(tokenizer)}; use train.init_vocabulary=base or corpus"
            )
    return {
        side: Tokenizer(tokenizer.pieces_of.with_symbols(symbols, origin), origin)
        for side, tokenizer in tokenizers.items()
    }


def extend_tokenizer(base: Tokenizer, other: Tokenizer) -> Tokenizer:
    """Return the base tokenizer with the ordinary pieces of the other that it lacks, appended in their order.

    The ids of the base's pieces stay the same. Added pieces of a unigram model keep their log-probabilities. In
    byte-pair encoding the added merges come after all merges of the base, in their own order, so that every merge still
    finds its two parts.

    A protocol buffer is extended by appending bytes: elements of a repeated field are collected, and the last value of
    a single field counts.
    """
    known, new = base.pieces_of, other.pieces_of
    assert isinstance(known, SentencePieceModel)
    assert isinstance(new, SentencePieceModel)
    names = known.names()
    messages = [content for number, content in read_fields(other.model) if number == PIECES]
    rank = min((score for score in base.scores() if not math.isnan(score)), default=0.0)
    model = [base.model]
    for piece in new.kept:
        message = messages[piece]
        if piece in new.fixed or new.name(piece) in names or not isinstance(message, bytes):
            continue
        if base.kind == TokenizerType.bpe:
            rank -= 1
            message += SCORE_KEY + struct.pack("<f", rank)
        model.append(field(PIECES, message))
    return Tokenizer(b"".join(model), "the extended tokenizer")


def title_of(tokenizer: Tokenizer) -> str:
    """Return what a tokenizer that cannot be extended is, for a message."""
    model = tokenizer.pieces_of
    if isinstance(model, VocabularyModel):
        return f"a vocabulary of type {model.type}"
    if isinstance(model, SentencePieceModel):
        return "a SentencePiece model of words or characters"
    return "a JSON of Hugging Face tokenizers"
