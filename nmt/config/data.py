"""Configuration of the corpus, its preprocessing and tokenizers: `data.*`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from unicodedata import normalize

from nmt.config.checks import number, one_of
from nmt.config.languages import DirectionConfig, factor_problems, language_problems
from nmt.config.strings import StringsConfig
from nmt.config.text_files import TextFiles

BLEU_TOKENIZERS = ("13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab", "flores200")
"""Tokenizers of sacrebleu that BLEU can be computed with."""

MAX_PAIRS = 100_000_000
"""Maximum number of training pairs from the phrasebook, which needs up to 48 bytes of memory per pair to avoid
duplicates."""
MAX_HELD_OUT_PAIRS = 100_000
"""Maximum number of validation or test pairs from the phrasebook, which are kept in memory."""
MAX_SENTENCE_LENGTH = 100_000
"""Maximum number of words, characters or pieces in a sentence. Attention over more would need gigabytes."""


GENERATED = ("phrasebook", "strings")
"""Origins of a corpus that is generated."""
SPLITS = ("train", "valid", "test")
"""Splits that are prepared with the corpus."""
TEST_SET_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
"""Pattern of the name of a split or a test set, which names its files of scores."""


class TokenizerType(StrEnum):
    """Kinds of pieces: subwords of SentencePiece, words between spaces, or characters."""

    unigram = "unigram"
    bpe = "bpe"
    word = "word"
    char = "char"


@dataclass
class DownloadConfig:
    """Corpus on a web server, with the checksums of its files."""

    url: str = ""
    """Address of the folder that contains the files (http, https)."""
    sha256: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file in hexadecimal, keyed by its path relative to `url`."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.url.startswith(("http://", "https://")):
            yield "url", f"is {self.url!r}; allowed: an address that starts with http:// or https://"
        for path, digest in self.sha256.items():
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                yield "sha256", f"of {path} is {digest!r}; allowed: 64 hexadecimal digits"


@dataclass
class PhrasebookConfig:
    """Embedded English-German corpus, generated from a grammar without any download."""

    train: int = 50_000
    """Number of training pairs."""
    valid: int = 500
    """Number of validation pairs."""
    test: int = 500
    """Number of test pairs."""
    depth: int = 1
    """Maximum number of nested clauses, which sets the distance over which a model must remember words."""
    seed: int = 1
    """Seed of the corpus. It is independent of the run's seed, so that runs with different seeds share the corpus."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "train", 1, MAX_PAIRS)
        for name in ("valid", "test"):
            yield from number(self, name, 1, MAX_HELD_OUT_PAIRS)
        yield from number(self, "depth", 0, 8)


@dataclass
class CleaningConfig:
    """Filters of the training set. Validation and test sets are never altered."""

    max_words: int = 150
    """Maximum number of white-space separated words per side."""
    max_characters: int = 1500
    """Maximum number of characters per side, for scripts without spaces."""
    max_ratio: float = 6.0
    """Maximum ratio of the lengths of the two sides, in characters, with ten added to each."""
    drop_identical: bool = True
    """Drop pairs with identical sides."""
    drop_duplicates: bool = True
    """Keep only the first of identical pairs."""
    drop_test_pairs: bool = True
    """Drop pairs that also occur in the validation or test set."""
    drop_test_sources: bool = False
    """Drop pairs whose source occurs in the validation or test set, ignoring case, punctuation and the target."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "max_words", 1, MAX_SENTENCE_LENGTH)
        yield from number(self, "max_characters", 1, MAX_SENTENCE_LENGTH)
        yield from number(self, "max_ratio", 1)


def symbol_problem(symbol: str) -> str | None:
    """Return why a text cannot be a user symbol, beginning with the text, or None if it can."""
    written = symbol.isprintable() and not any(map(str.isspace, symbol))
    if not 0 < len(symbol) <= 64 or not written or "▁" in symbol or symbol != normalize("NFC", symbol):
        return f"{symbol!r}; allowed: 1 to 64 visible characters in Unicode NFC, without ▁"
    if symbol in ("<pad>", "<unk>", "<s>", "</s>"):
        return f"{symbol!r}, a special symbol of this program; use another name"
    return None


@dataclass
class TokenizerConfig:
    """Tokenizers of both sides: SentencePiece (Kudo and Richardson 2018), words, characters, or files of your own."""

    type: TokenizerType = TokenizerType.unigram
    """Pieces: unigram language model (Kudo 2018), byte-pair encoding (bpe, Sennrich et al. 2016), word or char."""
    vocab_size: int = 8000
    """Vocabulary size in pieces, with the four special symbols; per side if the vocabularies are not joint. For words
    and characters it is a maximum."""
    hard_vocab_limit: bool = True
    """Reject a corpus with fewer than vocab_size pieces; false: use a smaller vocabulary for such a corpus."""
    joint: bool = True
    """Use one vocabulary for both languages instead of one per side."""
    character_coverage: float = 1.0
    """Share of character occurrences covered by pieces; 0.9995 is usual for scripts with thousands of characters."""
    max_lines: int = 200_000
    """Maximum number of lines per side for training the tokenizer, sampled evenly from the corpus. Training the unigram
    model takes about 25 bytes of memory per byte of text."""
    user_symbols: list[str] = field(default_factory=list)
    """Tags and placeholders, such as `<2de>` or `<BT>`: each is one piece at any place, and is never divided."""
    byte_fallback: bool = False
    """Write characters without a piece as the bytes of their UTF-8, so that nothing is unknown; takes 256 pieces."""
    split_digits: bool = False
    """Make each digit a piece, so that numbers are written digit by digit."""
    file: str | None = None
    """Ready tokenizer for both sides: a SentencePiece model, a JSON of Hugging Face tokenizers, or with `type=word` or
    `char` a list with one word or character per line. It is copied into the run."""
    src_file: str | None = None
    """Ready tokenizer for the source side alone; needs joint=false. A side without a file is trained."""
    tgt_file: str | None = None
    """Ready tokenizer for the target side alone; needs joint=false."""

    @property
    def files(self) -> dict[str, str]:
        """Key and path of the ready tokenizer of each side that has one."""
        keys = {"src": "src_file", "tgt": "tgt_file"} if self.file is None else {"src": "file", "tgt": "file"}
        return {side: getattr(self, key) for side, key in keys.items() if getattr(self, key) is not None}

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "vocab_size", 8, 1_000_000)
        yield from number(self, "character_coverage", 0.9, 1)
        yield from number(self, "max_lines", 1)
        sides = [key for key in ("src_file", "tgt_file") if getattr(self, key) is not None]
        if self.file is not None and sides:
            yield "file", f"is given together with {' and '.join(sides)}; give one file for both sides, or one per side"
        elif sides and self.joint:
            yield sides[0], "is a vocabulary of one side; set joint=false, or give one file for both sides as file"
        for key in ("byte_fallback", "split_digits"):
            if getattr(self, key) and self.type == TokenizerType.word:
                yield key, "is true, but type=word does not divide words; use unigram, bpe or char"
            elif getattr(self, key) and len(self.files) == 2:
                yield key, "is true, but a ready tokenizer keeps its own rules; set it to false"
        yield from self.symbol_problems()

    def symbol_problems(self) -> Iterator[tuple[str, str]]:
        """Yield the problems of the user symbols."""
        for symbol in self.user_symbols:
            if problem := symbol_problem(symbol):
                yield "user_symbols", f"has {problem}"
        if repeated := [symbol for symbol in set(self.user_symbols) if self.user_symbols.count(symbol) > 1]:
            yield "user_symbols", f"has {min(repeated)!r} twice; give each symbol once"
        needed = 5 + len(self.user_symbols) + 256 * self.byte_fallback
        if len(self.files) < 2 and self.vocab_size < needed:
            yield "vocab_size", f"is {self.vocab_size}; with these symbols and bytes it must be at least {needed}"


@dataclass
class DataConfig:
    """Parallel corpus. Exactly one of `root`, `download`, `phrasebook` and `strings` gives its origin."""

    name: str = "corpus"
    """Short name of the corpus, a label in logs, reports and tables. It does not choose the files; `data=NAME` does."""
    src_lang: str = "en"
    """Language code of the source side."""
    tgt_lang: str = "de"
    """Language code of the target side."""
    root: str | None = None
    """Folder with your own files."""
    download: DownloadConfig | None = None
    """Files to download; they are verified by SHA-256 and kept in the cache."""
    mirror: str | None = None
    """Folder with local copies of the files of `download` under the same names, used (and verified) instead of
    downloading."""
    phrasebook: PhrasebookConfig | None = None
    """Embedded corpus."""
    strings: StringsConfig | None = None
    """Embedded corpus of random strings to copy or reverse."""
    train: TextFiles = field(default_factory=TextFiles)
    """Files of the training set."""
    valid: TextFiles = field(default_factory=TextFiles)
    """Files of the validation set."""
    test: TextFiles = field(default_factory=TextFiles)
    """Files of the test set."""
    tests: dict[str, TextFiles] = field(default_factory=dict)
    """Files of further test sets, by name, for `evaluate split=NAME`. They are read when they are scored; training and
    preparation do not use them."""
    directions: list[DirectionConfig] = field(default_factory=list)
    """Further translation directions for a multilingual model. With any, each source line begins with a tag of its
    target language such as <2de>, which is one piece, and translation takes `tgt_lang`."""
    factors: list[str] = field(default_factory=list)
    """Source factors, whose embeddings join that of the piece (Sennrich and Haddow 2016). `case` is computed, and the
    source is then lower-cased; other factors are in the source text, in the order of this list: word|FACTOR."""
    factor_values: int = 1000
    """Maximum number of values of each factor; rarer ones are unknown."""
    most_pairs: int | None = None
    """Maximum number of training pairs, taken from the beginning, to simulate a smaller corpus; null: all. Shuffle a
    corpus that is sorted, by length for example, before."""
    cache: str | None = None
    """Folder for downloads and preprocessed corpora; null: $NMT_CACHE, or ~/.cache/nmt if that is not set."""
    bleu_tokenize: str = "13a"
    """Tokenizer of sacrebleu for BLEU; `none` for text that is already tokenised."""
    workers: int | None = None
    """Number of preprocessing processes; null: one per core. The result does not depend on this number."""
    shard_pairs: int = 250_000
    """Pairs per shard, the unit of work of a preprocessing process, which is repeated if the process is killed."""
    max_pieces: int = 250
    """Maximum number of pieces per side of a training pair; longer pairs are dropped."""
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    """Filters of the training set."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """Tokenizers of both sides."""

    def problems(self) -> Iterator[tuple[str, str]]:
        origins = [name for name in ("root", "download", *GENERATED) if getattr(self, name) is not None]
        if not origins:
            yield "root", "is missing; give your folder as data.root=FOLDER, or choose a corpus as data=phrasebook"
        if len(origins) > 1:
            yield (
                origins[0],
                f"is given together with data.{' and data.'.join(origins[1:])}; give only one of them",
            )
        if self.mirror is not None and self.download is None:
            yield "mirror", "replaces a download, but this corpus has none; set data.root instead"
        generated = [name for name in GENERATED if getattr(self, name) is not None]
        if not generated:
            for split in ("train", "valid"):
                if getattr(self, split).empty:
                    yield split, "has no files; give src and tgt, or tsv"
        if self.phrasebook is not None and {self.src_lang, self.tgt_lang} != {"en", "de"}:
            yield (
                "src_lang",
                f"is {self.src_lang!r}, tgt_lang {self.tgt_lang!r}; the phrasebook supports en and de only",
            )
        if generated and self.tests:
            yield "tests", f"has files, but the {generated[0]} has none; use data=files for your own test sets"
        if self.strings is not None and self.directions:
            yield "directions", "is given together with data.strings, which has one direction; leave it out"
        for name, files in self.tests.items():
            if not re.fullmatch(TEST_SET_NAME, name) or name in SPLITS:
                yield (
                    "tests",
                    f"has a set named {name!r}; allowed: letters, digits, '_', '-', '.', but not {', '.join(SPLITS)}",
                )
            if files.empty:
                yield f"tests.{name}", "has no files; give src and tgt, or tsv"
        for at, direction in enumerate(self.directions):
            if self.phrasebook is None and direction.train.empty:
                yield f"directions.{at}.train", "has no files; give src and tgt, or tsv"
            if self.phrasebook is not None and {direction.src_lang, direction.tgt_lang} != {"en", "de"}:
                yield f"directions.{at}.src_lang", "and tgt_lang are not en and de, the languages of the phrasebook"
        if self.directions and self.most_pairs is not None:
            yield "most_pairs", "is set with data.directions, where it would leave out whole directions; set it to null"
        yield from factor_problems(self.factors)
        yield from number(self, "factor_values", 1, 1_000_000)
        yield from number(self, "most_pairs", 1)
        yield from number(self, "workers", 1, 256)
        yield from number(self, "shard_pairs", 1, 100_000_000)
        yield from language_problems(self)
        yield from number(self, "max_pieces", 1, MAX_SENTENCE_LENGTH)
        yield from one_of(self, "bleu_tokenize", BLEU_TOKENIZERS)

    def paths(self, *names: str) -> list[str]:
        """Return the names of all files of some splits and further test sets."""
        chosen = [getattr(self, name) if name in SPLITS else self.tests[name] for name in names]
        return [path for files in chosen for path in [*files.src, *files.tgt, *files.tsv]]

    @property
    def test_names(self) -> list[str]:
        """Names of the test sets, `test` first, without those that have no checksum in this pair of languages."""
        named = [name for name in ("test", *self.tests) if name in self.tests or not self.test.empty]
        digests = None if self.download is None else self.download.sha256
        return [name for name in named if digests is None or all(path in digests for path in self.paths(name))]


@dataclass
class CorpusLocation:
    """Location of a run's corpus files on this machine, to read test sets that the run has no copy of."""

    root: str | None = None
    """Folder of the corpus; null: `data.root` of the run."""
    mirror: str | None = None
    """Folder with copies of the files to download; null: `data.mirror` of the run. Missing files are downloaded."""
    cache: str | None = None
    """Folder for downloads; null: `data.cache` of the run."""
