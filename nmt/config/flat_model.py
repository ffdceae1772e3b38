"""Keys of `model` in runs and files from before encoder and decoder had configurations of their own."""

from collections.abc import Mapping
from typing import Any

from nmt.config.decoder import DECODERS
from nmt.config.encoder import ENCODERS

BOTH = (
    *("cell", "residual_from", "zoneout_h", "zoneout_c", "weight_drop", "recurrent_dropout", "kernel_width"),
    *("heads", "max_positions", "feed_forward_size", "pre_norm", "positions"),
)
ENCODER = ("bidirectional", "bidirectional_layers", "direction_size", "reverse_source")
DECODER = ("attention", "attention_window", "bridge", "lexicon", "input_feeding")
MOVED = {
    **{key: (f"encoder.{key}", f"decoder.{key}") for key in BOTH},
    **{key: (f"encoder.{key}",) for key in ENCODER},
    **{key: (f"decoder.{key}",) for key in DECODER},
    "encoder_layers": ("encoder.layers",),
    "decoder_layers": ("decoder.layers",),
    "encoder_transitions": ("encoder.transitions",),
    "encoder_feed_forward": ("encoder.feed_forward",),
}
"""Present keys of `model` by former key."""


def with_sides(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keys of `model` with those of each side under `encoder` and `decoder`; present keys stay."""
    if isinstance(model.get("encoder"), Mapping):
        return model
    family = model.get("architecture", "recurrent")
    sides: dict[str, dict[str, Any]] = {
        "encoder": {"kind": family},
        "decoder": {"kind": model.get("decoder", "gnmt") if family == "recurrent" else family},
    }
    kinds: dict[str, dict[str, Any]] = {"encoder": ENCODERS, "decoder": DECODERS}
    shared = {}
    for key, value in model.items():
        for path in MOVED.get(key, ()):
            side, _, name = path.partition(".")
            kind = kinds[side].get(str(sides[side]["kind"]))
            if kind is not None and name in kind.__dataclass_fields__:
                sides[side][name] = value
        if key not in MOVED and key not in ("architecture", "decoder"):
            shared[key] = value
    return {**shared, **sides}
