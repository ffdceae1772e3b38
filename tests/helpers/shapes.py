"""Configurations of models, from a few settings of both sides."""

from typing import Any

from nmt.config import DECODERS, ENCODERS, ModelConfig, RecurrentDecoderConfig

KEYS = {key for config in (*ENCODERS.values(), *DECODERS.values()) for key in config.__dataclass_fields__}
"""Keys of all kinds; a test may give one that its kinds lack."""
RECURRENT_DECODERS = [name for name, config in DECODERS.items() if issubclass(config, RecurrentDecoderConfig)]


def model_config(
    kind: str | None = None, encoder: str = "recurrent", decoder: str = "gnmt", **keys: Any
) -> ModelConfig:
    """Return a configuration with some keys: of the model, of each side that has them, or of one as `encoder_KEY`.

    Args:
        kind: kind of both sides, in place of the next two.
        encoder: kind of the encoder.
        decoder: kind of the decoder.
        keys: values by key.
    """
    sides: dict[str, Any] = {"encoder": ENCODERS[kind or encoder](), "decoder": DECODERS[kind or decoder]()}
    model = ModelConfig(**sides)
    for key, value in keys.items():
        places = [(model, key), *((side, key) for side in sides.values())]
        places += [(side, key.removeprefix(f"{name}_")) for name, side in sides.items() if key.startswith(f"{name}_")]
        owners = [(owner, name) for owner, name in places if name in owner.__dataclass_fields__]
        assert owners or key in KEYS, key
        for owner, name in owners:
            setattr(owner, name, value)
    return model
