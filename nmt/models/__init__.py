"""The networks."""

from nmt.models.interface import AnyState
from nmt.models.output import projected_cross_entropy
from nmt.models.seq2seq import Seq2Seq, Vocabulary, build_model, refuse_too_large

__all__ = ["AnyState", "Seq2Seq", "Vocabulary", "build_model", "projected_cross_entropy", "refuse_too_large"]
