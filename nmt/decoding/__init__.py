"""Search, and translation of lines."""

from nmt.decoding.alignment import align, align_words
from nmt.decoding.beam import beam_search
from nmt.decoding.corrections import checked_correction, encode_correction
from nmt.decoding.ensemble import Ensemble, TranslationModel
from nmt.decoding.load import load_model, load_translator
from nmt.decoding.sampling import sample
from nmt.decoding.search import Hypothesis, SearchRequest, Symbols
from nmt.decoding.target_constraints import ConstraintBuilder, TargetConstraints
from nmt.decoding.translator import AttentionMap, Candidate, Translator

__all__ = [
    "AttentionMap",
    "Candidate",
    "ConstraintBuilder",
    "Ensemble",
    "Hypothesis",
    "SearchRequest",
    "Symbols",
    "TargetConstraints",
    "TranslationModel",
    "Translator",
    "align",
    "align_words",
    "beam_search",
    "checked_correction",
    "encode_correction",
    "load_model",
    "load_translator",
    "sample",
]
