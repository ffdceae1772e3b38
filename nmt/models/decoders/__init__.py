"""Decoders. A new one is a class and a line of `DECODERS`; a recurrent one is a subclass of `RecurrentDecoder`."""

from typing import Any

from nmt.models.decoders.bahdanau import BahdanauDecoder
from nmt.models.decoders.base import RecurrentDecoder
from nmt.models.decoders.conditional import ConditionalDecoder
from nmt.models.decoders.convolutional import ConvolutionalDecoder
from nmt.models.decoders.gnmt import GnmtDecoder
from nmt.models.decoders.luong import LuongDecoder
from nmt.models.decoders.transformer import TransformerDecoder

__all__ = [
    "DECODERS",
    "BahdanauDecoder",
    "ConditionalDecoder",
    "ConvolutionalDecoder",
    "GnmtDecoder",
    "LuongDecoder",
    "RecurrentDecoder",
    "TransformerDecoder",
]

DECODERS: dict[str, Any] = {
    "gnmt": GnmtDecoder,
    "luong": LuongDecoder,
    "bahdanau": BahdanauDecoder,
    "conditional": ConditionalDecoder,
    "transformer": TransformerDecoder,
    "convolutional": ConvolutionalDecoder,
}
"""Class of each kind of decoder, an `AnyDecoder` built from its configuration, the model's, the embedding and the width
of the encoder's final state."""
