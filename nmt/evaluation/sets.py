"""What a system is scored on."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt.config import path_of
from nmt.data import is_regular, named, normalise_characters, read_all, read_scored
from nmt.errors import UserError
from nmt.metrics import fetch_test_set

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationSet:
    """Sentences with their reference translations."""

    name: str
    """A split, a file, or sacrebleu's name of a test set."""
    src: Sequence[str]
    references: Sequence[Sequence[str]]
    """Lists as long as `src`; the first one counts where a metric takes one alone."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What signatures say of it: sacrebleu's `test` and `lang`."""

    @classmethod
    def of_files(cls, src: str, *refs: str) -> "EvaluationSet":
        """Return the set of a source text and one or several texts of references.

        Raises:
            UserError: a text cannot be read.
        """
        references = [read_scored(path_of(ref)) for ref in refs]
        return cls(Path(src).name if is_regular(Path(src)) else named(src), read_all(path_of(src)), references)

    @classmethod
    def of_sacrebleu(cls, name: str, pair: str) -> "EvaluationSet":
        """A test set by its name in sacrebleu, for a pair of languages such as en-de.

        Raises:
            UserError: there is none, it cannot be downloaded, or its files are not whole.
        """
        src, references = fetch_test_set(name, pair)
        lines = [read_all(path) for path in (src, *references)]
        if len({len(side) for side in lines}) != 1:
            raise UserError(
                f"testset={name}: its files in {src.parent} are of different length, some of them cut off; delete that "
                "folder, and it is fetched again"
            )
        other = sum(normalise_characters(line) != line for side in lines[1:] for line in side)
        if other:
            log.warning(
                "testset=%s: %d lines are not in Unicode NFC; they are scored as sacrebleu has them", name, other
            )
        return cls(name, lines[0], lines[1:], {"test": name, "lang": pair})

    def check(self) -> None:
        """
        Raises:
            UserError: the sides are of different length, or empty.
        """
        for lines in self.references:
            if len(self.src) != len(lines):
                raise UserError(f"src has {len(self.src)} lines and ref {len(lines)}; give parallel files")
        if not self.src:
            raise UserError("src has no line; there is nothing to score")

    def identity(self) -> dict[str, object]:
        """What tells it from every other; digests are those of files of these lines."""
        src, *references = (sha256_of_lines(lines) for lines in (self.src, *self.references))
        return {"name": self.name, **self.labels, "src_sha256": src, "ref_sha256": references}


def scores_name(testset: str, pair: str) -> str:
    """Return the name under which a run keeps its scores of a test set of sacrebleu."""
    return f"{testset.replace('/', '_')}.{pair}"


def sha256_of_lines(lines: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
