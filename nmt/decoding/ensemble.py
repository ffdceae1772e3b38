"""Several models that decode as one."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nmt.config import Precision


class TranslationModel(Protocol):
    """What the translator asks of a model. Its states have `select`, as the search wants it."""

    @property
    def training(self) -> bool: ...

    @property
    def precision(self) -> Precision: ...

    def lower_precision(self, precision: Precision) -> None: ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def encode(self, src: Tensor, src_mask: Tensor) -> Any:
        """Source ids and mask, (S, B), padded on the left, to the state before the first target token."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Last tokens (B K,) and state to log-probabilities of the next, (B K, V) in float32, and the next state."""

    def step_with_attention(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any, Tensor | None]:
        """`step`, and the attention's weights (B, K, S) in that step; None for a model without attention."""

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """The attention's weights (B, T, S) while the given target is read; None for a model without attention."""


@dataclass
class EnsembleState:
    """The members' states side by side."""

    members: list[Any]

    def select(self, rows: Tensor) -> "EnsembleState":
        return EnsembleState([state.select(rows) for state in self.members])


class Ensemble:
    """The mean of the members' probabilities at each step (Sutskever et al. 2014; Jean et al. 2015).

    The members may be of any architecture, but share the vocabularies.
    """

    def __init__(self, members: Sequence[TranslationModel]) -> None:
        self.members = list(members)

    @property
    def training(self) -> bool:
        return self.members[0].training

    @property
    def precision(self) -> Precision:
        return self.members[0].precision

    def lower_precision(self, precision: Precision) -> None:
        for member in self.members:
            member.lower_precision(precision)

    def train(self, mode: bool = True) -> None:
        for member in self.members:
            member.train(mode)

    def eval(self) -> None:
        self.train(False)

    def parameters(self) -> Iterator[nn.Parameter]:
        return itertools.chain.from_iterable(member.parameters() for member in self.members)

    def encode(self, src: Tensor, src_mask: Tensor) -> EnsembleState:
        return EnsembleState([member.encode(src, src_mask) for member in self.members])

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """log p(w) = log (1/M sum_m p_m(w)), computed from logarithms."""
        answers = [member.step(tokens, own) for member, own in zip(self.members, state.members, strict=True)]
        return mean_log_probs([log_probs for log_probs, _ in answers]), EnsembleState([own for _, own in answers])

    def step_with_attention(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState, Tensor | None]:
        """`step`, and the weights' mean over the members that have attention."""
        members = zip(self.members, state.members, strict=True)
        log_probs, states, weights = zip(
            *(member.step_with_attention(tokens, own) for member, own in members), strict=True
        )
        return mean_log_probs(log_probs), EnsembleState(list(states)), mean_weights(weights)

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """The mean over the members that have attention."""
        return mean_weights([member.attention(src, src_mask, tgt_in) for member in self.members])


def mean_log_probs(members: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(members)).logsumexp(dim=0) - math.log(len(members))


def mean_weights(members: Sequence[Tensor | None]) -> Tensor | None:
    found = [weights for weights in members if weights is not None]
    return torch.stack(found).mean(dim=0) if found else None
