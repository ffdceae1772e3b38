"""Search, and translation of lines."""

from nmt.decoding.search import Hypothesis, Symbols, search
from nmt.decoding.translator import AttentionMap, Candidate, Translator

__all__ = ["AttentionMap", "Candidate", "Hypothesis", "Symbols", "Translator", "search"]
