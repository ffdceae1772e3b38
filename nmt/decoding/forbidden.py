"""Phrases that a hypothesis must not contain, in any segmentation into pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # constraints are built without torch
    from torch import Tensor


@dataclass(frozen=True)
class ForbiddenPhrase:
    """Phrase that must not be completed."""

    completions: Mapping[str, tuple[int, ...]]
    """For each beginning of the phrase, the pieces that complete it."""


class ForbidPhrases:
    """Rule that removes the pieces that would complete a forbidden phrase."""

    def __init__(self, phrases: Sequence[Sequence[ForbiddenPhrase]], spellings: Sequence[str]) -> None:
        """
        Args:
            phrases: forbidden phrases of each sentence.
            spellings: text of each piece, with ▁ for a space.
        """
        self.phrases = phrases
        self.spellings = spellings

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        tokens = history[:, :, 1:].tolist()
        for line, sentence in enumerate(sentences.tolist()):
            for rank, written in enumerate(tokens[line] if self.phrases[sentence] else ()):
                text = "▁" + "".join(self.spellings[piece] for piece in written)
                for phrase in self.phrases[sentence]:
                    for beginning, last in phrase.completions.items():
                        if text.endswith(beginning):
                            log_probs[line, rank, list(last)] = float("-inf")
