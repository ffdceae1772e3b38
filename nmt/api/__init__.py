"""Python API: load, train, evaluate and compare runs, and register parts of one's own.

`import nmt` offers the same names without importing this package before it is used.
"""

import os
from typing import TYPE_CHECKING

from nmt.processor import limit_spinning

limit_spinning()  # before torch is imported, whose OpenMP reads the setting once
os.environ.setdefault("MKL_DYNAMIC", "FALSE")  # as in the commands: the same number of threads gives the same bits

from nmt.api.exported import FolderTranslator  # noqa: E402
from nmt.api.loading import load  # noqa: E402
from nmt.api.results import Translation  # noqa: E402

if TYPE_CHECKING:
    from nmt.api.with_torch import (
        AttentionMatrix,
        Encoding,
        ForcedScore,
        RunComparison,
        RunTranslator,
        compare,
        evaluate,
        register_attention,
        register_cell,
        register_decoder,
        register_encoder,
        register_objective,
        train,
    )

__all__ = [
    "AttentionMatrix",
    "Encoding",
    "FolderTranslator",
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


def __getattr__(name: str) -> object:
    """Import the names that need torch at the first use of one of them; an exported folder is loaded without it."""
    if name not in __all__:
        raise AttributeError(f"module 'nmt.api' has no attribute {name!r}")
    from nmt.api import with_torch

    return vars(with_torch)[name]
