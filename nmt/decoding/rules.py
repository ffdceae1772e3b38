"""Logits processors for any search: n-gram blocking, minimum length, and a forced prefix.

B sentences, K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.decoding.hypothesis import Symbols
from nmt.decoding.phrases import Prefix, state_in_prefix
from nmt.decoding.search import LogitsProcessor


class BlockNgrams:
    """Rule that forbids repeating any n-gram within a hypothesis (Paulus et al. 2018, 2.5); eos is always allowed."""

    def __init__(self, n: int) -> None:
        """
        Args:
            n: size of the n-grams.
        """
        self.n = n

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        words = history[:, :, 1:]  # (B, K, t)
        before = words.size(2)
        if before < self.n:
            return
        ngrams = words.unfold(2, self.n, 1)  # (B, K, t - n + 1, n)
        last = words[:, :, before - self.n + 1 :].unsqueeze(2)  # (B, K, 1, n - 1): the next word makes them n
        line, rank, place = (ngrams[..., :-1] == last).all(dim=3).nonzero().unbind(1)
        log_probs[line, rank, ngrams[line, rank, place, -1]] = float("-inf")


class MinLength:
    """Rule that forbids eos before a minimum number of pieces, except at the maximum length."""

    def __init__(self, minimum: int, limits: Tensor, symbols: Symbols) -> None:
        """
        Args:
            minimum: minimum number of pieces.
            limits: maximum length of each sentence's hypotheses, (B,).
            symbols: eos, and the blank pieces, which do not count.
        """
        self.minimum = minimum
        self.limits = limits
        self.eos_id = symbols.eos_id
        self.blank = torch.tensor(symbols.blank, dtype=torch.long, device=limits.device)

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        words = history[:, :, 1:]  # (B, K, t)
        written = torch.isin(words, self.blank, invert=True).sum(dim=2)  # (B, K)
        early = (written < self.minimum) & (words.size(2) < self.limits[sentences]).unsqueeze(1)
        log_probs[:, :, self.eos_id].masked_fill_(early, float("-inf"))


class ForcedPrefix:
    """Rule that forces each sentence's prefix (Wuebker et al. 2016), even if other rules forbid its words."""

    def __init__(self, prefixes: Sequence[Prefix], others: Sequence[LogitsProcessor] = ()) -> None:
        """
        Args:
            prefixes: prefix of each sentence.
            others: rules for the words after the prefix.
        """
        self.prefixes = prefixes
        self.others = others
        self.longest = max(map(len, prefixes), default=0)
        self.words: dict[tuple[int, int], Tensor] = {}
        """Allowed next words by sentence and state."""

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        forced: list[tuple[int, int, Tensor, Tensor]] = []
        if history.size(2) <= self.longest:
            tokens = history[:, :, 1:].tolist()
            for line, sentence in enumerate(sentences.tolist()):
                for rank, written in enumerate(tokens[line]):
                    words = self.next_words(sentence, written, log_probs.device)
                    if words is not None:
                        forced.append((line, rank, words, log_probs[line, rank, words]))
        for rule in self.others:
            rule(log_probs, history, sentences)
        for line, rank, words, kept in forced:
            log_probs[line, rank] = float("-inf")
            log_probs[line, rank, words] = kept

    def next_words(self, sentence: int, written: Sequence[int], device: torch.device) -> Tensor | None:
        """Return the allowed next words, (W,); None if the prefix is complete or the hypothesis deviates from it."""
        prefix = self.prefixes[sentence]
        state = state_in_prefix(prefix, written)
        if state is None:
            return None
        if (sentence, state) not in self.words:
            self.words[sentence, state] = torch.tensor(list(prefix[state]), device=device)
        return self.words[sentence, state]
