"""Initial weights of a new run: random, from another run, and from files of pretrained embeddings."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nmt.config import Config, EmbeddingFileConfig, EmbeddingLookup, user_path
from nmt.console import progress_bar
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, PairStore, Prepared, Tokenizer, VectorFile, sha256_of
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import RunDirectory
from nmt.training.freezing import frozen_names, names_by_parameter
from nmt.training.transfer import SIDE_NAMES, SIDES, Transfer, running_share, take_base_weights

SPECIALS = (PAD_ID, UNK_ID, BOS_ID, EOS_ID)
WORD_BOUNDARY = "▁"
MODULES = {"src": "encoder.embedding", "tgt": "decoder.embedding"}
"""Names of the embedding tables in a model."""

log = logging.getLogger(__name__)


def check_initial_weights(config: Config) -> None:
    """Check what the model's initial weights and frozen parts are chosen by, before the corpus is prepared.

    Raises:
        UserError: a file of vectors cannot be used, or `train.freeze` selects nothing or everything.
    """
    with torch.device("meta"):
        model = build_model(config.model, Vocabulary(8, 8, PAD_ID, BOS_ID))
    frozen_names(model, config.train.freeze)
    files = {side: chosen for side in SIDES if (chosen := embedding_config(config, side)).file is not None}
    for side, chosen in files.items():
        open_vectors(chosen, side, embedding_table(model, side).size(1))
    if len(files) == len(SIDES) and embedding_table(model, "src") is embedding_table(model, "tgt"):
        raise UserError(
            "train.pretrained_embeddings.src and tgt both set the one table of model.tying=three_way; "
            "give one of them, or model.tying=two_way"
        )


def load_initial_weights(config: Config, run: RunDirectory, prepared: Prepared, model: Seq2Seq) -> None:
    """Load the weights of `train.init_from` and the pretrained embeddings, log what was taken, and record it.

    Raises:
        UserError: a run or a file cannot be used.
    """
    train, pairs, tokenizers = config.train, prepared.store("train"), run.tokenizers()
    facts: dict[str, Any] = {}
    transfer = None
    if train.init_from is not None:
        transfer = take_base_weights(train.init_from, model, tokenizers, pairs, train.init_partial)
        facts["base"] = transfer.record(train.init_from)
    for side in SIDES:
        embeddings = embedding_config(config, side)
        if embeddings.file is not None:
            facts[f"{side}_embeddings"] = load_embeddings(embeddings, side, model, tokenizers[side], pairs, transfer)
    if facts:
        run.add_initial_weights(facts)


def load_embeddings(
    config: EmbeddingFileConfig,
    side: str,
    model: Seq2Seq,
    tokenizer: Tokenizer,
    pairs: PairStore,
    transfer: Transfer | None,
) -> dict[str, Any]:
    """Replace random initial embeddings of a side by the vectors of a file; rows from a base run stay.

    All vectors are multiplied by one factor that makes the mean square of their lengths one, as that of the random
    rows is.

    Returns:
        the facts for the run's record.

    Raises:
        UserError: the file cannot be used, or has no vector that would be used.
    """
    key, table = f"train.pretrained_embeddings.{side}", embedding_table(model, side)
    vectors = open_vectors(config, side, table.size(1))
    found = read_rows(vectors, wanted_rows(tokenizer, config.lookup), f"reading {SIDE_NAMES[side]} embeddings")
    if not found:
        other = next(lookup for lookup in EmbeddingLookup if lookup != config.lookup)
        raise UserError(f"{key}.file={config.file} has no vector of any piece; try {key}.lookup={other}")
    free = rows_to_fill(model, side, found, transfer)
    if not free:
        raise UserError(
            f"{key}.file={config.file} would change nothing, because all its pieces have weights of "
            "train.init_from; leave one of the two out"
        )
    scale = (len(free) / sum(float(found[row] @ found[row]) for row in free)) ** 0.5
    with torch.no_grad():
        values = np.stack([found[row] for row in free])
        table[free] = torch.from_numpy(values).to(table) * scale
    covered = np.zeros(tokenizer.size, dtype=bool)
    covered[list(found)] = True
    facts = {
        "file": str(user_path(str(config.file)).absolute()),
        "sha256": sha256_of(vectors.path),
        "format": vectors.format,
        "lookup": config.lookup.value,
        "scale": scale,
        "pieces": len(found),
        "pieces_set": len(free),
        "share_of_vocabulary": len(found) / max(tokenizer.size - len(SPECIALS), 1),
        "share_of_text": running_share(covered, pairs, side),
    }
    log.info(
        "%s embeddings: %s (%s, width %d) has vectors of %d pieces, which are %.1f %% of the vocabulary and %.1f %% of "
        "the training text; %d embeddings are set, scaled by %.3g",
        *(SIDE_NAMES[side], config.file, vectors.format, vectors.width, len(found), 100 * facts["share_of_vocabulary"]),
        *(100 * facts["share_of_text"], len(free), scale),
    )
    return facts


def open_vectors(config: EmbeddingFileConfig, side: str, width: int) -> VectorFile:
    """Open a side's file of vectors.

    Raises:
        UserError: the file cannot be read, or its vectors do not have the width of the embeddings.
    """
    vectors = VectorFile.open(user_path(str(config.file)))
    if vectors.width != width:
        raise UserError(
            f"train.pretrained_embeddings.{side}.file={config.file} has vectors of width {vectors.width}, but the "
            f"{SIDE_NAMES[side]} embeddings have {width}; set model.embed_size={vectors.width}, or give another file"
        )
    return vectors


def wanted_rows(tokenizer: Tokenizer, lookup: EmbeddingLookup) -> dict[bytes, list[int]]:
    """Return the ids of the pieces that each entry of a file belongs to; special symbols have none."""
    wanted: dict[bytes, list[int]] = {}
    for row, piece in enumerate(tokenizer.pieces(range(tokenizer.size))):
        entry = piece.removeprefix(WORD_BOUNDARY) if lookup == EmbeddingLookup.word else piece
        if entry and row not in SPECIALS:
            wanted.setdefault(entry.encode(), []).append(row)
    return wanted


def read_rows(
    vectors: VectorFile, wanted: Mapping[bytes, list[int]], description: str
) -> dict[int, NDArray[np.float32]]:
    """Return the vectors of the wanted rows; of repeated entries the first one counts."""
    found: dict[int, NDArray[np.float32]] = {}
    with progress_bar() as progress:
        task = progress.add_task(description, total=vectors.path.stat().st_size)
        for word, vector in vectors.read(wanted, lambda size: progress.advance(task, size)):
            for row in wanted[word]:
                found.setdefault(row, vector)
    return found


def rows_to_fill(
    model: Seq2Seq, side: str, found: Mapping[int, NDArray[np.float32]], transfer: Transfer | None
) -> list[int]:
    """Return the rows whose vectors are used: not zero, and not taken from a base run."""
    rows = [row for row, vector in found.items() if vector.any()]
    if transfer is None:
        return rows
    name = next(first for first, names in names_by_parameter(model).items() if f"{MODULES[side]}.weight" in names)
    if name not in transfer.taken:
        return rows
    taken = transfer.taken[name]
    return [] if taken is None else [row for row in rows if not taken[row]]


def embedding_config(config: Config, side: str) -> EmbeddingFileConfig:
    """Return the pretrained embeddings of a side."""
    chosen: EmbeddingFileConfig = getattr(config.train.pretrained_embeddings, side)
    return chosen


def embedding_table(model: nn.Module, side: str) -> nn.Parameter:
    """Return the embeddings of a side, (V, E)."""
    return model.get_parameter(f"{MODULES[side]}.weight")
