"""Test sets by the names that sacrebleu gives them."""

import difflib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sacrebleu.dataset import DATASETS
from sacrebleu.utils import SACREBLEU_DIR

from nmt.errors import UserError


def fetch_test_set(name: str, pair: str) -> tuple[Path, list[Path]]:
    """The file of source lines and those of the references, from sacrebleu's cache or downloaded into it.

    Args:
        name: as sacrebleu has it, such as wmt14/full.
        pair: languages, such as en-de.

    Raises:
        UserError: sacrebleu has no such set, the set has no such pair, or it cannot be downloaded.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=5, cutoff=0.5)
        close = f"; close to it are {', '.join(near)}" if near else ""
        raise UserError(f"testset={name} is no test set of sacrebleu{close}; `sacrebleu --list` names them all")
    known = DATASETS[name]
    if pair not in known.langpairs:
        raise UserError(
            f"testset={name} has no {pair}; it has {', '.join(sorted(known.langpairs))}; "
            f"`sacrebleu --list -l {pair}` names the sets that do"
        )
    folder = Path(SACREBLEU_DIR) / name
    with complaints_of_sacrebleu() as complaints:
        try:
            return Path(known.get_source_file(pair)), [Path(path) for path in known.get_reference_files(pair)]
        except (Exception, SystemExit) as error:  # its readers raise what the archive's library does, or leave
            cause = " ".join(complaints[:2]) or getattr(error, "reason", None) or str(error) or repr(error)
    raise UserError(
        f"testset={name} cannot be had from {', '.join(known.data or [])} ({cause}); where there is a network, "
        f"`sacrebleu -t {name} -l {pair} --echo src` fetches it into ~/.sacrebleu/{name}: copy that to {folder}"
    )


@contextmanager
def complaints_of_sacrebleu() -> Iterator[list[str]]:
    """Collects sacrebleu's errors, which belong in one line with the remedy, and shows what it is downloading."""
    logger = logging.getLogger("sacrebleu")
    complaints: list[str] = []

    def passes(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            complaints.append(record.getMessage())
        return record.levelno < logging.ERROR

    level = logger.level
    logger.addFilter(passes)
    logger.setLevel(logging.INFO)
    try:
        yield complaints
    finally:
        logger.setLevel(level)
        logger.removeFilter(passes)
