"""Shortlist of target pieces per sentence: likely translations of its pieces, and frequent pieces.

Jean et al. 2015 (3.2) restrict the softmax of each sentence to such a list. The choice depends on the sentence alone,
so that a translation does not depend on the other sentences of its batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nmt.data import EOS_ID
from nmt.decoding.target_constraints import TargetConstraints

FREQUENT_SHARE = 0.5
"""Share of a shortlist that is filled with the most frequent pieces before translations are added."""
MOST_CHOICES = 64
"""Number of pieces added for a place of a prefix that more pieces than this can fill than a shortlist has."""
Pieces = NDArray[np.int64]


@dataclass(frozen=True)
class Shortlist:
    """Tables of a run from which the shortlist of each sentence is chosen."""

    translations: NDArray[np.int32]
    """Likely translations of each source piece, (V_src, M); 0 is padding."""
    probabilities: NDArray[np.float32]
    """Probability t(f|e) of each translation given the source piece, (V_src, M)."""
    frequent: NDArray[np.int32]
    """All target pieces, the most frequent one in the training corpus first, (V,)."""
    copies: NDArray[np.int32]
    """Target piece with the same text as each source piece, (V_src,); 0 where there is none."""

    @property
    def src_size(self) -> int:
        """Number of source pieces."""
        return len(self.copies)

    def pieces(self, source: Sequence[int], size: int, required: Iterable[int] = ()) -> Pieces:
        """Return the target pieces of a sentence, ascending.

        They are, until there are `size` of them: the special tokens; pieces with the same text as a source piece, such
        as those of names; the most frequent pieces, up to a share; the likeliest translations, by their expected number
        sum_s t(f|s) over the distinct source pieces s; further frequent pieces. The first three kinds are never cut.

        Args:
            source: ids of the sentence, which may have factors.
            size: number of pieces; all pieces if the vocabulary has fewer.
            required: further pieces, which are added in any case.
        """
        src = np.unique(np.asarray(source, np.int64) % self.src_size)
        chosen = np.zeros(len(self.frequent), np.bool_)
        chosen[: EOS_ID + 1] = True
        chosen[self.copies[src]] = True
        chosen[self.frequent[: int(FREQUENT_SHARE * size)]] = True
        expected = np.bincount(self.translations[src].ravel(), self.probabilities[src].ravel(), len(self.frequent))
        expected[chosen] = 0
        likely = np.flatnonzero(expected)
        ranked = likely[np.argsort(-expected[likely], kind="stable")]
        chosen[ranked[: max(0, size - int(chosen.sum()))]] = True
        further = self.frequent[:size]
        further = further[~chosen[further]]
        chosen[further[: max(0, size - int(chosen.sum()))]] = True
        chosen[np.fromiter(required, np.int64)] = True
        return np.flatnonzero(chosen)

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Rank of each target piece by frequency, from 0, (V,)."""
        return np.argsort(self.frequent)

    def required(self, constraints: TargetConstraints, size: int) -> Iterator[int]:
        """Yield the pieces that prefix and phrases of a sentence need.

        At a place of the prefix where more than `size` pieces are allowed, such as any piece that begins a word, the
        most frequent of these are enough.
        """
        yield from constraints.phrases.words
        for choices in constraints.prefix:
            if len(choices) <= size:
                yield from choices
            else:
                yield from sorted(choices, key=lambda piece: int(self.ranks[piece]))[:MOST_CHOICES]


@dataclass(frozen=True)
class ReferenceCoverage:
    """Share of the references that the shortlists of their sources can write."""

    tokens: float
    """Share of the pieces of the references that are in the shortlist of their sentence."""
    sentences: float
    """Share of the sentences of which all pieces are in the shortlist."""

    def __str__(self) -> str:
        return f"{self.tokens:.2%} of the reference pieces, {self.sentences:.1%} of the sentences completely"


def reference_coverage(
    shortlist: Shortlist, sources: Sequence[Sequence[int]], references: Sequence[Sequence[int]], size: int
) -> ReferenceCoverage:
    """Compute the share of reference pieces and of whole sentences in the shortlists, eos not counted.

    Args:
        shortlist: the tables.
        sources: ids of the sentences.
        references: ids of their references.
        size: number of pieces per sentence.
    """
    pieces = covered = whole = 0
    for source, reference in zip(sources, references, strict=True):
        inside = int(np.isin(np.asarray(reference, np.int64), shortlist.pieces(source, size)).sum())
        pieces += len(reference)
        covered += inside
        whole += inside == len(reference)
    return ReferenceCoverage(covered / max(1, pieces), whole / max(1, len(sources)))
