"""Journal of finished sentences, by which a translation that was stopped continues.

It is the file `OUTPUT.part`: a line of JSON about the document and the settings, then a line per group of sentences. It
is deleted when the output is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nmt.errors import UserError

if TYPE_CHECKING:  # documents are translated by exported models without torch
    from nmt.decoding import TranslationModel

FORMAT = 1


def digest_of(*parts: object) -> str:
    """Return the SHA-256 of some values in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode(errors="surrogatepass")).hexdigest()


def digest_weights(model: TranslationModel) -> str:
    """Return the SHA-256 of a model's weights in hexadecimal."""
    digest = hashlib.sha256()
    for weights in model.parameters():
        digest.update(weights.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Journal:
    """Translations of the first sentences of a document, on disk."""

    def __init__(self, path: Path, source: str, document: str, settings: str, sentences: int) -> None:
        """Open the journal, or create it.

        Args:
            path: file of the journal.
            source: name of the document, for messages.
            document: digest of the document.
            settings: digest of everything that the translations depend on.
            sentences: number of sentences of the document.

        Raises:
            UserError: the journal is of another version of the document, or of other settings, or is damaged.
        """
        self.path = path
        self.sentences = sentences
        self.header = {"format": FORMAT, "document": document, "settings": settings, "sentences": sentences}
        self.translations: list[str] = []
        """Translations of the sentences that are finished, in order."""
        size = self.read(source) if path.exists() else 0
        try:
            self.file: BinaryIO = open(path, "r+b" if size else "wb")  # noqa: SIM115 (closed by `close`)
            self.file.truncate(size)
            self.file.seek(size)
            if not size:
                self.write(self.header)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; check the path and its permissions") from None

    def read(self, source: str) -> int:
        """Read the finished sentences, and return the number of bytes up to the last complete line."""
        data = self.path.read_bytes()
        complete = data[: data.rfind(b"\n") + 1]
        if not complete and encoded(self.header).startswith(data):
            return 0  # killed before its first line was complete
        first, *lines = complete.split(b"\n")[:-1] or [b""]
        restart = f"delete {self.path} to translate {source} from its beginning"
        try:
            header = json.loads(first)
            if header.keys() != self.header.keys() or header["format"] != FORMAT:
                raise ValueError
        except (ValueError, AttributeError):
            raise UserError(f"{self.path} is not a journal of a translation; {restart}") from None
        if header["document"] != self.header["document"]:
            raise UserError(
                f"{source} has changed since its translation was begun; {restart}, or put the old file back"
            )
        if header != self.header:
            raise UserError(
                f"the translation of {source} was begun with another run, checkpoint or settings; {restart}, or give "
                "the same settings"
            )
        size = len(first) + 1
        for line in lines:
            try:
                texts = json.loads(line)
                if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                    raise ValueError
            except ValueError:
                break
            self.translations += texts
            size += len(line) + 1
        if len(self.translations) > self.sentences:
            raise UserError(f"{self.path} is damaged: it has more sentences than {source}; {restart}")
        return size

    def add(self, translations: Sequence[str]) -> None:
        """Append finished sentences, and flush them to the disk."""
        self.write(list(translations))
        self.translations += translations

    def write(self, value: Any) -> None:
        """Append a line."""
        self.file.write(encoded(value))
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self, complete: bool) -> None:
        """Close the journal, and delete it if the output is complete or no sentence is finished."""
        self.file.close()
        if complete or not self.translations:
            self.path.unlink(missing_ok=True)


def encoded(value: Any) -> bytes:
    """Return a value as a line of the journal."""
    return json.dumps(value, ensure_ascii=True).encode() + b"\n"
