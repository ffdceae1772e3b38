"""Initial weights from another run: parameters with the same name and shape, and rows of pieces that both have."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data import PairStore, Tokenizer
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import RunDirectory, load_weights
from nmt.training.freezing import names_by_parameter

SIDES = ("src", "tgt")
SIDE_NAMES = {"src": "source", "tgt": "target"}
TABLES = {
    "encoder.embedding.weight": "src",
    "encoder.embedding.pieces.weight": "src",
    "decoder.embedding.weight": "tgt",
    "output_weight": "tgt",
    "output_bias": "tgt",
}
"""Parameters with one row per piece, and the side of their vocabulary."""
Known = dict[str, Tensor | None]
"""Parameters with weights that are not random, by name. Tables with one row per piece have a mask of such rows."""
LISTED = 6
"""Number of parameter names in a log line."""

log = logging.getLogger(__name__)


@dataclass
class Transfer:
    """Parameters and pieces that a run has taken from its base."""

    step: int
    link: str
    """Checkpoint that was read: best or last."""
    taken: Known = field(default_factory=dict)
    initialised: list[str] = field(default_factory=list)
    """Parameters of the new model that keep their random values."""
    dropped: list[str] = field(default_factory=list)
    """Parameters of the base that the new model does not use."""
    pieces: dict[str, dict[str, float]] = field(default_factory=dict)
    """Counts of kept, new and dropped pieces by side, and the kept pieces' share of the training text."""

    def record(self, base: str) -> dict[str, Any]:
        """Return the facts for the run's record."""
        return {
            "run": base,
            "step": self.step,
            "checkpoint": self.link,
            "taken": list(self.taken),
            "initialised": self.initialised,
            "dropped": self.dropped,
            "pieces": self.pieces,
        }


def take_base_weights(
    path: str, model: Seq2Seq, tokenizers: Mapping[str, Tokenizer], pairs: PairStore, partial: bool
) -> Transfer:
    """Load the best weights of another run into a model, and log what was taken.

    Args:
        path: the base run.
        model: the new model, with its random initial weights.
        tokenizers: the new run's tokenizers by side.
        pairs: the new run's training set.
        partial: allow parameters that do not fit.

    Raises:
        UserError: the base is damaged, or has another model and `partial` is false.
    """
    base = RunDirectory.open(path)
    link = base.checkpoint_link("best")
    step, weights = load_weights(base.checkpoints, link, base.identity)
    log.info("initial weights: step %d of %s, its %s checkpoint", step, path, link)
    transfer = Transfer(step, link)
    base_tokenizers = base.tokenizers()
    same = all(base_tokenizers[side].model == tokenizers[side].model for side in SIDES)
    if same and not partial:
        model.load_weights(weights)
        transfer.taken = dict.fromkeys(weights)
        return transfer
    by_name, first_names = weights_by_alias(base, base_tokenizers, weights)
    rows = {side: row_sources(base_tokenizers[side], tokenizers[side]) for side in SIDES}
    initial = {name: parameter.detach() for name, parameter in model.named_parameters()}
    used = set()
    for name, names in names_by_parameter(model).items():
        candidates = ((other, by_name[other]) for other in names if other in by_name)
        fitting = next(filter(None, (fit(*candidate, initial[name], rows) for candidate in candidates)), None)
        if fitting is None:
            transfer.initialised.append(name)
            continue
        initial[name], transfer.taken[name], source = fitting
        used.add(first_names[source])
    transfer.dropped = [name for name in weights if name not in used]
    if not partial and (transfer.initialised or transfer.dropped):
        raise UserError(
            f"train.init_from={path} has another model ({listed(transfer.initialised + transfer.dropped)} differ); "
            "give the same model, or add train.init_partial=true"
        )
    model.load_weights(initial)
    transfer.pieces = {side: compare_pieces(rows[side], base_tokenizers[side].size, pairs, side) for side in SIDES}
    report(transfer, model, path)
    return transfer


def fit(
    name: str, weight: Tensor, initial: Tensor, rows: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor | None, str] | None:
    """Return the new value of a parameter, the mask of its taken rows and `name`; None if the weight does not fit.

    Args:
        name: name of the base's weight.
        weight: the base's weight.
        initial: initial value of the parameter.
        rows: `row_sources` by side.
    """
    side = TABLES.get(name)
    if side is None:
        return (weight.to(initial.device), None, name) if weight.shape == initial.shape else None
    sources = rows[side]
    if weight.shape[1:] != initial.shape[1:]:
        return None
    taken = sources >= 0
    value = initial.clone()
    value[taken] = weight[sources[taken]].to(initial)
    return value, taken, name


def weights_by_alias(
    base: RunDirectory, tokenizers: Mapping[str, Tokenizer], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a base's weights by all names of each parameter, and the first name by each name.

    Raises:
        UserError: the weights are not those of the base's model.
    """
    vocabulary = Vocabulary(tokenizers["src"].size, tokenizers["tgt"].size, tokenizers["src"].factor_sizes)
    with torch.device("meta"):
        model = build_model(base.config().model, vocabulary)
    names = names_by_parameter(model)
    if {name: parameter.shape for name, parameter in model.named_parameters()} != {
        name: weight.shape for name, weight in weights.items()
    }:
        raise UserError(f"{base.checkpoints}: the weights do not fit the model of the run; use another run")
    first_names = {name: first for first, same in names.items() for name in same}
    return {name: weights[first] for name, first in first_names.items()}, first_names


def row_sources(old: Tokenizer, new: Tokenizer) -> Tensor:
    """Return the id in the old vocabulary of each piece of the new one, -1 for pieces that the old one lacks, (V,)."""
    if old.model == new.model:  # pieces of some tokenizers read the same
        return torch.arange(new.size)
    ids = {piece: i for i, piece in enumerate(old.pieces(range(old.size)))}
    return torch.tensor([ids.get(piece, -1) for piece in new.pieces(range(new.size))])


def compare_pieces(rows: Tensor, old_size: int, pairs: PairStore, side: str) -> dict[str, float]:
    """Return the numbers of kept, new and dropped pieces, and the share of the training text that is kept pieces."""
    kept = (rows >= 0).numpy()
    return {
        "kept": int(kept.sum()),
        "new": int((~kept).sum()),
        "dropped": old_size - int(kept.sum()),
        "kept_share_of_text": running_share(kept, pairs, side),
    }


def running_share(selected: NDArray[np.bool_], pairs: PairStore, side: str) -> float:
    """Return the share of the pieces of a training text that belong to the selected part of the vocabulary, (V,)."""
    counts = getattr(pairs, side).piece_counts(len(selected))
    return float(counts[selected].sum() / max(int(counts.sum()), 1))


def report(transfer: Transfer, model: Seq2Seq, path: str) -> None:
    """Log the parameters and pieces that were taken, initialised and dropped."""
    parameters = dict(model.named_parameters())
    taken = sum(
        parameters[name].numel() if mask is None else int(mask.sum()) * parameters[name][0].numel()
        for name, mask in transfer.taken.items()
    )
    total = sum(parameter.numel() for parameter in parameters.values())
    log.info(
        "%d of %d parameters (%.2f of %.2f million values) are from %s",
        *(len(transfer.taken), len(parameters), taken / 1e6, total / 1e6, path),
    )
    if transfer.initialised:
        log.info("random initial values: %s", listed(transfer.initialised))
    if transfer.dropped:
        log.info("not used from %s: %s", path, listed(transfer.dropped))
    for side, counts in transfer.pieces.items():
        log.info(
            "%s vocabulary: %d pieces with weights of %s, which are %.1f %% of the training text; %d new pieces, "
            "%d pieces of the base dropped",
            *(SIDE_NAMES[side], counts["kept"], path, 100 * counts["kept_share_of_text"]),
            *(counts["new"], counts["dropped"]),
        )


def listed(names: list[str]) -> str:
    """Return the first names and the number of the others."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
