"""How long a model remembers what verb is still to come: German clauses end with it, English ones do not."""

import hashlib
import itertools
import json
import logging
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from nmt.config import Cell, Config, ModelConfig
from nmt.errors import UserError
from nmt.phrasebook.verbs_last import VerbsLast, parts, verbs_last
from nmt.run import identity

CLASSES = ((1, 3), (4, 6), (7, 9), (10, 13), (14, 17), (18, 24))
"""Distances, in words, that are counted together: the first and the last of each."""
DRAWS = 60_000
"""Clauses looked at; a class that they do not fill is left out."""

log = logging.getLogger(__name__)


def draw_clauses(size: int, seed: int, depth: int, exclude: Collection[str]) -> dict[tuple[int, int], list[VerbsLast]]:
    """So many clauses of each class that the grammar fills at this depth, each of another sentence.

    Args:
        size: of a class.
        seed: of the sentences.
        depth: of the nesting.
        exclude: English sentences that a model was trained on.

    Raises:
        UserError: it fills none.
    """
    found: dict[tuple[int, int], list[VerbsLast]] = {limits: [] for limits in CLASSES}
    seen = set(exclude)
    for clause in itertools.islice(verbs_last(seed, depth), DRAWS):
        for (low, high), members in found.items():
            if low <= clause.distance <= high and len(members) < size and clause.en not in seen:
                seen.add(clause.en)
                members.append(clause)
        if all(len(members) == size for members in found.values()):
            return found
    full = {limits: members for limits, members in found.items() if len(members) == size}
    if not full:
        most = max(len(members) for members in found.values())
        raise UserError(
            f"phrasebook: no distance has {size} new sentences at depth {depth}, the most are {most}; lower sentences="
        )
    for (low, high), members in found.items():
        if len(members) < size:
            log.warning("verbs that wait %d to %d words are left out: only %d were found", low, high, len(members))
    return full


def right(clause: VerbsLast, translation: str) -> bool:
    """Whether the translation has the clause's verbs, all of them, at the end of the same part of the sentence.

    Parts stand between punctuation marks, as all German clauses do. So a translation that lost or added a clause is
    judged by what stands where the verbs should.
    """
    found = parts(translation)
    return clause.part < len(found) and f" {found[clause.part].strip()}".endswith(f" {clause.verbs}")


class Accuracy(NamedTuple):
    """A share, with its 95 % interval."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 1927: (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96."""
        z, n, p = 1.959964, self.of, self.share
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def accuracies(classes: Mapping[tuple[int, int], Sequence[VerbsLast]], translations: Sequence[str]) -> list[Accuracy]:
    """Of each class; the translations are those of its clauses, one class after the other."""
    remaining = iter(translations)
    return [
        Accuracy(sum(right(clause, next(remaining)) for clause in members), len(members))
        for members in classes.values()
    ]


def chance(classes: Mapping[tuple[int, int], Sequence[VerbsLast]]) -> list[Accuracy]:
    """Of who always says the verbs that are the commonest in all classes together."""
    count = Counter(clause.verbs for members in classes.values() for clause in members)
    ((commonest, _),) = count.most_common(1)
    return [
        Accuracy(sum(clause.verbs == commonest for clause in members), len(members)) for members in classes.values()
    ]


@dataclass(frozen=True)
class Contestant:
    """A model to be trained."""

    cell: Cell
    attends: bool
    config: Config

    @property
    def name(self) -> str:
        return f"{self.cell} {'with' if self.attends else 'without'} attention"

    @property
    def folder(self) -> str:
        """Another for every configuration, wherever its files are."""
        settings = [identity(self.config), *(asdict(part) for part in (self.config.train, self.config.optim))]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.cell}_{'attention' if self.attends else 'none'}_{digest}"


def contestants(base: Config, cells: Sequence[Cell]) -> list[Contestant]:
    """Each cell without and with attention."""

    def model(cell: Cell, attends: bool) -> ModelConfig:
        return replace(base.model, cell=cell, attention=base.model.attention if attends else None)

    return [
        Contestant(cell, attends, replace(base, model=model(cell, attends)))
        for cell, attends in itertools.product(cells, (False, True))
    ]
