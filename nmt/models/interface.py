"""Interface between decoders, whole models and search, and what all implementations share.

B sentences with K hypotheses each; K is 1 in training. T target positions.
"""

from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.models.layers.recurrent import LayerState

S = TypeVar("S")


class AnyState(Protocol):
    """Decoder state: everything that the next step needs."""

    def select(self, rows: Tensor) -> Self:
        """Return the state of other hypotheses.

        Args:
            rows: indices of the B K rows, (B', K'); each line holds K' hypotheses of one sentence.
        """


WORDS_EXPONENT = 0.25
"""Exponent of the scale E^exponent of the embeddings that the lexicon reads. It can differ from the encoder's own."""


class Encoded(NamedTuple):
    """Output of an encoder for a batch of source sentences."""

    memory: Tensor
    """Vectors that the decoder attends to, (S, B, M); undefined on padding."""
    words: Tensor
    """Source embeddings with the scale of `WORDS_EXPONENT`, after dropout, in source order, (S, B, E); used by the
    lexicon."""
    state: LayerState | None = None
    """Final state of the top recurrent layer with both directions concatenated, as the bridge reads it: h, and c of an
    LSTM; each (B, H). None for an encoder without recurrence."""
    values: Tensor | None = None
    """Values that the attention sums, (S, B, M), where they differ from the memory, which then has the keys."""

    @property
    def summed(self) -> Tensor:
        """Values that the attention sums, (S, B, M)."""
        return self.memory if self.values is None else self.values


class DecoderOutput(NamedTuple, Generic[S]):
    """Result of one decoder step."""

    vectors: Tensor
    """Input of the output projection, (B K, E)."""
    state: S
    """State after the step."""
    attention: Tensor | None = None
    """Attention weights over the source, (B, K, S); None without attention."""


class StepOutput(NamedTuple, Generic[S]):
    """Result of one step of a whole model."""

    log_probs: Tensor
    """Log-probabilities of the next tokens in float32, (B K, V)."""
    state: S
    """State after the step."""
    attention: Tensor | None = None
    """Attention weights over the source, (B, K, S); None without attention."""


class AnyEncoder(Protocol):
    """Encoder of source tokens."""

    embedding_exponent: float
    """Exponent of the scale of the embeddings that it reads; `Embedding` gives the reason."""
    memory_size: int
    """Width M of the memory."""
    state_size: int | None
    """Width of the final state; None for an encoder without recurrence."""
    bound: float
    """Largest magnitude in the memory; infinite if there is no bound."""

    def __call__(self, src: Tensor, mask: Tensor) -> Encoded:
        """Encode token ids with their mask, both (S, B) and padded on the left."""


class AnyDecoder(Protocol):
    """Decoder with two equivalent methods: a whole sequence for training, one step for search."""

    embedding_exponent: float
    """Exponent of the scale of the embeddings that it reads."""
    memory_size: int
    """Width in which it attends to the memory."""
    vector_bound: float
    """Largest magnitude of the vectors for the output projection; infinite if there is no bound."""

    def start(self, encoded: Encoded, mask: Tensor) -> Any:
        """Return the state before the first target token, from the encoder's output and the source mask (S, B)."""

    def __call__(self, tgt_in: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
        """Map target tokens (T, B) to vectors (T, B, E) and attention weights (B, T, S), None without attention."""

    def step(self, tokens: Tensor, state: Any) -> DecoderOutput[Any]:
        """Decode one token per hypothesis, (B K,)."""


def selected_sentences(rows: Tensor, sentences: int, hypotheses: int) -> Tensor | None:
    """Return the sentence of each line of `rows`, (B',), or None if all sentences stay in place.

    None is the common case in search: hypotheses are reordered within their sentences, and the tensors of the source
    need not be copied.

    Args:
        rows: indices of the B K rows, (B', K').
        sentences: B.
        hypotheses: B K.
    """
    selected = rows[:, 0] * sentences // hypotheses
    if torch.equal(selected, torch.arange(sentences, device=rows.device)):
        return None
    return selected


def fold_hypotheses(x: Tensor, sentences: int) -> Tensor:
    """Reshape (T, B K, ...) to (B, T K, ...): positions and hypotheses of a sentence are all queries to its source."""
    steps, rows, *features = x.shape
    return x.view(steps, sentences, rows // sentences, *features).transpose(0, 1).flatten(1, 2)


def unfold_hypotheses(x: Tensor, steps: int) -> Tensor:
    """Reshape (B, T K, ...) to (T, B K, ...), the inverse of `fold_hypotheses`; T is `steps`."""
    sentences, queries, *features = x.shape
    return x.view(sentences, steps, queries // steps, *features).transpose(0, 1).flatten(1, 2)
