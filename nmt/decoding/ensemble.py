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
        log_probs = torch.stack([log_probs for log_probs, _ in answers]).logsumexp(dim=0) - math.log(len(answers))
        return log_probs, EnsembleState([own for _, own in answers])

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """The mean over the members that have attention."""
        found = [member.attention(src, src_mask, tgt_in) for member in self.members]
        weights = [weight for weight in found if weight is not None]
        return torch.stack(weights).mean(dim=0) if weights else None
