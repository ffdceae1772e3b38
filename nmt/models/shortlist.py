"""Output layer over a part of the target vocabulary, which each sentence of a batch has for itself.

B sentences with K hypotheses each; N words per sentence at most, U words that any sentence of the batch has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.models.interface import AnyState, StepOutput, selected_sentences

BLOCK = 64
"""Divisor of N, because search looks for the best words in blocks of this width."""
S = TypeVar("S", bound=AnyState)


@dataclass(frozen=True)
class WordSubsets:
    """Target words that the hypotheses of each sentence may use."""

    words: Tensor
    """Word ids of each sentence, ascending, then 0 as padding, (B, N)."""
    penalty: Tensor | None
    """0 for words and -inf for padding, (B, 1, N); None without padding."""
    union: Tensor
    """Word ids that any sentence has, ascending, (U,)."""
    columns: Tensor
    """Index of each word in `union`, (B, N)."""
    vocabulary: int
    """Number of words in the vocabulary, V."""

    @classmethod
    def of(cls, subsets: Sequence[NDArray[np.int64]], vocabulary: int, device: torch.device) -> "WordSubsets":
        """Arrange the words of each sentence, which are ascending and begin with the special tokens 0, 1, 2 and 3."""
        union = np.unique(np.concatenate(subsets))
        width = -(-max(map(len, subsets)) // BLOCK) * BLOCK
        words = np.zeros((len(subsets), width), np.int64)
        penalty = np.full((len(subsets), 1, width), -np.inf, np.float32)
        for line, subset in enumerate(subsets):
            words[line, : len(subset)] = subset
            penalty[line, 0, : len(subset)] = 0
        padded = bool(np.isinf(penalty).any())
        return cls(
            torch.from_numpy(words).to(device),
            torch.from_numpy(penalty).to(device) if padded else None,
            torch.from_numpy(union).to(device),
            torch.from_numpy(np.searchsorted(union, words)).to(device),
            vocabulary,
        )

    def of_sentences(self, sentences: list[int]) -> "WordSubsets":
        """Return the subsets of some of the sentences."""
        penalty = None if self.penalty is None else self.penalty[sentences]
        return replace(self, words=self.words[sentences], penalty=penalty, columns=self.columns[sentences])

    def full_ids(self, places: Tensor, sentences: Tensor) -> Tensor:
        """Map places in the subsets of some sentences, (B', C), to word ids, (B', C)."""
        return self.words[sentences].gather(1, places)

    def spread(self, log_probs: Tensor, sentences: Tensor) -> Tensor:
        """Map the log-probabilities of the subsets' words, (B', K, N), to those of all words, (B', K, V).

        Words outside a sentence's subset have -inf. Padding columns have word id 0, which must have -inf itself.
        """
        full = log_probs.new_full((*log_probs.shape[:2], self.vocabulary), float("-inf"))
        return full.scatter_(2, self.words[sentences].unsqueeze(1).expand_as(log_probs), log_probs)


@dataclass(frozen=True)
class RestrictedState(Generic[S]):
    """Decoder state with the output layer of the batch's words."""

    state: S
    """State of the decoder."""
    project: Callable[[Tensor], Tensor]
    """Function from vectors (B K, E) to the logits of the batch's words, (B K, U)."""
    columns: Tensor
    """Index of the words of each sentence among the batch's words, (B, N)."""
    penalty: Tensor | None
    """0 for words and -inf for padding, (B, 1, N); None without padding."""
    rows: int
    """Number of hypotheses, B K."""

    def select(self, rows: Tensor) -> "RestrictedState[S]":
        """Return the state of the hypotheses `rows`."""
        columns, penalty = self.columns, self.penalty
        if (stay := selected_sentences(rows, len(columns), self.rows)) is not None:
            columns = columns.index_select(0, stay)
            penalty = None if penalty is None else penalty.index_select(0, stay)
        return replace(self, state=self.state.select(rows), columns=columns, penalty=penalty, rows=rows.numel())

    def log_probs(self, vectors: Tensor) -> Tensor:
        """Return the log-probabilities of each sentence's words, (B K, N), from vectors (B K, E).

        The product is one for all words of the batch. A product per sentence would have few rows and read the weights
        of every sentence in each step, which takes about as long as the product with the whole vocabulary.
        """
        sentences, words = self.columns.shape
        logits = self.project(vectors).float()  # (B K, U)
        logits = logits.view(sentences, -1, logits.size(1))
        logits = logits.gather(2, self.columns.unsqueeze(1).expand(-1, logits.size(1), -1))
        if self.penalty is not None:
            logits += self.penalty
        return logits.log_softmax(dim=2).view(-1, words)


@runtime_checkable
class RestrictedModel(Protocol):
    """Model whose search can use a part of the vocabulary."""

    def restrict(self, state: Any, subsets: WordSubsets) -> Any:
        """Return the state before the first target token for search over a part of the vocabulary."""

    def step_restricted(self, tokens: Tensor, state: Any) -> StepOutput[Any]:
        """Decode one token per hypothesis, (B K,), with log-probabilities of the sentences' words, (B K, N)."""
