"""Verb memory by distance: German subordinate clauses end with their verbs, English ones do not."""

import hashlib
import itertools
import json
import logging
import math
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from nmt.config import CellKind, Config, ModelConfig, RecurrentDecoderConfig, RecurrentSide
from nmt.errors import UserError
from nmt.phrasebook.verbs_last import VerbsLast, parts, verbs_last
from nmt.run import identity

CLASSES = ((1, 3), (4, 6), (7, 9), (10, 13), (14, 17), (18, 24))
"""Classes of distances in words, each with its first and its last distance."""
DRAWS = 60_000
"""Maximum number of clauses drawn; a class that is not full by then is omitted."""

log = logging.getLogger(__name__)


def draw_clauses(size: int, seed: int, depth: int, exclude: Collection[str]) -> dict[tuple[int, int], list[VerbsLast]]:
    """Draw `size` clauses per class of distances, at most one per sentence.

    A class that the grammar cannot fill at this depth is omitted with a warning. The English sentences in `exclude`, on
    which a model was trained, are not drawn.

    Raises:
        UserError: no class can be filled.
    """
    classes: dict[tuple[int, int], list[VerbsLast]] = {limits: [] for limits in CLASSES}
    seen = set(exclude)
    for clause in itertools.islice(verbs_last(seed, depth), DRAWS):
        for (low, high), members in classes.items():
            if low <= clause.distance <= high and len(members) < size and clause.en not in seen:
                seen.add(clause.en)
                members.append(clause)
        if all(len(members) == size for members in classes.values()):
            return classes
    full = {limits: members for limits, members in classes.items() if len(members) == size}
    if not full:
        largest = max(len(members) for members in classes.values())
        raise UserError(
            f"phrasebook: no class of distances has {size} new sentences at depth {depth}, the largest has {largest}; "
            "lower sentences="
        )
    for (low, high), members in classes.items():
        if len(members) < size:
            log.warning("distances of %d to %d words are omitted: they have only %d clauses", low, high, len(members))
    return full


def right(clause: VerbsLast, translation: str) -> bool:
    """Return whether the translation has all verbs of the clause at the end of the same part of the sentence.

    Parts are separated by punctuation marks, as German clauses are. In a translation with a missing or an additional
    clause, the part with the same number is judged.
    """
    translated = parts(translation)
    return clause.part < len(translated) and f" {translated[clause.part].strip()}".endswith(f" {clause.verbs}")


class Accuracy(NamedTuple):
    """Accuracy with its 95 % confidence interval."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Score interval of Wilson 1927: (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96."""
        z, n, p = 1.959964, self.of, self.share
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


@dataclass(frozen=True)
class MeanAccuracy:
    """Mean accuracy of models that differ only in their seed."""

    of_seeds: tuple[Accuracy, ...]

    @property
    def share(self) -> float:
        return statistics.mean(accuracy.share for accuracy in self.of_seeds)

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of a single model; the lowest and the highest accuracy of several."""
        if len(self.of_seeds) == 1:
            return self.of_seeds[0].interval
        shares = [accuracy.share for accuracy in self.of_seeds]
        return min(shares), max(shares)


def accuracies(classes: Mapping[tuple[int, int], Sequence[VerbsLast]], translations: Sequence[str]) -> list[Accuracy]:
    """Return the accuracy per class; the translations have the order of the clauses, class by class."""
    remaining = iter(translations)
    return [
        Accuracy(sum(right(clause, next(remaining)) for clause in members), len(members))
        for members in classes.values()
    ]


def chance(classes: Mapping[tuple[int, int], Sequence[VerbsLast]]) -> list[Accuracy]:
    """Return the accuracy per class of always giving the verbs that are most frequent over all classes."""
    count = Counter(clause.verbs for members in classes.values() for clause in members)
    ((commonest, _),) = count.most_common(1)
    return [
        Accuracy(sum(clause.verbs == commonest for clause in members), len(members)) for members in classes.values()
    ]


def name_of(cell: str, attends: bool, blocks: bool = False) -> str:
    return f"{cell}{' in blocks' if blocks else ''} {'with' if attends else 'without'} attention"


def model_name(model: ModelConfig) -> str | None:
    """Return the name of a model by its cell, its blocks (`pre_norm`) and its attention; None if the cells differ."""
    encoder, decoder = model.encoder, model.decoder
    if isinstance(encoder, RecurrentSide) and isinstance(decoder, RecurrentSide) and encoder.cell == decoder.cell:
        return name_of(encoder.cell, decoder.attends, decoder.pre_norm)
    return None


@dataclass(frozen=True)
class Contestant:
    """Model to train for the comparison."""

    cell: CellKind
    attends: bool
    config: Config

    @property
    def name(self) -> str:
        return name_of(self.cell, self.attends)

    @property
    def folder(self) -> str:
        """Folder name with a digest of the configuration; paths of files do not change it."""
        settings = [identity(self.config), *(asdict(part) for part in (self.config.train, self.config.optim))]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.cell}_{'attention' if self.attends else 'none'}_{digest}"


def contestants(base: Config, cells: Sequence[CellKind]) -> list[Contestant]:
    """Return one contestant per cell and attention, without attention first."""

    def model(cell: CellKind, attends: bool) -> ModelConfig:
        decoder = base.model.decoder
        if isinstance(decoder, RecurrentDecoderConfig) and not attends:
            decoder = replace(decoder, attention=None)
        return replace(base.model, decoder=decoder).with_cell(cell)

    return [
        Contestant(cell, attends, replace(base, model=model(cell, attends)))
        for cell, attends in itertools.product(cells, (False, True))
    ]
