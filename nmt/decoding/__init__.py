"""Search, and translation of lines."""

from nmt.decoding.alignment import align
from nmt.decoding.ensemble import Ensemble, TranslationModel
from nmt.decoding.load import load_model, load_translator
from nmt.decoding.search import Hypothesis, Symbols, search
from nmt.decoding.target_constraints import ConstraintBuilder, TargetConstraints
from nmt.decoding.translator import AttentionMap, Candidate, Translator

__all__ = [
    "AttentionMap",
    "Candidate",
    "ConstraintBuilder",
    "Ensemble",
    "Hypothesis",
    "Symbols",
    "TargetConstraints",
    "TranslationModel",
    "Translator",
    "align",
    "load_model",
    "load_translator",
    "search",
]
