"""Tables of a run's shortlist: built from its training corpus, kept in RUN/shortlist/, and read again."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.console import progress_bar
from nmt.data import EOS_ID, Prepared, Tokenizer, normalise
from nmt.data.word_translation import MOST_PAIRS, train_translations
from nmt.decoding.shortlist import ReferenceCoverage, Shortlist, reference_coverage
from nmt.errors import UserError
from nmt.run import RunDirectory, load_tensors, prepare_corpus, save_tensors

NAME = "lexicon"
"""Stem of the files in RUN/shortlist/."""
LOW_COVERAGE = 0.98
"""Share of reference pieces below which a warning is given."""
TYPES = {
    "translations": torch.int32,
    "probabilities": torch.float32,
    "frequent": torch.int32,
    "copies": torch.int32,
}

log = logging.getLogger(__name__)


def load_shortlist(run: RunDirectory, size: int) -> Shortlist:
    """Return the tables of a run. They are built if the run has none, and a warning is given if they cover too little.

    Args:
        run: the run.
        size: number of pieces per sentence, by which the coverage of the validation set is computed.

    Raises:
        UserError: the run has no tables, and they cannot be built.
    """
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    try:
        shortlist = read_tables(run, src, tgt)
    except FileNotFoundError:
        shortlist = build_shortlist(run, src, tgt)
    except (OSError, ValueError) as error:
        log.warning("%s: the tables cannot be used (%s) and are built again", run.path / "shortlist", error)
        shortlist = build_shortlist(run, src, tgt)
    covered = validation_coverage(run, shortlist, size)
    if covered is not None and covered.tokens < LOW_COVERAGE:
        log.warning("search.shortlist=%d covers %s of the validation set; raise it, or set it to null", size, covered)
    return shortlist


def read_tables(run: RunDirectory, src: Tokenizer, tgt: Tokenizer) -> Shortlist:
    """Read the tables from the run.

    Raises:
        ValueError: the files are damaged, or are not of this run.
        OSError: a file cannot be read.
    """
    tensors, record = load_tensors(run.path / "shortlist", NAME)
    if record.get("run") != run.identity:
        raise ValueError("they are those of another run")
    if {name: tensor.dtype for name, tensor in tensors.items()} != TYPES:
        raise ValueError("the types are not those of a shortlist")
    tables = {name: tensor.numpy() for name, tensor in tensors.items()}
    translations, frequent, copies = tables["translations"], tables["frequent"], tables["copies"]
    fits = (
        translations.ndim == 2
        and translations.shape == tables["probabilities"].shape
        and copies.shape == (src.size,) == translations.shape[:1]
        and np.array_equal(np.sort(frequent), np.arange(tgt.size))
        and all(not len(ids) or (ids.min() >= 0 and ids.max() < tgt.size) for ids in (translations.ravel(), copies))
        and bool(np.isfinite(tables["probabilities"]).all())
    )
    if not fits:
        raise ValueError("the tables do not fit the vocabularies")
    return Shortlist(**tables)


def build_shortlist(run: RunDirectory, src: Tokenizer, tgt: Tokenizer, most_pairs: int = MOST_PAIRS) -> Shortlist:
    """Train a word translation model on the prepared training corpus of a run, and write its tables to the run.

    Args:
        run: the run.
        src: its source tokenizer.
        tgt: its target tokenizer.
        most_pairs: number of sentence pairs to read, spread evenly over the corpus.

    Raises:
        UserError: the corpus is not there, or gives another vocabulary.
    """
    shortlist, pairs = make_tables(corpus_of(run, src, tgt), src, tgt, most_pairs)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(getattr(shortlist, name))) for name in TYPES}
    record: dict[str, Any] = {"run": run.identity, "pairs": pairs}
    try:
        save_tensors(run.folder("shortlist"), NAME, tensors, record)
        log.info("wrote the tables of %d pairs to %s", pairs, run.path / "shortlist")
    except OSError as error:
        log.warning(
            "%s: the tables cannot be kept (%s), so that the next command builds them again",
            run.path / "shortlist",
            error.strerror or error,
        )
    return shortlist


def make_tables(
    prepared: Prepared, src: Tokenizer, tgt: Tokenizer, most_pairs: int = MOST_PAIRS
) -> tuple[Shortlist, int]:
    """Train a word translation model on a prepared corpus; return the tables and the number of pairs that were read."""
    with progress_bar() as bar:
        task = bar.add_task("building the shortlist, in %", total=100)
        store = prepared.store("train")
        model = train_translations(store, src.size, tgt.size, most_pairs, lambda share: bar.advance(task, 100 * share))
        counts = store.tgt.piece_counts(tgt.size)
    frequent = np.argsort(-counts, kind="stable").astype(np.int32)
    return Shortlist(model.ids, model.probabilities, frequent, same_pieces(src, tgt)), model.pairs


def corpus_of(run: RunDirectory, src: Tokenizer, tgt: Tokenizer) -> Prepared:
    """Return the prepared corpus of a run.

    Raises:
        UserError: the corpus is not there, or gives another vocabulary.
    """
    try:
        prepared = prepare_corpus(run.config(), run)
    except UserError as error:
        raise UserError(
            f"search.shortlist needs the training corpus of {run.path} once, and it cannot be read: {error}. Build the "
            f"tables where the corpus is with scripts/shortlist.py run=RUN and copy RUN/shortlist/, or set "
            "search.shortlist=null"
        ) from None
    if (prepared.tokenizer("src").identity, prepared.tokenizer("tgt").model) != (src.identity, tgt.model):
        raise UserError(
            f"search.shortlist: the corpus of {run.path} as it is now gives another vocabulary than the run has; "
            "restore the files that the run was trained on, or set search.shortlist=null"
        )
    return prepared


def same_pieces(src: Tokenizer, tgt: Tokenizer) -> NDArray[np.int32]:
    """Return the target piece with the text of each source piece, (V_src,); 0 where there is none."""
    ids = {piece: i for i, piece in enumerate(tgt.pieces(range(tgt.size))) if i > EOS_ID}
    return np.array([ids.get(piece, 0) for piece in src.pieces(range(src.size))], np.int32)


def coverage_of_texts(
    shortlist: Shortlist, src: Tokenizer, tgt: Tokenizer, texts: tuple[Sequence[str], Sequence[str]], size: int
) -> ReferenceCoverage:
    """Compute the coverage of references, given with their sources as lines of text."""
    sources, references = (
        tokenizer.encode([normalise(line) for line in lines])
        for tokenizer, lines in zip((src, tgt), texts, strict=True)
    )
    return reference_coverage(shortlist, sources, references, size)


def validation_coverage(run: RunDirectory, shortlist: Shortlist, size: int) -> ReferenceCoverage | None:
    """Compute the coverage of a run's validation set; None if the run has none."""
    if not run.has_split("valid"):
        return None
    return coverage_of_texts(shortlist, run.tokenizer("src"), run.tokenizer("tgt"), run.text("valid"), size)
