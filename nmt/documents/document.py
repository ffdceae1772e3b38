"""Translation of a document: format, sentences, progress, resumption and the output file."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nmt.config import DocumentFormat, user_path
from nmt.console import counted, progress_bar
from nmt.data import MAX_TEXT_BYTES, STANDARD, decode_whole, locked, named
from nmt.documents.formats import PARSERS
from nmt.documents.inline import Segment
from nmt.documents.journal import Journal, digest_of
from nmt.documents.parsed import DividedDocument, LanguagePair
from nmt.errors import UserError

GROUP = 128
"""Number of sentences that are translated together and written to the journal together."""
Escape = Callable[[str], str]
TranslateSegments = Callable[[Sequence[Segment], Escape], Sequence[str]]
"""Function that translates sentences with markup. It applies the escape function to the text outside of markup."""

log = logging.getLogger(__name__)


def parse_document(text: str, kind: DocumentFormat, languages: LanguagePair, name: str) -> DividedDocument:
    """Divide a document into sentences.

    Args:
        text: the document.
        kind: its format.
        languages: languages of the translation.
        name: name of the document in messages.

    Raises:
        UserError: the document is not of this format, or is not safe to read.
    """
    try:
        return DividedDocument(PARSERS[kind](text, languages), languages.src)
    except RecursionError:
        raise UserError(f"{name}: its elements are nested too deeply; divide the document") from None
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def read_document(source: Path) -> str:
    """Return the text of a document, with its byte order mark and line ends.

    Raises:
        UserError: it cannot be read, is too large or is not UTF-8.
    """
    name = named(source)
    try:
        data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if name != str(source) else read_bytes(source)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); check its name and permissions") from None
    if len(data) > MAX_TEXT_BYTES:
        raise UserError(f"{name}: has more than {MAX_TEXT_BYTES:,} bytes, too many for a document; divide it")
    return decode_whole(data, source)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, up to one more than a document can have."""
    with open(path, "rb") as file:
        return file.read(MAX_TEXT_BYTES + 1)


def translate_groups(
    translate: TranslateSegments, document: DividedDocument, done: Sequence[str] = ()
) -> Iterator[list[str]]:
    """Yield the translations of the sentences behind those that are done, in groups."""
    segments, escapes = document.segments, document.escapes
    for start in range(len(done), len(segments), GROUP):
        group = range(start, min(start + GROUP, len(segments)))
        results: dict[int, str] = {}
        for escape in dict.fromkeys(escapes[number] for number in group):
            numbers = [number for number in group if escapes[number] is escape]
            found = translate([segments[number] for number in numbers], escape)
            results.update(zip(numbers, found, strict=True))
        yield [results[number] for number in group]


def translate_document(
    translate: TranslateSegments,
    source: Path,
    output: str | None,
    kind: DocumentFormat,
    languages: LanguagePair,
    settings: str,
) -> None:
    """Translate a document with a progress bar, and write it when it is complete.

    Finished sentences are kept in the journal `OUTPUT.part`, and the same command continues with the rest. Standard
    output, pipes and devices have no journal.

    Args:
        translate: function that translates sentences.
        source: the document.
        output: output file; None: standard output.
        kind: format of the document.
        languages: languages of the translation.
        settings: digest of everything else that the translations depend on.

    Raises:
        UserError: the document cannot be read, is not of this format, or has changed since a translation was begun.
    """
    text = read_document(source)
    name = named(source)
    document = parse_document(text, kind, languages, name)
    total = len(document.segments)
    if kept := document.document.translated:
        log.info("%s: kept the translations of %s", name, counted(kept, "segment"))
    target = None if output in (None, STANDARD) else user_path(output or "")
    if target is not None and target.is_dir():
        raise UserError(f"output={output} is a folder; name a file in it")
    if target is None or (target.exists() and not target.is_file()):
        found: list[str] = []
        with progress_bar() as bar:
            task = bar.add_task("sentences", total=total)
            for group in translate_groups(translate, document):
                found += group
                bar.advance(task, len(group))
        write_bytes(target, document.join(found).encode())
        return
    key = digest_of(settings, kind, *languages)
    with opened_journal(target, name, digest_of(text), key, total) as journal:
        if journal.translations:
            done, number = f"{len(journal.translations):,}", counted(total, "sentence")
            log.info("%s: %s of %s finished already", journal.path, done, number)
        with progress_bar() as bar:
            task = bar.add_task("sentences", total=total, completed=len(journal.translations))
            for group in translate_groups(translate, document, journal.translations):
                journal.add(group)
                bar.advance(task, len(group))
        write_atomically(target, document.join(journal.translations).encode())


@contextmanager
def opened_journal(target: Path, source: str, document: str, settings: str, total: int) -> Iterator[Journal]:
    """Open the journal of an output file, which no other process translates into at the same time."""
    path = target.with_name(f"{target.name}.part")
    lock = target.with_name(f"{target.name}.lock")
    if not target.parent.is_dir():
        raise UserError(f"{target}: the folder {target.parent} does not exist; create it or choose another")
    with locked(lock, busy=f"another process translates into {target}"):
        journal = Journal(path, source, document, settings, total)
        complete = False
        try:
            yield journal
            complete = True
        finally:
            journal.close(complete)
            lock.unlink(missing_ok=True)


def write_bytes(target: Path | None, data: bytes) -> None:
    """Write a document to standard output, a pipe or a device."""
    if target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    with open(target, "wb") as file:
        file.write(data)


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file under another name, and rename it when it is complete."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"{target}: {error.strerror}; the journal is kept, and the same command writes it") from None
