"""Reader of TBX files (TermBase eXchange, ISO 30042): the terms of two languages in each entry.

It reads versions 2 (termEntry, langSet) and 3 (conceptEntry, langSec). The file is parsed by expat without loading a
document type or another file, and a file that declares entities is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from nmt.data import MAX_TEXT_BYTES, normalise
from nmt.errors import UserError

ENTRIES = ("termEntry", "conceptEntry")
LANGUAGES = ("langSet", "langSec")
GROUPS = ("tig", "ntig", "termSec")
REJECTED = ("deprecatedTerm", "supersededTerm", "notRecommended")
"""Beginnings of the status of terms that a translation must not use."""
MAX_DEPTH = 100


@dataclass(frozen=True)
class TbxEntry:
    """Terms of one entry in two languages."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    """Target terms, a preferred one first."""
    where: str


@dataclass
class TbxTerm:
    """Term of one language of an entry."""

    language: str
    text: str = ""
    status: str = ""


@dataclass
class TbxReader:
    """State of the parser."""

    name: str
    """Name of the file for messages."""
    path: list[str] = field(default_factory=list)
    """Names of the open elements."""
    language: str = ""
    line: int = 0
    """Line of the open entry."""
    terms: list[TbxTerm] = field(default_factory=list)
    """Terms of the open entry."""
    note: bool = False
    """True inside of a note with the status of a term."""
    entries: list[tuple[int, list[TbxTerm]]] = field(default_factory=list)
    """Line and terms of each entry."""

    def parse(self, content: bytes) -> None:
        """Read a file.

        Raises:
            UserError: it is not well-formed, declares entities, or is not TBX.
        """
        parser = expat.ParserCreate()
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.buffer_text = True

        def start(tag: str, attributes: dict[str, str]) -> None:
            """Open an element."""
            self.start(tag, attributes, parser.CurrentLineNumber)

        parser.StartElementHandler = start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.add_text
        parser.EntityDeclHandler = self.refuse_entity
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise UserError(f"{self.name}, line {error.lineno} is not well-formed XML: {reason}") from None

    def refuse_entity(self, entity: str, *details: Any) -> None:
        """Refuse the declaration of an entity."""
        raise UserError(f"{self.name} declares the entity {entity!r:.40}; remove it and write its text in place")

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None:
        """Open an element."""
        if not self.path and tag not in ("martif", "tbx", "TBX"):
            raise UserError(f"{self.name}, line {line} has the root element {tag!r:.40}; give a TBX file")
        if len(self.path) >= MAX_DEPTH:
            raise UserError(f"{self.name}, line {line} has elements nested deeper than {MAX_DEPTH}; correct the file")
        self.path.append(tag)
        if tag in ENTRIES:
            self.line, self.terms = line, []
        elif tag in LANGUAGES:
            self.language = attributes.get("xml:lang", attributes.get("lang", ""))
        elif tag in GROUPS:
            self.terms.append(TbxTerm(self.language))
        self.note = tag == "termNote" and attributes.get("type") in ("administrativeStatus", "normativeAuthorization")

    def end(self, tag: str) -> None:
        """Close an element."""
        self.path.pop()
        self.note = False
        if tag in ENTRIES:
            self.entries.append((self.line, self.terms))

    def add_text(self, text: str) -> None:
        """Add text to a term or to its status."""
        if not self.terms or not any(group in self.path for group in GROUPS):
            return
        if "term" in self.path:
            self.terms[-1].text += text
        elif self.note:
            self.terms[-1].status += text


def read_tbx(path: Path, name: str, src: str, tgt: str) -> Iterator[TbxEntry]:
    """Return the entries of a file that have terms of both languages, as an iterator.

    Args:
        path: the file.
        name: its name in messages.
        src: language code of the source. `de` is also the language of terms in `de-AT`.
        tgt: language code of the target.

    Raises:
        UserError: the file cannot be read, is not TBX, or has no entry with both languages.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); check its name and permissions") from None
    if len(content) > MAX_TEXT_BYTES:
        raise UserError(f"{name} has more than {MAX_TEXT_BYTES:,} bytes; use a part of it")
    reader = TbxReader(name)
    reader.parse(content)
    found = list(both_languages(reader, src, tgt))
    if not found:
        languages = sorted({term.language for _, terms in reader.entries for term in terms})
        raise UserError(
            f"{name} has no entry with terms in {src} and {tgt}; its languages: {', '.join(languages) or 'none'}"
        )
    return iter(found)


def both_languages(reader: TbxReader, src: str, tgt: str) -> Iterator[TbxEntry]:
    """Yield the entries with terms of both languages, without rejected target terms."""
    for line, terms in reader.entries:
        sources = [term for term in terms if same_language(term.language, src)]
        targets = [term for term in terms if same_language(term.language, tgt) and not term.status.startswith(REJECTED)]
        targets.sort(key=lambda term: not term.status.strip().startswith("preferred"))
        texts = [
            tuple(dict.fromkeys(text for term in group if (text := normalise(term.text))))
            for group in (sources, targets)
        ]
        if all(texts):
            yield TbxEntry(texts[0], texts[1], f"{reader.name}, line {line}")


def same_language(code: str, wanted: str) -> bool:
    """Check if two language codes name the same language; a region counts only where both have one."""
    first, second = (text.replace("_", "-").lower() for text in (code, wanted))
    return first == second or first.startswith(f"{second}-") or second.startswith(f"{first}-")
