"""Corrections of translations by users: a file to which corrections are only appended, and its reader.

The file has one JSON object per line, with the keys of `Correction`. A file that ends in `.tsv` is read too: source,
correction and, optionally, the model's translation, separated by tabs. Its first line can have the column names.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nmt.data.preprocessing.cleaning import normalise
from nmt.data.preprocessing.locking import locked
from nmt.data.text_files import read_lines
from nmt.errors import UserError

MAX_CORRECTIONS_BYTES = 1 << 24
"""Maximum size of a file of corrections: about a hundred thousand of them."""
MAX_CORRECTION_CHARACTERS = 5000
"""Maximum number of characters of each text of a correction."""
REQUIRED = ("source", "correction")
TSV = ".tsv"
HEADERS = (["source", "correction"], ["source", "target"])
"""First two column names of a table, in lower case."""


@dataclass(frozen=True)
class Correction:
    """Translation of a sentence that a user has corrected."""

    source: str
    """Source sentence."""
    correction: str
    """Wanted translation."""
    translation: str = ""
    """Translation by the model."""
    src_lang: str = ""
    """Language code of the source; empty: that of the run that learns from the correction."""
    tgt_lang: str = ""
    """Language code of the target; empty: that of the run."""


KEYS = tuple(field.name for field in fields(Correction))


def append_correction(path: Path, correction: Correction) -> None:
    """Append a correction to a file, which is created if it does not exist.

    A lock beside the file keeps the lines of several processes apart. If the line cannot be written completely, as on
    a full disk, the file is cut back to its old size.

    Raises:
        UserError: a text is empty or too long, or the file cannot be written or is full.
    """
    correction = checked({key: value for key, value in asdict(correction).items() if value}, "the correction")
    content = {key: value for key, value in asdict(correction).items() if value}
    line = (json.dumps(content, ensure_ascii=False) + "\n").encode(errors="replace")
    check_new_corrections(path)
    try:
        with locked(path.with_name(f"{path.name}.lock")), path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # a user's editor left the last line without its end
                    line = b"\n" + line
            if size + len(line) > MAX_CORRECTIONS_BYTES:
                raise UserError(
                    f"{path} has reached {MAX_CORRECTIONS_BYTES:,} bytes; learn from it, then name a new file"
                )
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}; check its folder and permissions") from None


def check_new_corrections(path: Path) -> None:
    """Check that corrections can be appended to a file, which does not have to exist yet.

    Raises:
        UserError: the name is that of a table, of a folder or device, or its folder does not exist.
    """
    if path.suffix == TSV:
        raise UserError(f"corrections={path}: corrections are saved as JSON lines; name a file that ends in .jsonl")
    if path.exists() and not path.is_file():
        raise UserError(f"corrections={path} is not a file; name a file, which is created if it does not exist")
    if not path.parent.is_dir():
        raise UserError(f"corrections={path}: the folder {path.parent} does not exist; create it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"corrections={path} cannot be written; check its permissions, or name another file")


def read_corrections(path: Path) -> list[tuple[int, Correction]]:
    """Return the corrections of a file in their order, each with the number of its line.

    Empty lines and the column names in the first line of a table are skipped.

    Raises:
        UserError: the file cannot be read or has no corrections, or a line is not a correction.
    """
    read = from_tsv if path.suffix == TSV else from_json
    lines = [(number, line) for number, line in enumerate(read_lines(path, MAX_CORRECTIONS_BYTES), 1) if line.strip()]
    if path.suffix == TSV and lines and lines[0][0] == 1 and names_columns(lines[0][1]):
        del lines[0]
    found = [(number, read(line, f"{path}: line {number}")) for number, line in lines]
    if not found:
        raise UserError(f"{path} has no corrections; save some at the prompt or on the page with corrections={path}")
    return found


def from_json(line: str, place: str) -> Correction:
    """Return the correction of a line of JSON; `place` names the line in errors.

    Raises:
        UserError: the line is not a JSON object of texts, has an unknown key, or lacks one.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f'{place} is not a JSON object; write {{"source": "...", "correction": "..."}}')
    return checked(content, place)


def names_columns(line: str) -> bool:
    """Return whether a line of a table has the column names."""
    return [column.strip().casefold() for column in line.split("\t")][:2] in HEADERS


def from_tsv(line: str, place: str) -> Correction:
    """Return the correction of a line of a table; `place` names the line in errors.

    Raises:
        UserError: the line does not have two or three columns, or a text is empty.
    """
    columns = line.split("\t")
    if len(columns) not in (2, 3):
        raise UserError(f"{place} has {len(columns)} columns; write source, correction and the model's translation")
    return checked(dict(zip(KEYS, columns, strict=False)), place)


def checked(content: dict[str, Any], place: str) -> Correction:
    """Return a correction in normal form; `place` names it in errors.

    Raises:
        UserError: a key is unknown or missing, or a value is not a text, is empty or is too long.
    """
    for key, value in content.items():
        if key not in KEYS:
            raise UserError(f"{place} has the key {key!r:.80}; allowed: {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise UserError(f"{place}: {key} is {json.dumps(value)[:80]}; write a text in quotation marks")
        if len(value) > MAX_CORRECTION_CHARACTERS:
            raise UserError(
                f"{place}: {key} has {len(value):,} characters; at most {MAX_CORRECTION_CHARACTERS:,} are allowed"
            )
    texts = {key: normalise(value) for key, value in content.items()}
    for key in REQUIRED:
        if not texts.get(key):
            raise UserError(f"{place}: {key} is {'empty' if key in texts else 'missing'}; write the sentence there")
    return Correction(**texts)


def latest(corrections: Iterable[tuple[int, Correction]]) -> list[tuple[int, Correction]]:
    """Return the last correction of each sentence and direction, in the order of the first ones."""
    found: dict[Sequence[str], tuple[int, Correction]] = {}
    for number, each in corrections:
        found[each.source, each.src_lang, each.tgt_lang] = (number, each)
    return list(found.values())
