"""Encoder-decoder models."""

from nmt.models.interface import AnyState, StepOutput
from nmt.models.output import projected_cross_entropy
from nmt.models.seq2seq import Seq2Seq, Vocabulary, build_model, check_model_size
from nmt.models.shortlist import RestrictedModel, WordSubsets

__all__ = [
    "AnyState",
    "RestrictedModel",
    "Seq2Seq",
    "StepOutput",
    "Vocabulary",
    "WordSubsets",
    "build_model",
    "check_model_size",
    "projected_cross_entropy",
]
