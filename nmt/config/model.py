"""Configuration of the model: `model.*`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from nmt.config.checks import flatten, number
from nmt.config.decoder import DECODERS, DecoderConfig, GnmtDecoderConfig
from nmt.config.encoder import ENCODERS, EncoderConfig, RecurrentEncoderConfig
from nmt.config.side import NOISE, RecurrentSide, SideConfig
from nmt.config.text_keys import hints_of

S = TypeVar("S", bound=SideConfig)
KINDS: dict[type, dict[str, Any]] = {EncoderConfig: ENCODERS, DecoderConfig: DECODERS}
"""Configuration classes by kind, for the type of each field that holds a side."""


class Tying(StrEnum):
    """Sharing of embedding and output weights."""

    none = "none"
    two_way = "two_way"
    three_way = "three_way"


@dataclass
class ModelConfig:
    """Encoder-decoder model. The keys here apply to both sides; each side has further keys of its own."""

    embed_size: int = 256
    """Width of the embeddings and of the vector that is projected to the vocabulary; in a Transformer the width of all
    layers."""
    hidden_size: int = 512
    """Width of recurrent decoder layers and of the recurrent encoder's output (both directions together), and of
    convolutions. Transformer layers do not use it."""
    tying: Tying = Tying.three_way
    """Weight sharing. none; two_way: target embedding and output projection; three_way: source embedding as well."""
    factor_size: int | None = None
    """Width of the embedding of each source factor of data.factors, by which the embedding of the piece is narrower;
    null: factor embeddings have full width and are added."""
    dropout: float = 0.3
    """Probability of dropping a unit of the embeddings, between layers and before the output."""
    fixed_masks: bool = True
    """Use one dropout mask for all time steps of a sentence (Gal and Ghahramani 2016) instead of one per time step."""
    word_dropout: float = 0.0
    """Probability of dropping the whole embedding of a token, on both sides (Sennrich and Zhang 2019)."""
    encoder: EncoderConfig = field(default_factory=RecurrentEncoderConfig)
    """Encoder: model/encoder=NAME chooses it, model.encoder.KEY=VALUE changes a key."""
    decoder: DecoderConfig = field(default_factory=GnmtDecoderConfig)
    """Decoder: model/decoder=NAME chooses it, model.decoder.KEY=VALUE changes a key."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("embed_size", "hidden_size"):
            yield from number(self, name, 1, 1 << 16)
        yield from number(self, "factor_size", 1, 1 << 16)
        for name in ("dropout", "word_dropout"):
            yield from number(self, name, 0, 0.95)
        sizes = {"embed_size": self.embed_size, "hidden_size": self.hidden_size}
        found = [
            (key if key in sizes else f"{side}.{key}", sentence)
            for side, config in (("encoder", self.encoder), ("decoder", self.decoder))
            for key, sentence in config.size_problems(**sizes)
        ]
        yield from dict.fromkeys(found)  # both sides can report the same size
        if not self.decoder.attends and not isinstance(self.encoder, RecurrentEncoderConfig):
            yield (
                "decoder.attention",
                f"is null but encoder is {self.encoder.kind}, which has no final state to start from; choose an "
                "attention, or a recurrent encoder",
            )

    def noise(self) -> dict[str, float]:
        """Return the probabilities of random regularisation by dotted key."""
        return {key: value for key, value in flatten(asdict(self)).items() if key.rpartition(".")[2] in NOISE}

    def without_noise(self) -> "ModelConfig":
        """Return a copy with all probabilities of `NOISE` set to zero."""
        model: ModelConfig = quiet(self)
        return replace(model, encoder=quiet(self.encoder), decoder=quiet(self.decoder))

    def with_cell(self, cell: str) -> "ModelConfig":
        """Return a copy with this cell on each recurrent side."""
        return replace(self, encoder=cell_of(self.encoder, cell), decoder=cell_of(self.decoder, cell))


def quiet(config: Any) -> Any:
    """Return a copy of one dataclass without noise."""
    return replace(config, **{key.name: 0.0 for key in fields(config) if key.name in NOISE})


def cell_of(side: S, cell: str) -> S:
    """Return a copy of a side with this cell, if it is recurrent."""
    return replace(side, cell=cell) if isinstance(side, RecurrentSide) else side


def side_paths(schema: Any, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Return the dotted path of each encoder and decoder in a tree of dataclasses, with the classes by kind."""
    paths: dict[str, dict[str, Any]] = {}
    for name, hint in hints_of(schema).items():
        if hint in KINDS:
            paths[f"{prefix}{name}"] = KINDS[hint]
        elif is_dataclass(hint):
            paths |= side_paths(hint, f"{prefix}{name}.")
    return paths
