"""Python API: load, train, evaluate and compare runs, and register parts of one's own.

`import nmt` offers the same names without importing this package before it is used.
"""

import os

from nmt.processor import limit_spinning

limit_spinning()  # before torch is imported, whose OpenMP reads the setting once
os.environ.setdefault("MKL_DYNAMIC", "FALSE")  # as in the commands: the same number of threads gives the same bits

from nmt.api.registration import (  # noqa: E402
    register_attention,
    register_cell,
    register_decoder,
    register_encoder,
    register_objective,
)
from nmt.api.runs import RunComparison, compare, evaluate, train  # noqa: E402
from nmt.api.translator import (  # noqa: E402
    AttentionMatrix,
    Encoding,
    ForcedScore,
    RunTranslator,
    Translation,
    load,
)

__all__ = [
    "AttentionMatrix",
    "Encoding",
    "ForcedScore",
    "RunComparison",
    "RunTranslator",
    "Translation",
    "compare",
    "evaluate",
    "load",
    "register_attention",
    "register_cell",
    "register_decoder",
    "register_encoder",
    "register_objective",
    "train",
]
