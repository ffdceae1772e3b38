"""What the network is."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number


class AttentionKind(StrEnum):
    additive = "additive"
    dot = "dot"
    general = "general"


class Tying(StrEnum):
    none = "none"
    two_way = "two_way"
    three_way = "three_way"


@dataclass
class ModelConfig:
    """An LSTM encoder-decoder."""

    embed_size: int = 256
    """Width of the embeddings and of the vector that is projected onto the vocabulary."""
    hidden_size: int = 512
    """Width of the decoder's LSTM and of the encoder's output, both directions together."""
    encoder_layers: int = 1
    decoder_layers: int = 1
    bidirectional: bool = True
    """Read the source in both directions, half the width each."""
    attention: AttentionKind | None = AttentionKind.additive
    """Null: the decoder knows of the source only what the bridge hands over (Sutskever et al. 2014)."""
    input_feeding: bool = False
    """Feed the last attentional vector to the next step (Luong et al. 2015, 3.3): one step at a time, slower."""
    tying: Tying = Tying.three_way
    """Shared weights: target embedding and output (two_way), the source embedding too (three_way)."""
    dropout: float = 0.3
    """Probability of dropping a unit on embeddings, between layers and before the output."""
    fixed_masks: bool = True
    """One dropout mask for all time steps of a sentence (Gal and Ghahramani 2016) instead of one a step."""
    word_dropout: float = 0.0
    """Probability of dropping a whole word's embedding, on both sides (Gal and Ghahramani 2016)."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("embed_size", "hidden_size", "encoder_layers", "decoder_layers"):
            yield from number(self, name, 1)
        for name in ("dropout", "word_dropout"):
            yield from number(self, name, 0, 0.95)
        if self.bidirectional and self.hidden_size % 2:
            yield "hidden_size", f"is {self.hidden_size}; allowed: even numbers, half goes to each direction"
        if self.input_feeding and self.attention is None:
            yield "input_feeding", "is true and attention null; there is no attentional vector to feed"
