"""The networks."""

from nmt.models.decoder import DecoderState
from nmt.models.seq2seq import Seq2Seq, Vocabulary, build_model

__all__ = ["DecoderState", "Seq2Seq", "Vocabulary", "build_model"]
