"""What a corpus is, where it comes from, and how it becomes ids."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number, one_of

BLEU_TOKENIZERS = ("13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab", "flores200")

MOST_PAIRS = 100_000_000
"""Of the phrasebook, which tells its pairs apart by up to 48 bytes of memory each."""
MOST_HELD_OUT = 100_000
"""Pairs of its validation and test sets, which are kept in memory."""
MOST_IN_A_SENTENCE = 100_000
"""Words, characters or pieces: of a longer one, attention would need gigabytes for itself alone."""


class SubwordType(StrEnum):
    unigram = "unigram"
    bpe = "bpe"


@dataclass
class TextFiles:
    """One split: either files of one side each, line by line parallel, or tab-separated files."""

    src: list[str] = field(default_factory=list)
    """Source side: files relative to the corpus folder, plain or `.gz`, UTF-8, one sentence a line."""
    tgt: list[str] = field(default_factory=list)
    """Target side, as many files as `src` and in the same order."""
    tsv: list[str] = field(default_factory=list)
    """Instead of `src` and `tgt`: files with source and target in the first two tab-separated columns."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.tsv and (self.src or self.tgt):
            yield "tsv", "stands beside src or tgt; give either tsv or both src and tgt"
        if len(self.src) != len(self.tgt):
            yield "src", f"names {len(self.src)} files and tgt {len(self.tgt)}; give as many of each"

    @property
    def empty(self) -> bool:
        return not (self.src or self.tgt or self.tsv)


@dataclass
class DownloadConfig:
    """A corpus that can be fetched: where from, and what every file must hash to."""

    url: str = ""
    """Address of the folder that the file names below are relative to (http, https)."""
    sha256: dict[str, str] = field(default_factory=dict)
    """SHA-256 in hexadecimal of each file, by its path relative to `url`."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.url.startswith(("http://", "https://")):
            yield "url", f"is {self.url!r}; allowed: an address that starts with http:// or https://"
        for path, digest in self.sha256.items():
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                yield "sha256", f"of {path} is {digest!r}; allowed: 64 hexadecimal digits"


@dataclass
class PhrasebookConfig:
    """The embedded corpus: sentences from a grammar, so that nothing has to be downloaded."""

    train: int = 50_000
    """Pairs in the training set."""
    valid: int = 500
    """Pairs in the validation set."""
    test: int = 500
    """Pairs in the test set."""
    depth: int = 1
    """Clauses nested inside each other at the most: the distance over which a model must remember."""
    seed: int = 1
    """Which sentences are drawn; apart from the run's seed, so that runs with other seeds share the corpus."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "train", 1, MOST_PAIRS)
        for name in ("valid", "test"):
            yield from number(self, name, 1, MOST_HELD_OUT)
        yield from number(self, "depth", 0, 8)


@dataclass
class CleaningConfig:
    """What is dropped from the training set. Validation and test sets are never altered."""

    max_words: int = 150
    """A pair with a side of more white-space separated words is dropped."""
    max_characters: int = 1500
    """A pair with a side of more characters is dropped (for scripts without spaces)."""
    max_ratio: float = 6.0
    """A pair is dropped if one side has more than this times the characters of the other, ten added to each."""
    drop_identical: bool = True
    """Drop pairs whose two sides are the same text."""
    drop_duplicates: bool = True
    """Keep the first of equal pairs."""
    drop_test_pairs: bool = True
    """Drop pairs that also stand in the validation or test set."""
    drop_test_sources: bool = False
    """Drop pairs whose source stands there, but for case and punctuation, whatever their target."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "max_words", 1, MOST_IN_A_SENTENCE)
        yield from number(self, "max_characters", 1, MOST_IN_A_SENTENCE)
        yield from number(self, "max_ratio", 1)


@dataclass
class TokenizerConfig:
    """SentencePiece: Kudo and Richardson 2018."""

    type: SubwordType = SubwordType.unigram
    """Unigram language model (Kudo 2018) or byte-pair encoding (Sennrich et al. 2016)."""
    vocab_size: int = 8000
    """Pieces, the four special symbols included; of each side if the vocabularies are not joint."""
    hard_vocab_limit: bool = True
    """Whether a corpus that has fewer pieces than vocab_size is refused; false: it gets as many as it has."""
    joint: bool = True
    """One vocabulary for both languages, or one per side."""
    character_coverage: float = 1.0
    """Share of the characters' occurrences that get a piece; 0.9995 for scripts with very many characters."""
    max_lines: int = 200_000
    """Lines of each side that the tokenizer is trained on at the most, taken evenly from the corpus. Training the
    unigram model takes some 25 bytes of memory for each byte of them."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "vocab_size", 8, 1_000_000)
        yield from number(self, "character_coverage", 0.9, 1)
        yield from number(self, "max_lines", 1)


@dataclass
class DataConfig:
    """A parallel corpus. Exactly one of `root`, `download` and `phrasebook` says where it comes from."""

    name: str = "corpus"
    """Short name for reports."""
    src_lang: str = "en"
    """Language code of the source side."""
    tgt_lang: str = "de"
    """Language code of the target side."""
    root: str | None = None
    """Folder of your own files."""
    download: DownloadConfig | None = None
    """Files from the network, checked by SHA-256 and kept in the cache."""
    mirror: str | None = None
    """Folder that holds the files of `download` under the same names, read (and checked) instead of fetching."""
    phrasebook: PhrasebookConfig | None = None
    """The embedded corpus."""
    train: TextFiles = field(default_factory=TextFiles)
    valid: TextFiles = field(default_factory=TextFiles)
    test: TextFiles = field(default_factory=TextFiles)
    most_pairs: int | None = None
    """Training pairs that are read at the most, the first ones: what a smaller corpus would give; null: all."""
    cache: str | None = None
    """Folder for downloads and prepared ids; null: $NMT_CACHE, else ~/.cache/nmt."""
    bleu_tokenize: str = "13a"
    """sacrebleu's tokenizer for BLEU; `none` for text that is tokenized already."""
    workers: int | None = None
    """Processes that prepare the corpus beside each other; null: as many as there are cores. Their number changes
    nothing of what they write."""
    shard_pairs: int = 250_000
    """Lines of a file that make a shard: what one process prepares at a time, and again if it is killed meanwhile."""
    max_pieces: int = 250
    """Training pairs with a side of more subword pieces are dropped."""
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def problems(self) -> Iterator[tuple[str, str]]:
        given = [name for name in ("root", "download", "phrasebook") if getattr(self, name) is not None]
        if not given:
            yield "root", "is missing; give your folder as data.root=FOLDER, or choose a corpus as data=phrasebook"
        if len(given) > 1:
            yield (
                given[0],
                f"says where the corpus is, and so does data.{' and data.'.join(given[1:])}; give one",
            )
        if self.mirror is not None and self.download is None:
            yield "mirror", "stands in for a download, and this corpus has none; set data.root instead"
        if self.phrasebook is None:
            for split in ("train", "valid"):
                if getattr(self, split).empty:
                    yield split, "names no file; give src and tgt, or tsv"
        if self.phrasebook is not None and {self.src_lang, self.tgt_lang} != {"en", "de"}:
            yield (
                "src_lang",
                f"is {self.src_lang!r}, tgt_lang {self.tgt_lang!r}; the phrasebook has en and de",
            )
        yield from number(self, "most_pairs", 1)
        yield from number(self, "workers", 1, 256)
        yield from number(self, "shard_pairs", 1, 100_000_000)
        for side in ("src_lang", "tgt_lang"):  # names of files end in it
            if not re.fullmatch("[A-Za-z0-9@_-]{1,64}", getattr(self, side)):
                yield side, f"is {getattr(self, side)!r}; allowed: letters, digits, - _ @"
        yield from number(self, "max_pieces", 1, MOST_IN_A_SENTENCE)
        yield from one_of(self, "bleu_tokenize", BLEU_TOKENIZERS)
