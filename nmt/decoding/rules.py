"""What forbids words in any search: n-grams that were there before, and a prefix that must come first.

B sentences, K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nmt.decoding.search import LogitsProcessor, Symbols

Prefix = Sequence[Mapping[int, int]]
"""An automaton: in each state the words that may come next, and the state after each, a later one. It begins in state
0; behind the last state anything may come."""


class BlockNgrams:
    """No hypothesis has the same n tokens in a row twice (Paulus et al. 2018, 2.5). It may always end."""

    def __init__(self, n: int) -> None:
        """
        Args:
            n: how many tokens in a row.
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
    """A hypothesis does not end before it has written a number of pieces, unless it has reached its greatest length."""

    def __init__(self, least: int, limits: Tensor, symbols: Symbols) -> None:
        """
        Args:
            least: number of pieces.
            limits: the greatest length of each sentence's hypotheses, (B,).
            symbols: the end, and the pieces that do not count.
        """
        self.least = least
        self.limits = limits
        self.eos_id = symbols.eos_id
        self.blank = torch.tensor(symbols.blank, dtype=torch.long, device=limits.device)

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        words = history[:, :, 1:]  # (B, K, t)
        written = torch.isin(words, self.blank, invert=True).sum(dim=2)  # (B, K)
        early = (written < self.least) & (words.size(2) < self.limits[sentences]).unsqueeze(1)
        log_probs[:, :, self.eos_id].masked_fill_(early, float("-inf"))


class ForcedPrefix:
    """A hypothesis begins as its sentence's prefix says (Wuebker et al. 2016), whatever other rules forbid."""

    def __init__(self, prefixes: Sequence[Prefix], others: Sequence[LogitsProcessor] = ()) -> None:
        """
        Args:
            prefixes: of each sentence.
            others: rules for what is behind the prefix.
        """
        self.prefixes = prefixes
        self.others = others
        self.longest = max(map(len, prefixes), default=0)
        self.words: dict[tuple[int, int], Tensor] = {}
        """What may come next, by sentence and state."""

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        given: list[tuple[int, int, Tensor, Tensor]] = []
        if history.size(2) <= self.longest:
            tokens = history[:, :, 1:].tolist()
            for line, sentence in enumerate(sentences.tolist()):
                for rank, written in enumerate(tokens[line]):
                    words = self.next_words(sentence, written, log_probs.device)
                    if words is not None:
                        given.append((line, rank, words, log_probs[line, rank, words]))
        for rule in self.others:
            rule(log_probs, history, sentences)
        for line, rank, words, own in given:
            log_probs[line, rank] = float("-inf")
            log_probs[line, rank, words] = own

    def next_words(self, sentence: int, written: Sequence[int], device: torch.device) -> Tensor | None:
        """The words that may come next, (W,); None where the prefix is written, or the hypothesis is not alive."""
        prefix, state = self.prefixes[sentence], 0
        for word in written:
            if state == len(prefix) or word not in prefix[state]:
                return None
            state = prefix[state][word]
        if state == len(prefix):
            return None
        if (sentence, state) not in self.words:
            self.words[sentence, state] = torch.tensor(list(prefix[state]), device=device)
        return self.words[sentence, state]
