"""Results and arguments of translation, for runs and for exported folders. This module needs no torch."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from nmt.config import SearchConfig, from_hydra
from nmt.data import Tokenizer
from nmt.decoding import Candidate
from nmt.errors import UserError


@dataclass(frozen=True)
class Translation:
    """Translation of a sentence."""

    text: str
    """Text of the translation."""
    score: float
    """Log-probability after the length penalty, by which search ranks; with `kind="mbr"`, the expected utility."""
    log_prob: float
    """Natural logarithm of the probability of its pieces, eos included."""
    pieces: list[str]
    """Pieces of the translation, without eos."""
    confidence: float
    """Geometric mean of the probabilities of its pieces, eos included, which is exp(log_prob / number of them)."""
    alignment: list[tuple[int, int]] | None
    """Pairs of source and target word indices, from 0, by attention; None without attention or if not requested."""


def list_of_lines(lines: Sequence[str], name: str) -> list[str]:
    """Return sentences as a list.

    Raises:
        UserError: the argument is one text, or holds something else than texts.
    """
    if isinstance(lines, str):
        raise UserError(f"{name} is one text; give a list of texts: [{lines!r:.40}]")
    lines = list(lines)
    for line in lines:
        if not isinstance(line, str):
            raise UserError(f"{name} holds {line!r:.40}, which is not a text; give a list of texts")
    return lines


def check_lengths(lines: Sequence[str], **others: Sequence[object]) -> None:
    """Raise a UserError unless each of `others` has one item per line."""
    for name, items in others.items():
        if len(items) != len(lines):
            raise UserError(f"{name} has {len(items)} items for {len(lines)} sentences; give one per sentence")


def changed_search(search: SearchConfig, settings: Mapping[str, object]) -> SearchConfig:
    """Return search settings with some of them replaced.

    Raises:
        UserError: a setting does not exist, or its value is not allowed.
    """
    known = [field.name for field in fields(SearchConfig)]
    for name in settings:
        if name == "search":
            raise UserError('search=NAME of the command line is kind="NAME" in Python, such as kind="greedy"')
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise UserError(f"{name} is not a search setting; {hint}")
    current = {name: getattr(search, name) for name in settings}
    if settings == current and all(type(value) is type(current[name]) for name, value in settings.items()):
        return search  # the conversion below takes several milliseconds
    return from_hydra(SearchConfig, asdict(search), dict(settings), prefix="search.")


def translation_of(candidate: Candidate, tgt: Tokenizer, alignment: list[tuple[int, int]] | None) -> Translation:
    """Return a candidate with its pieces as text, its confidence and its alignment."""
    return Translation(
        text=candidate.text,
        score=candidate.score,
        log_prob=candidate.log_prob,
        pieces=[piece for part in candidate.pieces for piece in tgt.pieces(part)],
        confidence=candidate.confidence,
        alignment=alignment,
    )
