"""Names of the Python API that need torch. The package imports this module at the first use of one of them."""

from nmt.api.registration import (
    register_attention,
    register_cell,
    register_decoder,
    register_encoder,
    register_objective,
)
from nmt.api.runs import RunComparison, compare, evaluate, train
from nmt.api.translator import AttentionMatrix, Encoding, ForcedScore, RunTranslator

__all__ = [
    "AttentionMatrix",
    "Encoding",
    "ForcedScore",
    "RunComparison",
    "RunTranslator",
    "compare",
    "evaluate",
    "register_attention",
    "register_cell",
    "register_decoder",
    "register_encoder",
    "register_objective",
    "train",
]
