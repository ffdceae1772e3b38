"""Encoders: source token ids to memory, embeddings and final state. A new one is a class and a line of `ENCODERS`."""

from typing import Any

from nmt.models.encoders.convolutional import ConvolutionalEncoder
from nmt.models.encoders.recurrent import RecurrentEncoder
from nmt.models.encoders.transformer import TransformerEncoder

ENCODERS: dict[str, Any] = {
    "recurrent": RecurrentEncoder,
    "transformer": TransformerEncoder,
    "convolutional": ConvolutionalEncoder,
}
"""Class of each kind of encoder, an `AnyEncoder` built from its configuration, the model's and the embedding."""
