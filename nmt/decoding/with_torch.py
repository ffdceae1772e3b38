"""Names of `nmt.decoding` that need torch. The package imports this module at the first use of one of them."""

from nmt.decoding.beam import beam_search
from nmt.decoding.ensemble import Ensemble, TranslationModel
from nmt.decoding.load import load_model, load_translator
from nmt.decoding.sampling import sample
from nmt.decoding.search import SearchRequest
from nmt.decoding.translator import Translator

__all__ = [
    "Ensemble",
    "SearchRequest",
    "TranslationModel",
    "Translator",
    "beam_search",
    "load_model",
    "load_translator",
    "sample",
]
