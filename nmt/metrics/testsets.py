"""Test sets of sacrebleu, by name."""

import difflib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sacrebleu.dataset import DATASETS
from sacrebleu.utils import SACREBLEU_DIR

from nmt.errors import UserError


def fetch_test_set(name: str, pair: str) -> tuple[Path, list[Path]]:
    """Return the source file and the reference files of a test set of sacrebleu, downloaded if necessary.

    Args:
        name: name in sacrebleu, such as wmt14/full.
        pair: language pair, such as en-de.

    Raises:
        UserError: sacrebleu does not have this set or this language pair, or the download failed.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=5, cutoff=0.5)
        close = f"; similar names are {', '.join(near)}" if near else ""
        raise UserError(f"testset={name} is not a test set of sacrebleu{close}; `sacrebleu --list` shows all names")
    test_set = DATASETS[name]
    if pair not in test_set.langpairs:
        raise UserError(
            f"testset={name} has no {pair}; it has {', '.join(sorted(test_set.langpairs))}; "
            f"`sacrebleu --list -l {pair}` shows the sets for this pair"
        )
    folder = Path(SACREBLEU_DIR) / name
    with capture_sacrebleu_errors() as errors:
        try:
            return Path(test_set.get_source_file(pair)), [Path(path) for path in test_set.get_reference_files(pair)]
        except (Exception, SystemExit) as error:  # its readers raise exceptions of archive libraries, or exit
            cause = " ".join(errors[:2]) or getattr(error, "reason", None) or str(error) or repr(error)
    raise UserError(
        f"testset={name} cannot be downloaded from {', '.join(test_set.data or [])} ({cause}); with network access, "
        f"`sacrebleu -t {name} -l {pair} --echo src` downloads it to ~/.sacrebleu/{name}: copy that to {folder}"
    )


@contextmanager
def capture_sacrebleu_errors() -> Iterator[list[str]]:
    """Collect sacrebleu's error messages, for a single line with the remedy, and show its download messages."""
    logger = logging.getLogger("sacrebleu")
    errors: list[str] = []

    def passes(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            errors.append(record.getMessage())
        return record.levelno < logging.ERROR

    level = logger.level
    logger.addFilter(passes)
    logger.setLevel(logging.INFO)
    try:
        yield errors
    finally:
        logger.setLevel(level)
        logger.removeFilter(passes)
