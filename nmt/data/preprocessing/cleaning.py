"""Decides which pairs are worth training on, and says what it dropped and why."""

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nmt.config.data import CleaningConfig
from nmt.digests import DigestSet, digest

EXAMPLES = 3  # examples of each reason in a report
EXAMPLE_WIDTH = 80  # characters of each side of an example
RATIO_OFFSET = 10  # characters added to both sides, so that short sentences are not judged by chance

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # exactly category Cc
# Zero-width space, word joiner and byte order mark show nothing. Zero-width joiner and non-joiner (U+200D,
# U+200C) stay: they decide how Persian, Indic scripts and emoji look. Half a surrogate pair is no character: it comes
# from a terminal that is not UTF-8, and neither SentencePiece nor a file takes it.
_NO_LETTER = re.compile(r"[\W_]+")
_SOURCE = b"source"  # kind of the digests of sources
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\ud800-\udfff]")


class Reason(StrEnum):
    """Why a pair is dropped. The first that holds, in this order, is the one counted."""

    empty = "empty"
    too_long = "too_long"
    ratio = "ratio"
    identical = "identical"
    in_test = "in_test"
    source_in_test = "source_in_test"
    duplicate = "duplicate"


@dataclass
class Example:
    """A dropped pair, normalised and cut to `EXAMPLE_WIDTH` characters a side."""

    line: int
    """Where it stood, from 1; counted on over the files of the split."""
    src: str
    tgt: str


@dataclass
class CleaningReport:
    """What `clean` did. Counts grow while its pairs are consumed and are final after the last one."""

    read: int = 0
    kept: int = 0
    altered: int = 0
    """Kept pairs whose text normalising changed."""
    dropped: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(Reason, 0))
    examples: dict[Reason, list[Example]] = field(default_factory=lambda: {reason: [] for reason in Reason})
    src_words: int = 0
    """White-space separated words of all kept pairs; likewise the next three."""
    tgt_words: int = 0
    src_characters: int = 0
    tgt_characters: int = 0

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "CleaningReport":
        """The report whose fields, as `dataclasses.asdict` gives them, went through JSON."""
        report = cls(**fields)
        report.dropped = {Reason(reason): count for reason, count in report.dropped.items()}
        found = {Reason(reason): examples for reason, examples in fields["examples"].items()}
        report.examples = {reason: [Example(**example) for example in examples] for reason, examples in found.items()}
        return report

    def count(self, src: str, tgt: str, altered: bool, pairs: int = 1) -> None:
        """Counts a kept, normalised pair; with `pairs` = -1 takes one back."""
        self.kept += pairs
        self.altered += pairs * altered
        self.src_words += pairs * _words(src)
        self.tgt_words += pairs * _words(tgt)
        self.src_characters += pairs * len(src)
        self.tgt_characters += pairs * len(tgt)

    def drop(self, reason: Reason, line: int, src: str, tgt: str) -> None:
        """Counts a dropped, normalised pair. The examples are those of the first lines, in whatever order they come."""
        self.dropped[reason] += 1
        examples = self.examples[reason]
        if len(examples) < EXAMPLES or line < examples[-1].line:
            examples.append(Example(line, src[:EXAMPLE_WIDTH], tgt[:EXAMPLE_WIDTH]))
            examples.sort(key=lambda example: example.line)
            del examples[EXAMPLES:]

    def add(self, later: "CleaningReport") -> None:
        """Counts in what was read after all that this one has read."""
        for reason, examples in later.examples.items():
            self.dropped[reason] += later.dropped[reason]
            shifted = [Example(example.line + self.read, example.src, example.tgt) for example in examples]
            self.examples[reason] = (self.examples[reason] + shifted)[:EXAMPLES]
        for name in ("read", "kept", "altered", "src_words", "tgt_words", "src_characters", "tgt_characters"):
            setattr(self, name, getattr(self, name) + getattr(later, name))

    def to_dict(self) -> dict[str, Any]:
        """Returns the report for JSON: counts, means over the kept pairs, and the examples."""
        pairs = max(self.kept, 1)
        return {
            "read": self.read,
            "kept": self.kept,
            "altered": self.altered,
            "dropped": {reason.value: count for reason, count in self.dropped.items()},
            "mean_words": {"src": self.src_words / pairs, "tgt": self.tgt_words / pairs},
            "mean_characters": {"src": self.src_characters / pairs, "tgt": self.tgt_characters / pairs},
            "examples": {reason.value: [vars(e) for e in found] for reason, found in self.examples.items()},
        }

    def __str__(self) -> str:
        """A table in plain text: counts with their share, means, then the examples."""
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
    """Returns text in the one form that training and translation see.

    Control characters become spaces, zero-width space, word joiner, byte order mark and lone surrogates go, then
    Unicode NFC, then each run of white space (of any kind, U+00A0 too) becomes one space and none is left at the ends.
    Idempotent.
    """
    return " ".join(normalise_characters(text).split())


def normalise_characters(text: str) -> str:
    """Return the text with `normalise` done but for its white space: invisible characters and Unicode NFC."""
    if not text.isprintable():  # printable text has neither of the two, and is nearly all there is
        text = _INVISIBLE.sub("", _CONTROL.sub(" ", text))
    # NFC comes after the deletions: they can bring a letter and its accent together.
    return unicodedata.normalize("NFC", text)


def loose(text: str) -> str:
    """Return a text's letters and digits, case-folded, with one space for everything between them."""
    return _NO_LETTER.sub(" ", text.casefold()).strip()


def source_digest(src: str) -> int | None:
    """Return 64 bits that stand for a normalised source but for case and punctuation; None if it has no letter."""
    letters = loose(src)
    return digest(letters, _SOURCE) if letters else None


def pair_digest(src: str, tgt: str) -> int:
    """Returns 64 bits that stand for a normalised pair."""
    return digest(f"{src}\n{tgt}")


def digests(pairs: Iterable[tuple[str, str]]) -> set[int]:
    """Return the digests of held-out pairs and of their sources, normalised as `clean` does: its `held_out`."""
    normalised = [(normalise(src), normalise(tgt)) for src, tgt in pairs]
    sources = {source_digest(src) for src, _ in normalised}
    return {pair_digest(*pair) for pair in normalised} | {found for found in sources if found is not None}


def clean(
    pairs: Iterable[tuple[str, str]], config: CleaningConfig, held_out: Container[int], report: CleaningReport
) -> Iterator[tuple[str, str]]:
    """Yields the normalised pairs worth keeping, in order, and counts in `report`.

    `held_out` has the `digests` of the validation and test sets. Memory grows with the number of kept pairs
    only if `drop_duplicates` is set, by 12 to 24 bytes each. Pairs are told apart by 64 bits: among ten million
    different ones the chance that any is taken for a duplicate is 3e-6.
    """
    seen = DigestSet()
    for raw_src, raw_tgt in pairs:
        report.read += 1
        src, tgt = normalise(raw_src), normalise(raw_tgt)
        reason = _fault_of(src, tgt, config)
        if reason is None and config.drop_test_sources and source_digest(src) in held_out:
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
        report.count(src, tgt, src != raw_src or tgt != raw_tgt)
        yield src, tgt


def _fault_of(src: str, tgt: str, config: CleaningConfig) -> Reason | None:
    """Returns what is wrong with a normalised pair by itself, or None."""
    if not src or not tgt:
        return Reason.empty
    if max(_words(src), _words(tgt)) > config.max_words or max(len(src), len(tgt)) > config.max_characters:
        return Reason.too_long
    if max(len(src), len(tgt)) + RATIO_OFFSET > config.max_ratio * (min(len(src), len(tgt)) + RATIO_OFFSET):
        return Reason.ratio
    if config.drop_identical and src == tgt:
        return Reason.identical
    return None


def _words(text: str) -> int:
    """Counts the words of a normalised, non-empty text, where one space stands between any two."""
    return text.count(" ") + 1
