"""What the rest of the code asks of a decoder, whatever its kind. B sentences, K hypotheses each."""

from typing import Any, Protocol, Self

from torch import Tensor


class AnyState(Protocol):
    """All that a next step needs."""

    def select(self, rows: Tensor) -> Self:
        """The state of other hypotheses: `rows` (B', K') index the B K rows, K' of one sentence in each line."""


class AnyDecoder(Protocol):
    """A whole sequence at once for training, one step at a time for search; a test holds them equal."""

    def start(self, encoded: Any, mask: Tensor) -> Any:
        """The state before the first target token, from the encoder's output; `mask` is the source's, (S, B)."""

    def __call__(self, tgt_in: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
        """Target tokens (T, B) to vectors (T, B, E) and the weights (B, T, S) of an attention to draw, if any."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Tokens (B K,) to vectors (B K, E) and the next state."""

    def step_with_weights(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any, Tensor | None]:
        """`step`, and the attention's weights (B, K, S) as `__call__` has them."""
