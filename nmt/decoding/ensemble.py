"""Interface of translation models, and ensembles of them."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nmt.config import Precision
from nmt.errors import UserError
from nmt.models import RestrictedModel, StepOutput, WordSubsets


class TranslationModel(Protocol):
    """Model that the translator can use. Its states have the method `select` of `search.State`."""

    @property
    def training(self) -> bool: ...

    @property
    def precision(self) -> Precision: ...

    def prepare_search(self, precision: Precision) -> None: ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def encode(self, src: Tensor, src_mask: Tensor) -> Any:
        """Return the state before the first target token, from source ids and mask, (S, B), padded on the left."""

    def step(self, tokens: Tensor, state: Any) -> StepOutput[Any]:
        """Decode one token per hypothesis, (B K,)."""

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """Return the attention weights (B, T, S) under teacher forcing; None for a model without attention."""


@dataclass
class EnsembleState:
    """States of the members."""

    members: list[Any]

    def select(self, rows: Tensor) -> "EnsembleState":
        """Return the state of the hypotheses `rows`."""
        return EnsembleState([state.select(rows) for state in self.members])


@contextmanager
def evaluation_mode(model: TranslationModel) -> Iterator[None]:
    """Put a model into evaluation mode, without dropout, and then back into its mode."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class Ensemble:
    """Mean of the members' probabilities at each step (Sutskever et al. 2014; Jean et al. 2015).

    The members can have any architecture, but share the vocabularies.
    """

    def __init__(self, members: Sequence[TranslationModel]) -> None:
        self.members = list(members)

    @property
    def training(self) -> bool:
        return self.members[0].training

    @property
    def precision(self) -> Precision:
        """The lower precision if 8-bit products are impossible in some members."""
        lower = (member.precision for member in self.members if member.precision != Precision.float32)
        return next(lower, Precision.float32)

    def prepare_search(self, precision: Precision) -> None:
        for member in self.members:
            member.prepare_search(precision)

    def train(self, mode: bool = True) -> None:
        for member in self.members:
            member.train(mode)

    def eval(self) -> None:
        self.train(False)

    def parameters(self) -> Iterator[nn.Parameter]:
        return itertools.chain.from_iterable(member.parameters() for member in self.members)

    def encode(self, src: Tensor, src_mask: Tensor) -> EnsembleState:
        """Return the members' states before the first target token."""
        return EnsembleState([member.encode(src, src_mask) for member in self.members])

    def step(self, tokens: Tensor, state: EnsembleState) -> StepOutput[EnsembleState]:
        """Decode one token per hypothesis: log p(w) = log (1/M sum_m p_m(w)), computed from log-probabilities.

        The attention is averaged over the members that have one.
        """
        return joined([member.step for member in self.members], tokens, state)

    def restrict(self, state: EnsembleState, subsets: WordSubsets) -> EnsembleState:
        """Return the state before the first target token for search over a part of the vocabulary."""
        members = zip(self.restricted_members(), state.members, strict=True)
        return EnsembleState([member.restrict(of_member, subsets) for member, of_member in members])

    def step_restricted(self, tokens: Tensor, state: EnsembleState) -> StepOutput[EnsembleState]:
        """Decode one token per hypothesis over a part of the vocabulary."""
        return joined([member.step_restricted for member in self.restricted_members()], tokens, state)

    def restricted_members(self) -> list[RestrictedModel]:
        """Return the members; raise UserError if one of them has no output layer that can be restricted."""
        return [restricted(member) for member in self.members]

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """Return the attention weights under teacher forcing, averaged over the members that have attention."""
        return mean_weights([member.attention(src, src_mask, tgt_in) for member in self.members])


def joined(
    steps: Sequence[Callable[[Tensor, Any], StepOutput[Any]]], tokens: Tensor, state: EnsembleState
) -> StepOutput[EnsembleState]:
    """Return the mean of the members' probabilities and attention weights after one step of each."""
    pairs = zip(steps, state.members, strict=True)
    log_probs, states, weights = zip(*(step(tokens, of_member) for step, of_member in pairs), strict=True)
    return StepOutput(mean_log_probs(log_probs), EnsembleState(list(states)), mean_weights(weights))


def restricted(model: TranslationModel) -> RestrictedModel:
    """Return a model whose search can use a part of the vocabulary; raise UserError for other models."""
    if not isinstance(model, RestrictedModel):
        raise UserError("search.shortlist is set, and this model has no output layer to restrict; set it to null")
    return model


def mean_log_probs(members: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the members' probabilities."""
    return torch.stack(list(members)).logsumexp(dim=0) - math.log(len(members))


def mean_weights(members: Sequence[Tensor | None]) -> Tensor | None:
    """Return the mean of the attention weights that are not None, or None if all are."""
    present = [weights for weights in members if weights is not None]
    return torch.stack(present).mean(dim=0) if present else None
