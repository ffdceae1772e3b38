"""Hypotheses, candidates and special tokens: values that need no torch."""

import math
from dataclasses import dataclass, field

from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID


@dataclass(frozen=True)
class Symbols:
    """Special tokens of the target vocabulary."""

    bos_id: int
    eos_id: int
    banned: tuple[int, ...] = ()
    """Tokens that are never chosen: padding, bos, the unknown word."""
    blank: tuple[int, ...] = ()
    """Tokens that write only spaces."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation."""

    tokens: list[int]
    """Tokens without bos and eos."""
    log_prob: float
    """Sum of the log-probabilities, eos included."""
    score: float
    """Ranking score: the log-probability after length penalty and bonus; for minimum Bayes risk, expected utility."""


@dataclass(frozen=True)
class Candidate:
    """One translation of a line."""

    text: str
    """Text of the translation."""
    log_prob: float
    """Natural logarithm of its probability."""
    score: float
    """Ranking score: the log-probability after the length penalty; with `search=mbr`, the expected utility."""
    pieces: list[list[int]] = field(default_factory=list)
    """Token ids without eos, for each part of the line."""
    widths: list[dict[int, int]] = field(default_factory=list)
    """For each part of a line with replaced unknown words: the number of words of each replacement, by the index of
    the word that it replaces."""

    @property
    def confidence(self) -> float:
        """Geometric mean of the probabilities of the pieces, eos included."""
        tokens = sum(len(part) + 1 for part in self.pieces)
        return math.exp(self.log_prob / max(tokens, 1))


@dataclass(frozen=True)
class AttentionMap:
    """Attention weights of a sentence and its translation."""

    src: list[str]
    """Source pieces, eos last."""
    tgt: list[str]
    """Target pieces, eos last."""
    weights: list[list[float]]
    """Weights, one row per target piece and one column per source piece."""


SYMBOLS = Symbols(BOS_ID, EOS_ID, banned=(PAD_ID, UNK_ID, BOS_ID))
SYMBOLS_WITH_UNKNOWN = Symbols(BOS_ID, EOS_ID, banned=(PAD_ID, BOS_ID))
HYPOTHESES = 320
"""Number of hypotheses per batch unless the configuration sets one; more are hardly faster."""
