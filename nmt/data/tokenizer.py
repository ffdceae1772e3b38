"""SentencePiece tokenizers (Kudo and Richardson 2018) and their training. The only file that imports sentencepiece."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import sentencepiece

from nmt.config import TokenizerConfig
from nmt.errors import UserError

PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)

MAX_MODEL_BYTES = 1 << 26  # a model of 8,000 pieces has 120 KB
NORMALIZERS, CHARACTER_MAP = (3, 5), 2  # fields of ModelProto and of NormalizerSpec, sentencepiece_model.proto

# Sums depend on the number of threads, so the number is fixed and does not follow the machine. Two threads synchronise
# by spinning, which takes five times as long as one thread if any other process is running.
TRAINING_THREADS = 1


class Tokenizer:
    """Encoder of text to subword ids and decoder of ids to text, for one side."""

    factor_sizes: tuple[int, ...] = ()
    """Number of values of each source factor."""
    tags: tuple[str, ...] = ()
    """Tags of the target languages of a multilingual source."""

    def __init__(self, model: bytes, source: str = "the tokenizer") -> None:
        """
        Args:
            model: a serialised SentencePiece model.
            source: name of the model in error messages.

        Raises:
            UserError: the bytes are not a SentencePiece model, its special symbols differ from this program's, or it
                has a character map, in which one character may expand to thousands.
        """
        self.model = model
        self.processor = sentencepiece.SentencePieceProcessor()
        try:
            self.processor.LoadFromSerializedProto(model)
            rewriting = any(has_character_map(part) for number, part in read_fields(model) if number in NORMALIZERS)
        except (RuntimeError, IndexError):
            raise UserError(f"{source} is not a SentencePiece model, or it is damaged") from None
        specials = tuple(getattr(self.processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos"))
        if specials != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
            raise UserError(
                f"{source}: the ids of pad unk bos eos are {specials}, but this program needs "
                f"{(PAD_ID, UNK_ID, BOS_ID, EOS_ID)}; train the tokenizer with this program"
            )
        if rewriting:
            raise UserError(
                f"{source} normalises text, which tokenizers of this program do not; train one with this program"
            )

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Load a tokenizer from a file; raise UserError if it cannot be read or is not valid."""
        try:
            with path.open("rb") as file:
                model = file.read(MAX_MODEL_BYTES + 1)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        if len(model) > MAX_MODEL_BYTES:
            raise UserError(f"{path} has more than {MAX_MODEL_BYTES:,} bytes; it is not a tokenizer of this program")
        return cls(model, str(path))

    @property
    def size(self) -> int:
        """Number of pieces, including the special symbols."""
        return int(self.processor.GetPieceSize())

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
        encoded: list[list[int]] = self.processor.Encode(list(lines), num_threads=threads)
        return encoded

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each line as written in the line, including unknown pieces; ▁ stands for a space."""
        encoded: list[list[str]] = self.processor.Encode(list(lines), out_type=str)
        return encoded

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each list of ids."""
        return [self.processor.Decode(list(line)) for line in ids]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return the pieces as written in the vocabulary; a leading ▁ stands for a space."""
        return [self.processor.IdToPiece(int(i)) for i in ids]

    def scores(self) -> list[float]:
        """Return the log-probability of each piece (unigram), or minus its merge number (byte-pair encoding)."""
        return [self.processor.GetScore(i) for i in range(self.size)]


def has_character_map(specification: bytes) -> bool:
    """Return whether a NormalizerSpec has a character map."""
    return any(number == CHARACTER_MAP and part for number, part in read_fields(specification))


def read_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each length-delimited field of a protocol buffer that SentencePiece has parsed."""
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
        match tag & 7:
            case 0:
                varint()
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length = varint()
                yield (tag & 0xFFFFFFFF) >> 3, message[at : at + length]  # the parser, too, drops the upper bits
                at += length


def train_tokenizer(lines: Iterable[str], config: TokenizerConfig) -> bytes:
    """Train a model and return it serialised; the same lines and settings give the same bytes.

    The text is not normalised here, because cleaning has normalised it (SentencePiece's default turns "…" into "...").

    Raises:
        UserError: there are no lines, or the corpus does not fit the size of the vocabulary.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=config.type.value,
            vocab_size=config.vocab_size,
            hard_vocab_limit=config.hard_vocab_limit,
            user_defined_symbols=config.user_symbols,
            character_coverage=config.character_coverage,
            normalization_rule_name="identity",
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            num_threads=TRAINING_THREADS,
            minloglevel=2,
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
