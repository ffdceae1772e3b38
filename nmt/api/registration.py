"""Registration of a user's own parts of a model or a training under names that the configuration accepts."""

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

from torch import nn

from nmt.config import (
    ATTENTIONS,
    CELLS,
    DECODERS,
    ENCODERS,
    OBJECTIVES,
    DecoderConfig,
    EncoderConfig,
    SideConfig,
    TrainConfig,
)
from nmt.config.registry import check_name, definition
from nmt.errors import UserError
from nmt.models import decoders, encoders
from nmt.models.attention import Attention
from nmt.models.layers.recurrent import RecurrentLayer
from nmt.training.objectives.likelihood import Objective

BUILT_IN = {"encoder": frozenset(ENCODERS), "decoder": frozenset(DECODERS)}
"""Names of the encoders and decoders of this package."""


def register_cell(name: str, cell: type[RecurrentLayer]) -> None:
    """Make a recurrent layer available as `model.encoder.cell=NAME` and `model.decoder.cell=NAME`.

    Args:
        name: lower-case letters, digits and '_'.
        cell: subclass of `nmt.models.layers.cells.StepwiseLayer`, of `ElementwiseLayer` or of `RecurrentLayer`, made by
            `cell(input_size, hidden_size, zoneout=(...))`.

    Raises:
        UserError: the name cannot be used, or the class is not a recurrent layer.
    """
    check_subclass(cell, RecurrentLayer, "cell")
    CELLS.register(name, cell)


def register_attention(name: str, attention: type[Attention]) -> None:
    """Make an attention of the recurrent decoders available as `model.decoder.attention=NAME`.

    Args:
        name: lower-case letters, digits and '_'.
        attention: subclass of `nmt.models.attention.Attention`, made by `attention(config, hidden_size)` with the
            configuration of the decoder.

    Raises:
        UserError: the name cannot be used, or the class is not an attention.
    """
    check_subclass(attention, Attention, "attention")
    ATTENTIONS.register(name, attention)


def register_objective(name: str, objective: Callable[[TrainConfig], Objective]) -> None:
    """Make a training objective available as `train.objective=NAME`.

    Args:
        name: lower-case letters, digits and '_'.
        objective: function or class that is called with the `TrainConfig` and returns an objective, which maps a model
            and a batch to an `nmt.training.objectives.likelihood.ObjectiveOutput`.

    Raises:
        UserError: the name cannot be used, or the objective cannot be called.
    """
    if not callable(objective):
        raise UserError(f"register_objective: {objective!r:.80} cannot be called; give a function or a class")
    OBJECTIVES.register(name, objective)


def register_encoder(name: str, encoder: type[nn.Module], config: type[EncoderConfig]) -> None:
    """Make an encoder available as `model/encoder=NAME`, with its keys as `model.encoder.KEY`.

    Args:
        name: lower-case letters, digits and '_'.
        encoder: `nmt.models.interface.AnyEncoder`, made by `encoder(config.encoder, config, embedding)` with a
            `ModelConfig`.
        config: dataclass of its keys, a subclass of `nmt.config.EncoderConfig` with `kind: str = NAME`.

    Raises:
        UserError: the name cannot be used, or a class lacks something.
    """
    check_side("encoder", name, encoder, config, EncoderConfig)
    encoders.ENCODERS[name], ENCODERS[name] = encoder, config


def register_decoder(name: str, decoder: type[nn.Module], config: type[DecoderConfig]) -> None:
    """Make a decoder available as `model/decoder=NAME`, with its keys as `model.decoder.KEY`.

    Args:
        name: lower-case letters, digits and '_'.
        decoder: `nmt.models.interface.AnyDecoder`, made by `decoder(config.decoder, config, embedding, state_size)`
            with a `ModelConfig` and the width of the encoder's final state.
        config: dataclass of its keys, a subclass of `nmt.config.DecoderConfig` with `kind: str = NAME`.

    Raises:
        UserError: the name cannot be used, or a class lacks something.
    """
    check_side("decoder", name, decoder, config, DecoderConfig)
    decoders.DECODERS[name], DECODERS[name] = decoder, config


def check_side(noun: str, name: str, part: type[nn.Module], config: type[SideConfig], base: type) -> None:
    """Raise a UserError unless an encoder or decoder can have the name and is complete."""
    check_name(noun, name)
    if name in BUILT_IN[noun]:
        raise UserError(f"the {noun} {name} is built in; register your own under another name")
    check_subclass(part, nn.Module, noun)
    check_subclass(config, base, noun)
    if not hasattr(part, "embedding_exponent"):
        raise UserError(
            f"register_{noun}: {definition(part)} has no attribute embedding_exponent; 0.0 is a usual value"
        )
    kind: Any = config.__dict__.get("kind")
    if not is_dataclass(config) or kind != name:
        raise UserError(f"register_{noun}: {definition(config)} has to be a dataclass with kind: str = {name!r}")
    parts: dict[str, Any] = encoders.ENCODERS if noun == "encoder" else decoders.DECODERS
    if name in parts and definition(parts[name]) != definition(part):
        raise UserError(f"the {noun} {name} is registered already, as {definition(parts[name])}; choose another name")


def check_subclass(part: object, base: type, noun: str) -> None:
    """Raise a UserError unless `part` is a subclass of `base`."""
    if not (isinstance(part, type) and issubclass(part, base)):
        raise UserError(f"register_{noun}: {part!r:.80} is not a subclass of {base.__module__}.{base.__name__}")
