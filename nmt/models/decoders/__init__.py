"""Decoders. A new recurrent one is a subclass of `RecurrentDecoder`, a `DecoderKind` and a case of `build_decoder`."""

from nmt.config import DecoderKind, ModelConfig
from nmt.models.decoders.bahdanau import BahdanauDecoder
from nmt.models.decoders.base import RecurrentDecoder
from nmt.models.decoders.conditional import ConditionalDecoder
from nmt.models.decoders.convolutional import ConvolutionalDecoder
from nmt.models.decoders.gnmt import GnmtDecoder
from nmt.models.decoders.luong import LuongDecoder
from nmt.models.decoders.transformer import TransformerDecoder
from nmt.models.embedding import Embedding

__all__ = [
    "BahdanauDecoder",
    "ConditionalDecoder",
    "ConvolutionalDecoder",
    "GnmtDecoder",
    "LuongDecoder",
    "RecurrentDecoder",
    "TransformerDecoder",
    "build_decoder",
]


def build_decoder(config: ModelConfig, embedding: Embedding) -> RecurrentDecoder:
    """Build the configured recurrent decoder."""
    match config.decoder:
        case DecoderKind.gnmt:
            return GnmtDecoder(config, embedding)
        case DecoderKind.luong:
            return LuongDecoder(config, embedding)
        case DecoderKind.bahdanau:
            return BahdanauDecoder(config, embedding)
        case DecoderKind.conditional:
            return ConditionalDecoder(config, embedding)
