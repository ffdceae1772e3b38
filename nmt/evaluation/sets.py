"""Evaluation sets: source lines with references."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt.config import SPLITS, DataConfig, user_path, with_described_tests
from nmt.data import (
    MAX_TEXT_BYTES,
    in_scored_form,
    is_regular,
    locate_test_set,
    named,
    normalise_characters,
    prepare,
    read_all,
    read_for_scoring,
)
from nmt.errors import UserError
from nmt.metrics import fetch_test_set
from nmt.run import RunDirectory

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
    def of_run(cls, run: RunDirectory, name: str, data: DataConfig | None = None) -> "EvaluationSet":
        """Return a held-out split of a run, or a further test set of its corpus.

        Args:
            run: run directory, which has copies of its splits.
            name: `valid`, `test`, or a name in `data.tests`.
            data: corpus with the locations of its files on this machine; None: as in the run.

        Raises:
            UserError: the set does not exist, or its files are missing or damaged.
        """
        if name in SPLITS:
            src, references = run.text(name)
            return cls(name, src, [references])
        return cls.further(data or run.config().data, name)

    @classmethod
    def of_corpus(cls, data: DataConfig, name: str) -> "EvaluationSet":
        """Return a held-out split of a corpus, which is prepared if necessary, or a further test set.

        Args:
            data: corpus.
            name: `valid`, `test`, or a name in `data.tests`.

        Raises:
            UserError: the set does not exist, or its files are missing or damaged.
        """
        if name not in SPLITS:
            return cls.further(data, name)
        prepared = prepare(data)
        if name not in prepared.held_out:
            raise UserError(f"the corpus {data.name} has no {name} set; it has: {', '.join(prepared.held_out)}")
        stem = prepared.text(name)
        return cls(name, read_all(stem.with_suffix(".src")), [read_for_scoring(stem.with_suffix(".tgt"))])

    @classmethod
    def further(cls, data: DataConfig, name: str) -> "EvaluationSet":
        """Return a further test set of a corpus by its name in `data.tests`.

        Raises:
            UserError: the set does not exist, or its files are missing or damaged.
        """
        data = with_described_tests(data)
        if name not in data.test_names:
            unknown = [path for path in (data.paths(name) if name in data.tests else []) if path not in digests(data)]
            why = f" (data.download.sha256 has no entry for {', '.join(unknown)})" * bool(unknown)
            raise UserError(
                f"the corpus {data.name} has no test set {name!r} for {data.src_lang}-{data.tgt_lang}{why}; it has: "
                f"{', '.join(data.test_names) or 'none'}. Score your own files by src=FILE ref=FILE"
            )
        pairs = list(locate_test_set(data, name).pairs(MAX_TEXT_BYTES))
        return cls(name, [src for src, _ in pairs], [in_scored_form([tgt for _, tgt in pairs], name)])

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
        for number, lines in enumerate(self.references, start=1):
            if len(self.src) != len(lines):
                ref = "ref" if len(self.references) == 1 else f"reference {number}"
                counts = f"src has {len(self.src)} lines and {ref} {len(lines)}"
                raise UserError(f"{self.name}: {counts}; give parallel files")
        if not self.src:
            raise UserError("src has no line; there is nothing to score")

    def identity(self) -> dict[str, object]:
        """Return what identifies the set: its name, labels and the digests of its lines as files."""
        src, *references = (sha256_of_lines(lines) for lines in (self.src, *self.references))
        return {"name": self.name, **self.labels, "src_sha256": src, "ref_sha256": references}


def digests(data: DataConfig) -> dict[str, str]:
    """Return the checksums of the corpus's files; empty for a corpus that is not downloaded."""
    return {} if data.download is None else data.download.sha256


def scores_name(testset: str, pair: str) -> str:
    """Return the stem of the score files for a test set of sacrebleu."""
    return f"{testset.replace('/', '_')}.{pair}"


def sha256_of_lines(lines: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
