"""Glossary: terms of the source with the terms that a translation uses for them, from a TSV or TBX file.

A TSV file has the columns source term, target term, case, further source forms, further target forms; the last three
are optional. Forms are separated by |. The case is `exact` or `ignore`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nmt.config import user_path
from nmt.data import MAX_TEXT_BYTES, normalise, read_all
from nmt.data.words import continues_word, is_unspaced
from nmt.documents.tbx import read_tbx
from nmt.errors import UserError

MAX_TERMS = 1_000_000
"""Maximum number of terms of a file."""
COLUMNS = ("source", "target", "case", "source forms", "target forms")
WORD = re.compile(r"\w+")


class TermCase(StrEnum):
    """Comparison of a term with upper and lower case."""

    exact = "exact"
    """The same case, or a capital at the start of a sentence."""
    ignore = "ignore"
    """Any case."""


@dataclass(frozen=True)
class Term:
    """Entry of a glossary."""

    sources: tuple[str, ...]
    """Forms in the source; the first is the term."""
    targets: tuple[str, ...]
    """Forms in the target, each of which is right; the first is preferred."""
    case: TermCase
    """Comparison of the source forms, and of the target forms with a translation."""
    where: str
    """File and line, for messages."""

    def kept_form(self, translation: str) -> str | None:
        """Return the first target form that a translation has, as whole words; None if it has none."""
        return next((form for form in self.targets if find_form(translation, form, self.case)), None)


@dataclass(frozen=True)
class TermMatch:
    """Occurrence of a term in a sentence."""

    term: Term
    start: int
    end: int


class Glossary:
    """Terms, found in sentences by the first word of their forms."""

    def __init__(self, terms: Sequence[Term], name: str = "the glossary") -> None:
        """
        Args:
            terms: the terms.
            name: name of the file, for messages.

        Raises:
            UserError: two terms have a source form in common.
        """
        self.terms = list(terms)
        self.name = name
        self.by_word: dict[str, list[tuple[str, Term]]] = {}
        seen: dict[tuple[str, bool], Term] = {}
        for term in self.terms:
            for form in dict.fromkeys(term.sources):
                exact = term.case == TermCase.exact
                other = seen.setdefault((form if exact else form.casefold(), exact), term)
                if other is not term:
                    raise UserError(f"{term.where}: the source term {form!r} is in {other.where} too; keep one of them")
                self.by_word.setdefault(first_word(form), []).append((form, term))
        for entries in self.by_word.values():
            entries.sort(key=lambda entry: -len(entry[0]))

    @classmethod
    def read(cls, file: str, src: str, tgt: str) -> Glossary:
        """Read a glossary: TBX if the name ends in .tbx or .xml, otherwise TSV.

        Args:
            file: name of the file.
            src: language code of the source, for TBX.
            tgt: language code of the target.

        Raises:
            UserError: the file cannot be read or has a mistake; the message has its line.
        """
        name = f"glossary={file}"
        path = user_path(file)
        if path.suffix.lower() in (".tbx", ".xml"):
            entries = read_tbx(path, name, src, tgt)
            terms = [Term(entry.sources, entry.targets, TermCase.ignore, entry.where) for entry in entries]
        else:
            terms = list(read_tsv(path, name))
        if not terms:
            raise UserError(f"{name} has no terms; give lines of source term, tab, target term")
        return cls(terms, name)

    def find(self, sentence: str) -> list[TermMatch]:
        """Return the terms of a sentence from left to right; of overlapping ones the first, and then the longest."""
        matches: list[TermMatch] = []
        at = 0
        for start in starts(sentence):
            if start < at:
                continue
            for form, term in self.by_word.get(first_word(sentence[start:]), []):
                end = start + len(form)
                if matches_at(sentence, start, form, term.case):
                    matches.append(TermMatch(term, start, end))
                    at = end
                    break
        return matches


def starts(sentence: str) -> Iterator[int]:
    """Yield the places of a sentence where a term can begin: at words, and at signs that are not spaces."""
    for at, character in enumerate(sentence):
        if not character.isspace() and not (at and continues_word(character) and continues_word(sentence[at - 1])):
            yield at


def first_word(text: str) -> str:
    """Return the key of a form: its first word without case, or its first character in scripts without spaces."""
    match = WORD.match(text)
    if match is None or is_unspaced(text[0]):
        return text[:1].casefold()
    return match.group().casefold()


def matches_at(sentence: str, start: int, form: str, case: TermCase) -> bool:
    """Check if a form is at a place of a sentence, as whole words."""
    end = start + len(form)
    found = sentence[start:end]
    if end < len(sentence) and continues_word(form[-1]) and continues_word(sentence[end]):
        return False
    if start and continues_word(form[0]) and continues_word(sentence[start - 1]):
        return False
    if found == form:
        return True
    if case == TermCase.ignore:
        return found.casefold() == form.casefold()
    return begins_sentence(sentence, start) and found == form[:1].upper() + form[1:]


def begins_sentence(sentence: str, start: int) -> bool:
    """Check if no letter or digit is before a place."""
    return not any(map(str.isalnum, sentence[:start]))


def find_form(sentence: str, form: str, case: TermCase) -> bool:
    """Check if a sentence has a form somewhere, as whole words."""
    if case == TermCase.ignore:
        places = (match.start() for match in re.finditer(re.escape(form), sentence, re.IGNORECASE))
    else:
        places = (match.start() for match in re.finditer(re.escape(form[1:]), sentence[1:]))
    return any(matches_at(sentence, place, form, case) for place in places)


def read_tsv(path: Path, name: str) -> Iterator[Term]:
    """Yield the terms of a TSV file. Empty lines, lines that begin with # and a line of column names are left out.

    Raises:
        UserError: a line is not a term.
    """
    for number, line in enumerate(read_all(path, MAX_TEXT_BYTES), start=1):
        where = f"{name}, line {number}"
        columns = [column.strip() for column in line.split("\t")]
        if not line.strip() or line.startswith("#") or (number == 1 and is_header(columns)):
            continue
        if number > MAX_TERMS:
            raise UserError(f"{name} has more than {MAX_TERMS:,} lines; use a part of it")
        if len(columns) < 2 or not columns[0] or not columns[1]:
            raise UserError(f"{where} is not source term, tab, target term; correct the line")
        if len(columns) > len(COLUMNS):
            raise UserError(f"{where} has {len(columns)} columns; allowed: {', '.join(COLUMNS)}")
        case = columns[2] if len(columns) > 2 and columns[2] else TermCase.ignore.value
        if case not in list(TermCase):
            raise UserError(f"{where} has the case {case!r:.40}; allowed: {', '.join(TermCase)}")
        further = [columns[at].split("|") if len(columns) > at else [] for at in (3, 4)]
        sources, targets = forms([columns[0], *further[0]]), forms([columns[1], *further[1]])
        yield Term(sources, targets, TermCase(case), where)


def is_header(columns: Sequence[str]) -> bool:
    """Return whether the columns of a line are the column names."""
    return [column.casefold() for column in columns[:2]] == ["source", "target"]


def forms(texts: Iterable[str]) -> tuple[str, ...]:
    """Return normalised forms, each once, without empty ones."""
    return tuple(dict.fromkeys(text for text in map(normalise, texts) if text))
