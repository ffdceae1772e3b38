"""Recurrent neural machine translation for research: LSTM encoder-decoders, attention, beam search.

    translator = nmt.load("runs/nl-en")
    translator.translate(["..."], n_best=3, beam_size=5)

The functions below are imported when they are first used, so that `import nmt` does not import torch.
"""

from typing import TYPE_CHECKING

from nmt import errors

if TYPE_CHECKING:
    from nmt.api import (
        AttentionMatrix,
        Encoding,
        FolderTranslator,
        ForcedScore,
        RunComparison,
        RunTranslator,
        Translation,
        compare,
        evaluate,
        load,
        register_attention,
        register_cell,
        register_decoder,
        register_encoder,
        register_objective,
        train,
    )

__version__ = "0.1.0"

__all__ = [
    "AttentionMatrix",
    "Encoding",
    "FolderTranslator",
    "ForcedScore",
    "RunComparison",
    "RunTranslator",
    "Translation",
    "compare",
    "errors",
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
    """Import the Python API at the first use of one of its names."""
    if name not in __all__:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    from nmt import api

    return vars(api).get(name) or api.__getattr__(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
