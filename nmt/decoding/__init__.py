"""Search, and translation of lines.

The names that need torch are imported when they are first used, so that an exported run is translated without torch.
"""

from typing import TYPE_CHECKING

from nmt.decoding.alignment import align, align_words
from nmt.decoding.corrections import checked_correction, encode_correction
from nmt.decoding.hypothesis import AttentionMap, Candidate, Hypothesis, Symbols
from nmt.decoding.lines import LineTranslator
from nmt.decoding.target_constraints import ConstraintBuilder, TargetConstraints

if TYPE_CHECKING:
    from nmt.decoding.with_torch import (
        Ensemble,
        SearchRequest,
        TranslationModel,
        Translator,
        beam_search,
        load_model,
        load_translator,
        sample,
    )

__all__ = [
    "AttentionMap",
    "Candidate",
    "ConstraintBuilder",
    "Ensemble",
    "Hypothesis",
    "LineTranslator",
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


def __getattr__(name: str) -> object:
    """Import the names that need torch at the first use of one of them."""
    if name not in __all__:
        raise AttributeError(f"module 'nmt.decoding' has no attribute {name!r}")
    from nmt.decoding import with_torch

    return vars(with_torch)[name]
