"""How the model is asked for a translation."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number


class SearchKind(StrEnum):
    greedy = "greedy"
    beam = "beam"


class LengthPenalty(StrEnum):
    none = "none"
    average = "average"
    gnmt = "gnmt"


@dataclass
class SearchConfig:
    """Greedy or beam search."""

    kind: SearchKind = SearchKind.beam
    beam_size: int = 5
    """Hypotheses kept at each step."""
    length_penalty: LengthPenalty = LengthPenalty.average
    """A hypothesis' log-probability is divided by 1, length^alpha, or ((5 + length) / 6)^alpha (Wu et al. 2016, 7)."""
    alpha: float = 1.0
    """Strength of the length penalty; 0 is no penalty."""
    n_best: int = 1
    """Hypotheses returned for a sentence, best first."""
    max_length_ratio: float = 2.0
    """A hypothesis ends after this times the source length ..."""
    max_length_offset: int = 10
    """... plus this many pieces."""
    batch_size: int | None = None
    """Sentences searched at once; null: as many as make 320 hypotheses."""

    @property
    def width(self) -> int:
        """Hypotheses kept for a sentence."""
        return self.beam_size if self.kind == SearchKind.beam else 1

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "beam_size", 1, 1000)
        yield from number(self, "alpha", 0, 10)
        yield from number(self, "max_length_ratio", 0, 100)
        yield from number(self, "max_length_offset", 1, 10_000)
        yield from number(self, "batch_size", 1)
        if not 1 <= self.n_best <= self.width:
            yield "n_best", f"is {self.n_best}; allowed: from 1 to {self.width}, what the search keeps"
