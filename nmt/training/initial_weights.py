"""Initial weights of a new run: random, from another run, and from files of pretrained embeddings."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nmt.config import Config, EmbeddingFileConfig, EmbeddingLookup, InitVocabulary, user_path
from nmt.console import progress_bar
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, PairStore, Prepared, Tokenizer, VectorFile, sha256_of
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.embedding import FactoredEmbedding
from nmt.run import RunDirectory
from nmt.training.freezing import frozen_names
from nmt.training.transfer import SIDE_NAMES, SIDES, Known, listed, running_share, take_base_weights

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
        model = build_model(config.model, Vocabulary(8, 8, (2,) * len(config.data.factors)))
    frozen_names(model, config.train.freeze)
    files = {side: chosen for side in SIDES if (chosen := embedding_config(config, side)).file is not None}
    for side, chosen in files.items():
        open_vectors(chosen, side, embedding_table(model, side).size(1))
    if len(files) == len(SIDES) and embedding_table(model, "src") is embedding_table(model, "tgt"):
        raise UserError(
            "train.pretrained_embeddings.src and tgt both set the one table of model.tying=three_way; "
            "give one of them, or model.tying=two_way"
        )
    train = config.train
    if files and train.init_from and train.init_vocabulary == InitVocabulary.base and not train.init_partial:
        raise UserError(
            f"train.pretrained_embeddings would change nothing, because all pieces have weights of "
            f"train.init_from={train.init_from}; leave it out, or add train.init_vocabulary=extend or corpus"
        )


def check_embeddings(config: Config, prepared: Prepared) -> None:
    """Read the files of pretrained embeddings once, so that damaged ones are refused before a run is created.

    Raises:
        UserError: a file is damaged, or has no vector of any piece.
    """
    for side in SIDES:
        if (chosen := embedding_config(config, side)).file is not None:
            find_vectors(chosen, side, open_vectors(chosen, side), prepared.tokenizer(side))


def load_initial_weights(config: Config, run: RunDirectory, prepared: Prepared, model: Seq2Seq) -> None:
    """Load the weights of `train.init_from` and the pretrained embeddings, log what was taken, and record it.

    Raises:
        UserError: a run or a file cannot be used.
    """
    train, pairs, tokenizers = config.train, prepared.store("train"), run.tokenizers()
    facts: dict[str, Any] = {}
    known: Known = {}
    if train.init_from is not None:
        transfer = take_base_weights(train.init_from, model, tokenizers, pairs, train.init_partial)
        facts["base"], known = transfer.record(train.init_from), transfer.taken
    for side in SIDES:
        embeddings = embedding_config(config, side)
        if embeddings.file is not None:
            facts[f"{side}_embeddings"] = load_embeddings(embeddings, side, model, tokenizers[side], pairs, known)
    if facts:
        warn_of_frozen_noise(model, train.freeze, known)
        run.add_initial_weights(facts)


def warn_of_frozen_noise(model: Seq2Seq, parts: Sequence[str], known: Known) -> None:
    """Warn of parameters, or rows of them, that are random and will not be trained."""
    noise = []
    for name in frozen_names(model, parts):
        if name not in known:
            noise.append(name)
        elif (mask := known[name]) is not None and not mask.all():
            noise.append(f"{int((~mask).sum())} of {len(mask)} rows of {name}")
    if noise:
        log.warning("random initial values are frozen (train.freeze): %s", listed(noise))


def load_embeddings(
    config: EmbeddingFileConfig,
    side: str,
    model: Seq2Seq,
    tokenizer: Tokenizer,
    pairs: PairStore,
    known: Known,
) -> dict[str, Any]:
    """Replace random initial embeddings of a side by the vectors of a file; rows in `known` stay, new ones are added.

    All vectors are multiplied by one factor that makes the mean square of their lengths one, as that of the random
    rows is.

    Returns:
        the facts for the run's record.

    Raises:
        UserError: the file cannot be used, or has no vector that would be used.
    """
    key, table = f"train.pretrained_embeddings.{side}", embedding_table(model, side)
    vectors = open_vectors(config, side, table.size(1))
    vectors_by_id = find_vectors(config, side, vectors, tokenizer)
    name = next(name for name, parameter in model.named_parameters() if parameter is table)
    mask = known.get(name, torch.zeros(len(table), dtype=torch.bool))
    free = [] if mask is None else [row for row in vectors_by_id if not mask[row]]
    if mask is None or not free:
        raise UserError(
            f"{key}.file={config.file} would change nothing, because all its pieces have weights of "
            "train.init_from; leave it out"
        )
    scale = (len(free) / sum(float(np.square(vectors_by_id[row], dtype=np.float64).sum()) for row in free)) ** 0.5
    with torch.no_grad():
        values = np.stack([vectors_by_id[row] for row in free])
        table[free] = torch.from_numpy(values).to(table) * scale
    known[name] = mask.index_fill(0, torch.tensor(free), True)
    covered = np.zeros(tokenizer.size, dtype=bool)
    covered[list(vectors_by_id)] = True
    facts = {
        "file": str(user_path(str(config.file)).absolute()),
        "sha256": sha256_of(vectors.path),
        "format": vectors.format,
        "lookup": config.lookup.value,
        "scale": scale,
        "pieces": len(vectors_by_id),
        "pieces_set": len(free),
        "share_of_vocabulary": len(vectors_by_id) / max(tokenizer.size - len(SPECIALS), 1),
        "share_of_text": running_share(covered, pairs, side),
    }
    log.info(
        "%s embeddings: %s (%s, width %d) has vectors of %d pieces, which are %.1f %% of the vocabulary and %.1f %% of "
        "the training text; %d embeddings are set, scaled by %.3g",
        *(
            SIDE_NAMES[side],
            config.file,
            vectors.format,
            vectors.width,
            len(vectors_by_id),
            100 * facts["share_of_vocabulary"],
        ),
        *(100 * facts["share_of_text"], len(free), scale),
    )
    return facts


def open_vectors(config: EmbeddingFileConfig, side: str, width: int | None = None) -> VectorFile:
    """Open a side's file of vectors.

    Raises:
        UserError: the file cannot be read, or its vectors do not have the given width of the embeddings.
    """
    vectors = VectorFile.open(user_path(str(config.file)))
    if width not in (None, vectors.width):
        raise UserError(
            f"train.pretrained_embeddings.{side}.file={config.file} has vectors of width {vectors.width}, but the "
            f"{SIDE_NAMES[side]} embeddings have {width}; set model.embed_size={vectors.width}, or give another file"
        )
    return vectors


def find_vectors(
    config: EmbeddingFileConfig, side: str, vectors: VectorFile, tokenizer: Tokenizer
) -> dict[int, NDArray[np.float32]]:
    """Return the vectors of a side's pieces by id. Of repeated entries the first one counts; zeros are left out.

    Raises:
        UserError: the file is damaged, or has no vector of any piece.
    """
    wanted = wanted_rows(tokenizer, config.lookup)
    vectors_by_id: dict[int, NDArray[np.float32]] = {}
    with progress_bar() as progress:
        task = progress.add_task(f"reading {SIDE_NAMES[side]} embeddings", total=vectors.path.stat().st_size)
        for word, vector in vectors.read(wanted, lambda size: progress.advance(task, size)):
            for row in wanted[word] if vector.any() else ():
                vectors_by_id.setdefault(row, vector)
    if not vectors_by_id:
        other = next(lookup for lookup in EmbeddingLookup if lookup != config.lookup)
        key = f"train.pretrained_embeddings.{side}"
        raise UserError(f"{key}.file={config.file} has no vector of any piece; try {key}.lookup={other}")
    return vectors_by_id


def wanted_rows(tokenizer: Tokenizer, lookup: EmbeddingLookup) -> dict[bytes, list[int]]:
    """Return the ids of the pieces that each entry of a file belongs to; special symbols have none."""
    wanted: dict[bytes, list[int]] = {}
    for row, piece in enumerate(tokenizer.pieces(range(tokenizer.size))):
        entry = piece.removeprefix(WORD_BOUNDARY) if lookup == EmbeddingLookup.word else piece
        if entry and row not in SPECIALS:
            wanted.setdefault(entry.encode(), []).append(row)
    return wanted


def embedding_config(config: Config, side: str) -> EmbeddingFileConfig:
    """Return the pretrained embeddings of a side."""
    chosen: EmbeddingFileConfig = getattr(config.train.pretrained_embeddings, side)
    return chosen


def embedding_table(model: nn.Module, side: str) -> nn.Parameter:
    """Return the embeddings of the pieces of a side, (V, E)."""
    embedding = model.get_submodule(MODULES[side])
    pieces = embedding.pieces if isinstance(embedding, FactoredEmbedding) else embedding
    return pieces.get_parameter("weight")
