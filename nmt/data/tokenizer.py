"""Tokenizers of the two sides, by SentencePiece, words, characters or Hugging Face's tokenizers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from nmt.config import TokenizerConfig, TokenizerType, user_path
from nmt.data.huggingface_model import HuggingFaceModel
from nmt.data.piece_model import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SPECIALS,
    UNK_ID,
    PieceModel,
    spell_bytes,
    whole_characters,
)
from nmt.data.sentencepiece_model import SentencePieceModel, train_sentencepiece
from nmt.data.vocabulary_model import VocabularyModel, read_list, train_vocabulary
from nmt.errors import UserError

__all__ = ["BOS_ID", "EOS_ID", "PAD_ID", "UNK_ID", "Tokenizer", "ready_tokenizers", "train_tokenizer"]

MAX_MODEL_BYTES = 1 << 26  # a model of 8,000 pieces has 120 KB
WORDS_OR_CHARACTERS = (TokenizerType.word, TokenizerType.char)


class Tokenizer:
    """Encoder of text to piece ids and decoder of ids to text, for one side.

    Ids 0 to 3 are pad, unk, bos and eos in every tokenizer; the pieces of the model follow in its order.
    """

    factor_sizes: tuple[int, ...] = ()
    """Number of values of each source factor."""
    tags: tuple[str, ...] = ()
    """Tags of the target languages of a multilingual source."""

    def __init__(self, model: bytes, source: str = "the tokenizer") -> None:
        """
        Args:
            model: content of a file: a SentencePiece model, a JSON of Hugging Face tokenizers, or a vocabulary.
            source: name of the model in error messages.

        Raises:
            UserError: the bytes are not a tokenizer that this program reads.
        """
        self.model = model
        self.pieces_of = read_model(model, source)
        unknown = self.pieces_of.unk_id
        self.model_ids = [None, unknown, None, None, *self.pieces_of.kept]
        """Id in the model's file of each piece; None if it has none."""
        self.same_ids = self.model_ids[EOS_ID + 1 :] == list(range(EOS_ID + 1, self.size)) and unknown == UNK_ID
        self.ids = {theirs: ours for ours, theirs in enumerate(self.model_ids) if theirs is not None}

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> "Tokenizer":
        """Load a tokenizer from a file; raise UserError if it cannot be read or is not valid."""
        return cls(read_file(path, name or str(path)), name or str(path))

    @property
    def size(self) -> int:
        """Number of pieces, including the special symbols."""
        return len(self.model_ids)

    @property
    def kind(self) -> TokenizerType | None:
        """Subword model by which segmentations can be sampled; None for other tokenizers."""
        return self.pieces_of.kind

    @property
    def identity(self) -> object:
        """Value that is equal for tokenizers that encode alike."""
        return self.model

    @property
    def id_limit(self) -> int:
        """One more than the largest id."""
        return self.size

    def split_tag(self, line: str) -> tuple[str, str]:
        """Return the tag of the target language at the start of a line, here none, and the rest of the line."""
        return "", line

    def plain(self, line: str) -> str:
        """Return a line without tag and factors, of which it has none here."""
        return line

    def check(self, line: str, place: str) -> None:
        """Raise UserError if a line does not have the form that this tokenizer needs; here it has."""

    def has_target(self, line: str) -> bool:
        """Return whether a line is to be translated into the target language of lines without a tag; here it is."""
        return True

    def with_target(self, language: str) -> "Tokenizer":
        """Return the tokenizer for another target language; raise UserError, because it has no tags."""
        raise self.no_target(language)

    @staticmethod
    def no_target(language: str, tags: Sequence[str] = ()) -> UserError:
        """Return the error for a target language without a tag."""
        known = f"allowed: {', '.join(tag[2:-1] for tag in tags)}" if tags else "leave it out"
        reason = "is not a target language of this run" if tags else "needs a run with data.directions"
        return UserError(f"tgt_lang={language} {reason}; {known}")

    def encode(self, lines: Sequence[str], threads: int = -1) -> list[list[int]]:
        """Return the ids of each line, without bos and eos; `threads=-1` uses one thread per core."""
        encoded = self.pieces_of.encode(lines, threads)
        return encoded if self.same_ids else [[self.ids.get(piece, UNK_ID) for piece in line] for line in encoded]

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each line as written in the line, including unknown pieces; ▁ stands for a space.

        A character of several pieces belongs to the last of them; the others are empty.
        """
        return self.pieces_of.surfaces(lines)

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each list of ids."""
        return [
            self.pieces_of.decode([piece for i in line if (piece := self.model_ids[i]) is not None]) for line in ids
        ]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return the pieces as people read them; a leading ▁ stands for a space."""
        return [SPECIALS[i] if i <= EOS_ID else self.pieces_of.name(self.model_id(i)) for i in map(int, ids)]

    def model_id(self, piece: int) -> int:
        """Return the id of a piece in the model's file."""
        found = self.model_ids[piece]
        assert found is not None, f"piece {piece} is a special symbol"
        return found

    @cached_property
    def spellings(self) -> list[str]:
        """Text that each piece writes, with ▁ for a space; special symbols write nothing.

        A byte that is not a whole character is a lone surrogate, as with Python's `surrogateescape`.
        """
        pieces = range(EOS_ID + 1, self.size)
        return [""] * (EOS_ID + 1) + [self.pieces_of.spelling(self.model_id(piece)) for piece in pieces]

    def texts(self, ids: Iterable[int]) -> list[str]:
        """Return the text that each of these pieces writes, a character of several pieces at the last of them."""
        return whole_characters([self.spellings[i] for i in ids])

    def spell(self, text: str) -> str:
        """Return a text with the characters that have no piece as bytes, if the bytes have pieces."""
        return "".join(self.spell_character(character) for character in text)

    def spell_character(self, character: str) -> str:
        """Return a character, or its bytes if it has no piece but they have."""
        if character in self.written:
            return character
        spelled = "".join(spell_bytes(bytes([value])) for value in character.encode())
        return spelled if self.written.issuperset(spelled) else character

    @cached_property
    def written(self) -> frozenset[str]:
        """Texts of all pieces."""
        return frozenset(self.spellings)

    def scores(self) -> list[float]:
        """Return the log-probability of each piece (unigram), or minus its merge number (byte-pair encoding).

        Pieces that sampling keeps as they are, such as symbols and bytes, have NaN.
        """
        model = self.pieces_of
        assert isinstance(model, SentencePieceModel), "only SentencePiece models have scores"
        kept = (float("nan") if piece in model.fixed else model.score(piece) for piece in model.kept)
        return [float("nan")] * (EOS_ID + 1) + list(kept)


def read_model(model: bytes, source: str) -> PieceModel:
    """Return the model in the content of a file, by its format."""
    if model[:1] != b"{":
        return SentencePieceModel(model, source)
    try:
        content = json.loads(model)
        if "units" in content:
            return VocabularyModel(content, source)
    except (ValueError, RecursionError):
        raise UserError(f"{source} is not a tokenizer, or it is damaged") from None
    return HuggingFaceModel(model, source)


def read_file(path: Path, name: str) -> bytes:
    """Return the content of a tokenizer file of at most `MAX_MODEL_BYTES`."""
    try:
        with path.open("rb") as file:
            model = file.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    if len(model) > MAX_MODEL_BYTES:
        raise UserError(f"{name} has more than {MAX_MODEL_BYTES:,} bytes; it is not a tokenizer of this program")
    return model


def ready_tokenizers(config: TokenizerConfig) -> dict[str, Tokenizer]:
    """Return the ready tokenizers of the sides that have one, with the user symbols.

    Raises:
        UserError: a file cannot be read, or is not a tokenizer of the configured kind.
    """
    ready: Mapping[str, Tokenizer] = {path: ready_tokenizer(path, config) for path in set(config.files.values())}
    return {side: ready[path] for side, path in config.files.items()}


def ready_tokenizer(path: str, config: TokenizerConfig) -> Tokenizer:
    """Return the tokenizer of a file with the user symbols."""
    name = f"the tokenizer {path}"
    content = read_file(user_path(path), name)
    if config.type in WORDS_OR_CHARACTERS and content[:1] != b"{":
        return Tokenizer(read_list(content, config, name), name)
    tokenizer = Tokenizer(content, name)
    if not config.user_symbols:
        return tokenizer
    return Tokenizer(tokenizer.pieces_of.with_symbols(config.user_symbols, name), name)


def train_tokenizer(lines: Iterable[str], config: TokenizerConfig) -> bytes:
    """Train a tokenizer and return the content of its file; the same lines and settings give the same bytes.

    Raises:
        UserError: there are no lines, or the corpus does not fit the size of the vocabulary.
    """
    train = train_vocabulary if config.type in WORDS_OR_CHARACTERS else train_sentencepiece
    return train(lines, config)
