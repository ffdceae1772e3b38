"""Exported folder on disk: graphs, tokenizers, settings, model card and checksums.

encoder.onnx  decoder.onnx     encoder, and one step of the decoder
src.model  tgt.model           tokenizers in their formats; src.form.json if source lines have tags
settings.json  README.md       settings, and the model card
SHA256SUMS                     checksums of all other files, as `sha256sum -c` reads them
"""

import os
import re
from pathlib import Path

from nmt.data import Tokenizer, load_tokenizer, read_json, sha256_of
from nmt.errors import UserError
from nmt.export.settings import ExportSettings

ENCODER, DECODER, SETTINGS, CARD, SUMS = "encoder.onnx", "decoder.onnx", "settings.json", "README.md", "SHA256SUMS"
REQUIRED = (ENCODER, DECODER, SETTINGS, CARD, "src.model", "tgt.model")
OPTIONAL = ("src.form.json",)
MAX_SUMS_BYTES = 1 << 16
MAX_GRAPH_BYTES = (1 << 31) - 1
"""Largest size of a graph in the format, 2 GB."""
EXTERNAL = b"location"
"""Key under which a graph names another file with its weights. The graphs of an export never contain this word."""
LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")
REMEDY = "export the run again, or copy the folder again"


def is_export(path: Path) -> bool:
    """Return whether a folder is an exported one and not a run."""
    return (path / SUMS).is_file() and (path / SETTINGS).is_file() and not (path / "run.json").exists()


class ExportedFolder:
    """An exported folder whose checksums were verified."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: the folder.

        Raises:
            UserError: the folder is damaged, incomplete, of another version, or has other files.
        """
        self.path = path
        verify(path)
        try:
            self.settings = ExportSettings.from_json(read_json(path / SETTINGS))
        except UserError as error:
            raise UserError(f"{path} {error}") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UserError(f"{path / SETTINGS} is damaged; {REMEDY}") from None

    def __repr__(self) -> str:
        return f"ExportedFolder({str(self.path)!r})"

    def graph(self, name: str) -> bytes:
        """Return a graph.

        Raises:
            UserError: the file is too large, or names other files.
        """
        file = self.path / name
        if file.stat().st_size > MAX_GRAPH_BYTES:
            raise UserError(f"{file} has more than {MAX_GRAPH_BYTES:,} bytes; {REMEDY}")
        content = file.read_bytes()
        if EXTERNAL in content:
            raise UserError(f"{file} names other files with its weights, which this program does not read; {REMEDY}")
        return content

    def tokenizer(self, side: str) -> Tokenizer:
        """Return the tokenizer of a side.

        Raises:
            UserError: it is damaged, or does not have the size of the model's vocabulary.
        """
        tokenizer = load_tokenizer(self.path, side)
        size = self.settings.src_size if side == "src" else self.settings.tgt_size
        if tokenizer.size != size or tokenizer.factor_sizes:
            raise UserError(f"{self.path}: the tokenizer {side} does not fit {SETTINGS}; {REMEDY}")
        return tokenizer


def verify(path: Path) -> None:
    """Compare the files of a folder with its checksums.

    Raises:
        UserError: a file is missing, damaged, a link, or not listed.
    """
    sums = path / SUMS
    try:
        with sums.open("rb") as file:
            text = file.read(MAX_SUMS_BYTES + 1).decode("ascii")
        matches = [LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
        listed = {match[2]: match[1] for match in matches if match is not None}
        if len(text) > MAX_SUMS_BYTES or len(listed) != len(matches):
            raise ValueError
    except (OSError, ValueError):
        raise UserError(f"{sums} is damaged; {REMEDY}") from None
    present = sorted(os.listdir(path))
    strange = [name for name in present if name != SUMS and name not in (*REQUIRED, *OPTIONAL)]
    strange += [name for name in present if not (path / name).is_file() or (path / name).is_symlink()]
    if strange:
        raise UserError(f"{path / strange[0]} is not a file of an export; remove it")
    if missing := [name for name in REQUIRED if name not in present or name not in listed]:
        raise UserError(f"{path} has no {missing[0]}; {REMEDY}")
    if unlisted := [name for name in present if name != SUMS and name not in listed]:
        raise UserError(f"{path / unlisted[0]} is not in {SUMS}; remove it")
    for name, digest in listed.items():
        if name not in present or sha256_of(path / name) != digest:
            raise UserError(f"{path / name} was changed or is damaged (its checksum is wrong); {REMEDY}")


def write_sums(folder: Path) -> None:
    """Write the checksums of all files of a folder."""
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="ascii")
