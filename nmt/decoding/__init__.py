"""Search, and translation of lines."""

from nmt.decoding.alignment import align
from nmt.decoding.demands import Demand, Demands
from nmt.decoding.ensemble import Ensemble, TranslationModel
from nmt.decoding.search import Hypothesis, Symbols, search
from nmt.decoding.translator import AttentionMap, Candidate, Translator

__all__ = [
    "AttentionMap",
    "Candidate",
    "Demand",
    "Demands",
    "Ensemble",
    "Hypothesis",
    "Symbols",
    "TranslationModel",
    "Translator",
    "align",
    "search",
]
