"""Normalisation of text, and filtering of training pairs with a report of the dropped pairs and the reasons."""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nmt.config.data import CleaningConfig
from nmt.digests import DigestSet, digest

EXAMPLES = 3  # examples per reason in a report
EXAMPLE_WIDTH = 80  # characters per side of an example
RATIO_OFFSET = 10  # characters added to both lengths, because the ratio of short sentences varies by chance

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # exactly category Cc
_NO_LETTER = re.compile(r"[\W_]+")
_SOURCE = b"source"  # kind of the digests of sources
# Zero-width space, word joiner, byte order mark, and lone surrogates. Zero-width joiner and non-joiner (U+200D, U+200C)
# stay, because they change the look of Persian, Indic scripts and emoji. A lone surrogate is not a character: it comes
# from a terminal that is not UTF-8, and neither SentencePiece nor a text file accepts it.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\ud800-\udfff]")


class Reason(StrEnum):
    """Reason for dropping a pair. If several apply, the first in this order is counted."""

    empty = "empty"
    too_long = "too_long"
    ratio = "ratio"
    identical = "identical"
    in_test = "in_test"
    source_in_test = "source_in_test"
    duplicate = "duplicate"


@dataclass
class Example:
    """A dropped pair, normalised and truncated to `EXAMPLE_WIDTH` characters per side."""

    line: int
    """Line number, from 1, counted over all files of the split."""
    src: str
    tgt: str


@dataclass
class CleaningReport:
    """Counts and examples of `clean`. They are updated while its pairs are consumed and final after the last pair."""

    read: int = 0
    kept: int = 0
    altered: int = 0
    """Number of kept pairs that normalisation changed."""
    dropped: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(Reason, 0))
    examples: dict[Reason, list[Example]] = field(default_factory=lambda: {reason: [] for reason in Reason})
    src_words: int = 0
    """Number of words, separated by white space, of all kept sources; the next three fields are similar."""
    tgt_words: int = 0
    src_characters: int = 0
    tgt_characters: int = 0

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "CleaningReport":
        """Restore a report from the JSON form of `dataclasses.asdict`."""
        report = cls(**fields)
        report.dropped = {Reason(reason): count for reason, count in report.dropped.items()}
        report.examples = {
            Reason(reason): [Example(**example) for example in examples]
            for reason, examples in fields["examples"].items()
        }
        return report

    def count(self, src: str, tgt: str, altered: bool, pairs: int = 1) -> None:
        """Count a kept, normalised pair; `pairs=-1` removes a pair from the counts."""
        self.kept += pairs
        self.altered += pairs * altered
        self.src_words += pairs * _count_words(src)
        self.tgt_words += pairs * _count_words(tgt)
        self.src_characters += pairs * len(src)
        self.tgt_characters += pairs * len(tgt)

    def drop(self, reason: Reason, line: int, src: str, tgt: str) -> None:
        """Count a dropped, normalised pair. Examples come from the first lines, independent of the order of calls."""
        self.dropped[reason] += 1
        examples = self.examples[reason]
        if len(examples) < EXAMPLES or line < examples[-1].line:
            examples.append(Example(line, src[:EXAMPLE_WIDTH], tgt[:EXAMPLE_WIDTH]))
            examples.sort(key=lambda example: example.line)
            del examples[EXAMPLES:]

    def add(self, later: "CleaningReport") -> None:
        """Add the report of pairs that follow the pairs of this report."""
        for reason, examples in later.examples.items():
            self.dropped[reason] += later.dropped[reason]
            shifted = [Example(example.line + self.read, example.src, example.tgt) for example in examples]
            self.examples[reason] = (self.examples[reason] + shifted)[:EXAMPLES]
        for name in ("read", "kept", "altered", "src_words", "tgt_words", "src_characters", "tgt_characters"):
            setattr(self, name, getattr(self, name) + getattr(later, name))

    def to_dict(self) -> dict[str, Any]:
        """Return counts, means over the kept pairs, and examples, serialisable as JSON."""
        pairs = max(self.kept, 1)
        return {
            "read": self.read,
            "kept": self.kept,
            "altered": self.altered,
            "dropped": {reason.value: count for reason, count in self.dropped.items()},
            "mean_words": {"src": self.src_words / pairs, "tgt": self.tgt_words / pairs},
            "mean_characters": {"src": self.src_characters / pairs, "tgt": self.tgt_characters / pairs},
            "examples": {reason.value: [vars(e) for e in examples] for reason, examples in self.examples.items()},
        }

    def __str__(self) -> str:
        """Return a plain-text table of the read, dropped, kept and altered pairs, with mean lengths and examples."""
        counts = {"read": self.read, **{f"  {reason}": count for reason, count in self.dropped.items()}}
        counts |= {"kept": self.kept, "  altered": self.altered}
        lines = [f"{name:<18}{count:>14,}{count / max(self.read, 1):>8.1%}" for name, count in counts.items()]
        as_dict = self.to_dict()
        for unit in ("words", "characters"):
            mean = as_dict[f"mean_{unit}"]
            lines.append(f"{unit:<18}{mean['src']:>14.1f} src{mean['tgt']:>8.1f} tgt, mean of the kept pairs")
        for reason, examples in self.examples.items():
            lines += [f"{reason}, line {example.line}: {example.src} | {example.tgt}" for example in examples]
        return "\n".join(lines)


def normalise(text: str) -> str:
    """Return text in the normal form used in training and translation. The function is idempotent.

    Control characters become spaces. Zero-width space, word joiner, byte order mark and lone surrogates are removed.
    The text is converted to Unicode NFC. Each run of white space, including U+00A0, becomes one space, and white space
    at the ends is removed.
    """
    return " ".join(normalise_characters(text).split())


def normalise_characters(text: str) -> str:
    """Return the text normalised as by `normalise`, except that white space is kept."""
    if not text.isprintable():  # nearly all text is printable, and has no control or invisible characters
        text = _INVISIBLE.sub("", _CONTROL.sub(" ", text))
    # NFC is applied after the deletions, because they can bring a letter and its accent together.
    return unicodedata.normalize("NFC", text)


def loose(text: str) -> str:
    """Return the letters, combining marks and digits of a text, case-folded, with a space in place of the others.

    Vowels of Indic scripts and Thai are combining marks, which `\\w` does not match.
    """
    return " ".join(_NO_LETTER.sub(_marks, text.casefold()).split())


def _marks(match: re.Match[str]) -> str:
    """Return the matched characters with spaces in place of all but combining marks."""
    return "".join(c if unicodedata.category(c).startswith("M") else " " for c in match.group())


def source_digest(src: str) -> int | None:
    """Return a digest of a normalised source that ignores case and punctuation; None if no letter or digit is left."""
    letters = loose(src)
    return digest(letters, _SOURCE) if letters else None


def pair_digest(src: str, tgt: str) -> int:
    """Return a digest of a normalised pair."""
    return digest(f"{src}\n{tgt}")


def unchanged(line: str) -> str:
    """Return a source line as its words: it has no tag and no factors."""
    return line


def digests(pairs: Iterable[tuple[str, str]], plain: Callable[[str], str] = unchanged) -> set[int]:
    """Return the digests of held-out pairs and of their sources, for the argument `held_out` of `clean`."""
    normalised = [(normalise(src), normalise(tgt)) for src, tgt in pairs]
    sources = {source_digest(plain(src)) for src, _ in normalised}
    return {pair_digest(*pair) for pair in normalised} | {number for number in sources if number is not None}


def clean(
    pairs: Iterable[tuple[str, str]],
    config: CleaningConfig,
    held_out: Container[int],
    report: CleaningReport,
    plain: Callable[[str], str] = unchanged,
) -> Iterator[tuple[str, str]]:
    """Yield the normalised pairs that are kept, in order, and count kept and dropped pairs in `report`.

    Memory grows with the number of kept pairs only if `drop_duplicates` is set, by 12 to 24 bytes per pair. Pairs are
    compared by 64-bit digests: among ten million distinct pairs, the probability of a false duplicate is 3e-6.

    Args:
        pairs: raw pairs.
        config: which pairs to drop.
        held_out: `digests` of the validation and test sets.
        report: counts, updated in place.
        plain: returns the words of a normalised source line, without tag and factors. Two pairs that differ in these
            are different pairs.
    """
    seen = DigestSet()
    for raw_src, raw_tgt in pairs:
        report.read += 1
        src, tgt = normalise(raw_src), normalise(raw_tgt)
        words = plain(src)
        reason = _check_pair(words, tgt, config)
        if reason is None and config.drop_test_sources and source_digest(words) in held_out:
            reason = Reason.source_in_test
        if reason in (None, Reason.source_in_test) and (config.drop_test_pairs or config.drop_duplicates):
            key = pair_digest(src, tgt)
            if config.drop_test_pairs and key in held_out:
                reason = Reason.in_test
            elif reason is None and config.drop_duplicates and not seen.add(key):
                reason = Reason.duplicate
        if reason is not None:
            report.drop(reason, report.read, src, tgt)
            continue
        report.count(words, tgt, src != raw_src or tgt != raw_tgt)
        yield src, tgt


def _check_pair(src: str, tgt: str, config: CleaningConfig) -> Reason | None:
    """Return the reason to drop a normalised pair, regardless of other pairs, or None."""
    if not src or not tgt:
        return Reason.empty
    if max(_count_words(src), _count_words(tgt)) > config.max_words or max(len(src), len(tgt)) > config.max_characters:
        return Reason.too_long
    if max(len(src), len(tgt)) + RATIO_OFFSET > config.max_ratio * (min(len(src), len(tgt)) + RATIO_OFFSET):
        return Reason.ratio
    if config.drop_identical and src == tgt:
        return Reason.identical
    return None


def _count_words(text: str) -> int:
    """Return the number of words of a normalised, non-empty text, in which single spaces separate words."""
    return text.count(" ") + 1
