"""Evaluation sets: source lines with references."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt.config import user_path
from nmt.data import is_regular, named, normalise_characters, read_all, read_for_scoring
from nmt.errors import UserError
from nmt.metrics import fetch_test_set

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationSet:
    """Sentences with their reference translations."""

    name: str
    """Name of a split, of a file or of a test set of sacrebleu."""
    src: Sequence[str]
    references: Sequence[Sequence[str]]
    """One list per set of references, as long as `src`; metrics with one reference use the first."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Entries in the signatures: sacrebleu's `test` and `lang`."""

    @classmethod
    def of_files(cls, src: str, *refs: str) -> "EvaluationSet":
        """Return the set of a source file and one or several reference files.

        Raises:
            UserError: a file cannot be read.
        """
        references = [read_for_scoring(user_path(ref)) for ref in refs]
        return cls(Path(src).name if is_regular(Path(src)) else named(src), read_all(user_path(src)), references)

    @classmethod
    def of_sacrebleu(cls, name: str, pair: str) -> "EvaluationSet":
        """Return a test set by its name in sacrebleu, for a language pair such as en-de.

        Raises:
            UserError: sacrebleu does not have the test set, it cannot be downloaded, or its files are incomplete.
        """
        src, references = fetch_test_set(name, pair)
        lines = [read_all(path) for path in (src, *references)]
        if len({len(side) for side in lines}) != 1:
            raise UserError(
                f"testset={name}: its files in {src.parent} have different lengths, so some are incomplete; delete "
                "that folder, and it is downloaded again"
            )
        not_nfc = sum(normalise_characters(line) != line for side in lines[1:] for line in side)
        if not_nfc:
            log.warning("testset=%s: %d lines are not in Unicode NFC; they are scored unchanged", name, not_nfc)
        return cls(name, lines[0], lines[1:], {"test": name, "lang": pair})

    def check(self) -> None:
        """Check that the sides can be scored.

        Raises:
            UserError: the sides have different lengths or are empty.
        """
        for lines in self.references:
            if len(self.src) != len(lines):
                raise UserError(f"src has {len(self.src)} lines and ref {len(lines)}; give parallel files")
        if not self.src:
            raise UserError("src has no line; there is nothing to score")

    def identity(self) -> dict[str, object]:
        """Return what identifies the set: its name, labels and the digests of its lines as files."""
        src, *references = (sha256_of_lines(lines) for lines in (self.src, *self.references))
        return {"name": self.name, **self.labels, "src_sha256": src, "ref_sha256": references}


def scores_name(testset: str, pair: str) -> str:
    """Return the stem of the score files for a test set of sacrebleu."""
    return f"{testset.replace('/', '_')}.{pair}"


def sha256_of_lines(lines: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
