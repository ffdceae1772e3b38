"""Source lines with a target-language tag and with factors of their words, and the tokenizer of such lines.

A tag (Johnson et al. 2017) is the first word of a line. Factors (Sennrich and Haddow 2016) are read from the text as
`word|FACTOR`, or computed. Every piece of a word has the factors of its word. A piece and its factors are one id,

    piece + V (f_1 + F_1 (f_2 + F_2 (f_3 + ...))),

where V is the size of the vocabulary and F_i that of factor i. Lines therefore stay lists of ids everywhere; only this
module and `nmt.models.embedding` know the parts of an id.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.config import CASE, DataConfig, TokenizerConfig
from nmt.data.json_files import read_json, write_json
from nmt.data.preprocessing.cleaning import normalise
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError

SEPARATOR = "|"
SPACE = "▁"
NO_FACTOR, UNKNOWN_FACTOR = range(2)  # of tags, padding and eos; of values that training did not see
FIRST_VALUE = 2
MAX_IDS = 1 << 32  # the store has four bytes per id


def tag_of(language: str) -> str:
    """Return the tag of a target language."""
    return f"<2{language}>"


@dataclass(frozen=True)
class SourceForm:
    """Form of the source lines of a corpus."""

    factors: tuple[str, ...] = ()
    """Names of the factors; `case` is computed, the others are in the text in this order."""
    tags: tuple[str, ...] = ()
    """Tags of the target languages; none in a corpus with one direction."""

    @classmethod
    def of(cls, config: DataConfig) -> "SourceForm":
        """Return the form of the source lines of a corpus."""
        languages = [config.tgt_lang, *(direction.tgt_lang for direction in config.directions)]
        tags = dict.fromkeys(map(tag_of, languages)) if config.directions else ()
        return cls(tuple(config.factors), tuple(tags))

    @property
    def given(self) -> list[str]:
        """Names of the factors that are in the text."""
        return [name for name in self.factors if name != CASE]

    def split_tag(self, line: str) -> tuple[str, str]:
        """Return the tag at the start of a line, or an empty text, and the rest of the line."""
        if self.tags:
            first, *rest = line.split(maxsplit=1)[:2] or [""]
            if first in self.tags:
                return first, rest[0] if rest else ""
        return "", line

    def plain(self, line: str) -> str:
        """Return a line without tag and factors."""
        _, text = self.split_tag(line)
        return " ".join(self.split_word(word)[0] for word in text.split()) if self.given else text

    def split_word(self, word: str) -> list[str]:
        """Return a word and its factors in the text, of which some are missing in a word that is not valid."""
        return word.rsplit(SEPARATOR, len(self.given)) if self.given else [word]

    def words(self, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each word of a normalised line without tag as it is split into pieces, and its factors.

        Raises:
            UserError: a word does not have all factors.
        """
        for number, written in enumerate(text.split(), start=1):
            word, *values = self.split_word(written)
            if len(values) < len(self.given) or "" in values or not word.replace(SPACE, " ").strip():
                raise UserError(f"word {number}, {written!r:.80}, does not have the form {self.example}")
            rest = iter(values)
            factors = tuple(case_of(word) if name == CASE else next(rest) for name in self.factors)
            yield word.lower() if CASE in self.factors else word, factors

    @property
    def example(self) -> str:
        """Form of a word with its factors in the text."""
        return SEPARATOR.join(["word", *(name.upper() for name in self.given)])

    def check(self, line: str, place: str) -> None:
        """Raise UserError if a word of a line does not have all factors; `place` names the line."""
        if self.given:
            try:
                for _ in self.words(self.split_tag(normalise(line))[1]):
                    pass
            except UserError as error:
                raise UserError(f"{place}: {error}; data.factors={','.join(self.factors)}") from None

    def vocabulary_text(self, line: str) -> str:
        """Return the text of a normalised line from which the vocabulary is trained."""
        _, text = self.split_tag(line)
        return " ".join(word for word, _ in self.words(text)) if self.factors else text


def case_of(word: str) -> str:
    """Return how a word is written: lower, title, upper, mixed, or none without letters that have a case."""
    cased = [sign for sign in word if sign.isupper() or sign.islower() or sign.istitle()]
    capitals = [not sign.islower() for sign in cased]
    if not cased:
        return "none"
    if not any(capitals):
        return "lower"
    if not any(capitals[1:]):
        return "title"
    return "upper" if all(capitals) else "mixed"


class FactorCounts:
    """Number of occurrences of each value of each factor."""

    def __init__(self, form: SourceForm) -> None:
        self.form = form
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in form.factors}

    def add(self, line: str) -> None:
        """Count the factors of a normalised line."""
        for _, values in self.form.words(self.form.split_tag(line)[1]):
            for counter, value in zip(self.counts.values(), values, strict=True):
                counter[value] += 1

    def merge(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Add the counts of another part of the corpus."""
        for name, values in counts.items():
            self.counts[name].update(values)

    def most_frequent(self, limit: int) -> dict[str, list[str]]:
        """Return at most `limit` values of each factor, the most frequent first."""
        return {
            name: sorted(counter, key=lambda value: (-counter[value], value))[:limit]
            for name, counter in self.counts.items()
        }


class SourceTokenizer(Tokenizer):
    """Tokenizer of source lines with a tag or with factors, whose ids contain the factors."""

    def __init__(
        self, base: Tokenizer, form: SourceForm, values: Mapping[str, Sequence[str]], target: str = ""
    ) -> None:
        """
        Args:
            base: tokenizer of the words.
            form: form of the lines.
            values: known values of each factor.
            target: tag of lines that have none.

        Raises:
            UserError: there are too many ids, or the vocabulary does not have a tag.
        """
        super().__init__(base.model)
        self.base = base
        self.form = form
        self.tags = form.tags
        self.values = {name: list(values[name]) for name in form.factors}
        self.target = target
        self.numbers = [
            {value: i for i, value in enumerate(known, start=FIRST_VALUE)} for known in self.values.values()
        ]
        self.factor_sizes = tuple(len(known) + FIRST_VALUE for known in self.values.values())
        if self.id_limit > MAX_IDS:
            raise UserError(
                f"{base.size:,} pieces with {' times '.join(f'{size:,}' for size in self.factor_sizes)} factor values "
                "are more than 4,294,967,296 combinations; lower data.factor_values or data.tokenizer.vocab_size"
            )
        ids = {piece: i for i, piece in enumerate(base.pieces(range(base.size)))} if form.tags else {}
        if missing := [tag for tag in form.tags if tag not in ids]:
            raise UserError(f"the vocabulary does not have the tag {missing[0]}; train it with this corpus")
        self.tag_ids = {tag: ids[tag] for tag in form.tags}

    @property
    def identity(self) -> object:
        """Value that is equal for tokenizers that encode alike."""
        return self.base.identity, self.form, self.values, self.target

    @property
    def id_limit(self) -> int:
        """One more than the largest id."""
        return self.base.size * math.prod(self.factor_sizes)

    def with_target(self, language: str) -> "SourceTokenizer":
        """Return the tokenizer with another target language for lines without a tag.

        Raises:
            UserError: the model was not trained with this target language.
        """
        tag = tag_of(language)
        if tag not in self.form.tags:
            raise self.no_target(language, self.form.tags)
        return SourceTokenizer(self.base, self.form, self.values, tag)

    def has_target(self, line: str) -> bool:
        """Return whether a line is to be translated into the target language of lines without a tag."""
        return self.split_tag(line)[0] in ("", self.target)

    def parse(self, lines: Iterable[str]) -> list[tuple[str, str]]:
        """Return the tag and the rest of each line."""
        pairs = map(self.form.split_tag, lines)
        return [(tag or self.target, text) for tag, text in pairs]

    def encode(self, lines: Sequence[str], threads: int = -1) -> list[list[int]]:
        """Return the ids of each normalised line, without bos and eos; `threads=-1` uses one thread per core.

        Raises:
            UserError: a word does not have all factors.
        """
        parsed = self.parse(lines)
        if not self.form.factors:
            encoded = self.base.encode([text for _, text in parsed], threads)
        else:
            words = [list(self.form.words(text)) for _, text in parsed]
            pieces = iter(self.base.encode([word for line in words for word, _ in line], threads))
            encoded = [[piece + self.code(values) for _, values in line for piece in next(pieces)] for line in words]
        return [[*self.tag_id(tag), *ids] if ids else [] for (tag, _), ids in zip(parsed, encoded, strict=True)]

    def tag_id(self, tag: str) -> list[int]:
        """Return the id of a tag as a list, which is empty without a tag."""
        return [self.tag_ids[tag]] if tag else []

    def code(self, values: Sequence[str]) -> int:
        """Return the part of an id that the factors of a word determine."""
        code, step = 0, self.size
        for value, numbers, size in zip(values, self.numbers, self.factor_sizes, strict=True):
            code += step * numbers.get(value, UNKNOWN_FACTOR)
            step *= size
        return code

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each line as written in the line, including the tag and unknown pieces."""
        parsed = self.parse(lines)
        if not self.form.factors:
            encoded = self.base.surfaces([text for _, text in parsed])
        else:
            words = [[word for word, _ in self.form.words(text)] for _, text in parsed]
            pieces = iter(self.base.surfaces([word for line in words for word in line]))
            encoded = [[piece for _ in line for piece in next(pieces)] for line in words]
        return [[*[tag] * bool(tag), *line] if line else [] for (tag, _), line in zip(parsed, encoded, strict=True)]

    def split_tag(self, line: str) -> tuple[str, str]:
        """Return the tag at the start of a line, or an empty text, and the rest of the line."""
        return self.form.split_tag(line)

    def plain(self, line: str) -> str:
        """Return a line without tag and factors."""
        return self.form.plain(line)

    def check(self, line: str, place: str) -> None:
        """Raise UserError if a word of a line does not have all factors; `place` names the line."""
        self.form.check(line, place)

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each list of ids, without factors."""
        return self.base.decode([[i % self.size for i in line] for line in ids])

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return the pieces as written in the vocabulary, without factors; a leading ▁ stands for a space."""
        return self.base.pieces(int(i) % self.size for i in ids)

    def texts(self, ids: Iterable[int]) -> list[str]:
        """Return the text that each of these pieces writes, a character of several pieces at the last of them."""
        return self.base.texts(i % self.size for i in ids)

    def save(self, folder: Path, side: str) -> None:
        """Write the form and the values of the factors, beside the model of the base tokenizer."""
        content = {"factors": self.values, "tags": list(self.form.tags), "target": self.target}
        write_json(form_file(folder, side), content)


def with_tags(config: DataConfig) -> TokenizerConfig:
    """Return the tokenizer configuration of a corpus with the tags of its source lines among the user symbols."""
    symbols = dict.fromkeys([*SourceForm.of(config).tags, *config.tokenizer.user_symbols])
    return replace(config.tokenizer, user_symbols=list(symbols))


def form_file(folder: Path, side: str) -> Path:
    """Return the path of the form of the source lines beside a tokenizer; the file exists if lines have one."""
    return folder / f"{side}.form.json"


def load_tokenizer(folder: Path, side: str) -> Tokenizer:
    """Load the tokenizer of a side from a folder.

    Raises:
        UserError: a file is missing or damaged.
    """
    base, path = Tokenizer.load(folder / f"{side}.model"), form_file(folder, side)
    if not path.is_file():
        return base
    try:
        content = read_json(path)
        factors, tags, target = content["factors"], content["tags"], content["target"]
        texts = [*factors, *(value for values in factors.values() for value in values), *tags, target]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged; its folder cannot be used") from None
    return SourceTokenizer(base, SourceForm(tuple(factors), tuple(tags)), factors, target)


def write_tokenizer(folder: Path, side: str, tokenizer: Tokenizer) -> list[Path]:
    """Write the tokenizer of a side into a folder and return the paths of its files."""
    model = folder / f"{side}.model"
    model.write_bytes(tokenizer.model)
    if not isinstance(tokenizer, SourceTokenizer):
        return [model]
    tokenizer.save(folder, side)
    return [model, form_file(folder, side)]
