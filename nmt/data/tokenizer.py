"""SentencePiece (Kudo and Richardson 2018): raw text in, raw text out. The only file that imports sentencepiece."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import sentencepiece

from nmt.config import TokenizerConfig
from nmt.errors import UserError

PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)

MOST_BYTES = 1 << 26  # of a model; one of 8,000 pieces has 120 KB
NORMALIZERS, CHARACTER_MAP = (3, 5), 2  # fields of ModelProto and of NormalizerSpec, sentencepiece_model.proto

# Sums over threads depend on their number, so it is fixed rather than the machine's. Two would wait for each other by
# spinning, which takes five times as long as one does where anything else is running.
TRAINING_THREADS = 1


class Tokenizer:
    """Text to piece ids and back, for one side."""

    def __init__(self, model: bytes, source: str = "the tokenizer") -> None:
        """
        Args:
            model: a serialised SentencePiece model.
            source: what errors call it.

        Raises:
            UserError: it is none, or one that this program has not made: with other special symbols, or with a map
                of characters, in which one of the text may stand for thousands.
        """
        self.model = model
        self.processor = sentencepiece.SentencePieceProcessor()
        try:
            self.processor.LoadFromSerializedProto(model)
            rewriting = any(normalizes(part) for number, part in fields(model) if number in NORMALIZERS)
        except (RuntimeError, IndexError):
            raise UserError(f"{source} is not a SentencePiece model, or it is damaged") from None
        specials = tuple(getattr(self.processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos"))
        if specials != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
            raise UserError(f"{source} has other special symbols than this program's: pad unk bos eos are {specials}")
        if rewriting:
            raise UserError(
                f"{source} rewrites text before it cuts it, as no tokenizer of this program does; train one"
            )

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        try:
            with path.open("rb") as file:
                model = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        if len(model) > MOST_BYTES:
            raise UserError(f"{path} has more than {MOST_BYTES:,} bytes; it is no tokenizer of this program")
        return cls(model, str(path))

    @property
    def size(self) -> int:
        """Number of pieces, the special symbols included."""
        return int(self.processor.GetPieceSize())

    def encode(self, lines: Sequence[str], threads: int = -1) -> list[list[int]]:
        """Ids of each line, without bos and eos; by as many threads as there are cores, or by so many."""
        encoded: list[list[int]] = self.processor.Encode(list(lines), num_threads=threads)
        return encoded

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each line as the line has them, unknown ones too; a leading ▁ for a space."""
        encoded: list[list[str]] = self.processor.Encode(list(lines), out_type=str)
        return encoded

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each list of ids."""
        return [self.processor.Decode(list(line)) for line in ids]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces as they are written in the vocabulary, a leading ▁ for a space."""
        return [self.processor.IdToPiece(int(i)) for i in ids]

    def scores(self) -> list[float]:
        """Each piece's log-probability (unigram), or minus the number of its merge (byte-pair encoding)."""
        return [self.processor.GetScore(i) for i in range(self.size)]


def normalizes(specification: bytes) -> bool:
    """Whether a NormalizerSpec has a map of characters."""
    return any(number == CHARACTER_MAP and part for number, part in fields(specification))


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of those fields of a protocol buffer that have a length, which SentencePiece has parsed."""
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
                yield (tag & 0xFFFFFFFF) >> 3, message[at : at + length]  # as the parser, which drops what is beyond
                at += length


def train_tokenizer(lines: Iterable[str], config: TokenizerConfig) -> bytes:
    """Trains a model and returns it serialised; the same lines and settings give the same bytes.

    The text is not normalised here (the default would turn "…" into "..."): cleaning did what is wanted.

    Raises:
        UserError: there are no lines, or the corpus is too small for the vocabulary.
    """
    model = io.BytesIO()
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
        )
    except RuntimeError as error:
        raise UserError(explain(str(error), config.vocab_size)) from None
    return model.getvalue()


def explain(message: str, vocab_size: int) -> str:
    """SentencePiece's complaint, in one line that says what to do."""
    if re.search(r"sentences_\.empty|all_chars_count", message):
        return "the tokenizer cannot be trained: there is no text; check the files of data.train"
    key = f"data.tokenizer.vocab_size={vocab_size}"
    if most := re.search(r"value <= (\d+)", message):
        remedy = f"set it to {most[1]} or less, or data.tokenizer.hard_vocab_limit=false"
        return f"{key} is more than this corpus can fill; {remedy}"
    if least := re.search(r"vocab_size.*?(\d+) vs (\d+)|smaller than required_chars\D+(\d+) vs (\d+)", message):
        needed = least[2] or least[4]
        return f"{key} is less than this corpus has characters; set it to more than {needed}, or lower the coverage"
    return f"{key}: SentencePiece cannot be trained on this corpus: {' '.join(message.split())}"
