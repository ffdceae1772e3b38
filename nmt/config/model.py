"""What the network is."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from nmt.config.checks import number


class Cell(StrEnum):
    lstm = "lstm"
    gru = "gru"
    rnn = "rnn"
    layer_norm_lstm = "layer_norm_lstm"
    reference_lstm = "reference_lstm"
    reference_gru = "reference_gru"
    ssru = "ssru"
    sru = "sru"
    min_gru = "min_gru"
    min_lstm = "min_lstm"


ELEMENTWISE_CELLS = (Cell.ssru, Cell.sru, Cell.min_gru, Cell.min_lstm)
"""Cells without a recurrent matrix."""


class DecoderKind(StrEnum):
    gnmt = "gnmt"
    luong = "luong"
    bahdanau = "bahdanau"
    conditional = "conditional"


class BridgeKind(StrEnum):
    learned = "learned"
    zero = "zero"


class Architecture(StrEnum):
    recurrent = "recurrent"
    transformer = "transformer"
    convolutional = "convolutional"


class AttentionKind(StrEnum):
    additive = "additive"
    dot = "dot"
    scaled_dot = "scaled_dot"
    general = "general"
    location = "location"
    local_m = "local_m"
    local_p = "local_p"
    multi_head_additive = "multi_head_additive"
    multi_head_dot = "multi_head_dot"
    coverage = "coverage"


class PositionKind(StrEnum):
    sinusoidal = "sinusoidal"
    learned = "learned"


class Tying(StrEnum):
    none = "none"
    two_way = "two_way"
    three_way = "three_way"


OWN = {
    Architecture.recurrent: (
        *(
            "cell",
            "zoneout_h",
            "zoneout_c",
            "weight_drop",
            "recurrent_dropout",
            "decoder",
            "input_feeding",
            "lexicon",
            "reverse_source",
            "bridge",
        ),
        *("bidirectional", "bidirectional_layers", "direction_size", "residual_from"),
        *("encoder_transitions", "encoder_feed_forward"),
    ),
    Architecture.transformer: ("feed_forward_size", "pre_norm", "positions"),
    Architecture.convolutional: ("kernel_width",),
}
"""Keys that the other architectures have no use for."""

NOISE = ("dropout", "word_dropout", "zoneout_h", "zoneout_c", "weight_drop", "recurrent_dropout")
"""Probabilities that draw at random in training and nothing in evaluation."""


@dataclass
class ModelConfig:
    """An encoder-decoder: recurrent, or a Transformer, or a convolutional one."""

    architecture: Architecture = Architecture.recurrent
    """recurrent, transformer (Vaswani et al. 2017), convolutional (Gehring et al. 2017)."""
    embed_size: int = 256
    """Width of the embeddings and of the vector that is projected onto the vocabulary; of the whole Transformer."""
    hidden_size: int = 512
    """Width of the decoder's layers and of the encoder's output, both directions together; of a convolution."""
    cell: Cell = Cell.lstm
    """Of encoder and decoder: lstm, gru, rnn (tanh), layer_norm_lstm (Ba et al. 2016, per gate);
    reference_lstm and reference_gru, slow and open to inspection."""
    zoneout_h: float = 0.0
    """Probability that a unit of the hidden state keeps its value from the step before (Krueger et al. 2017) ..."""
    zoneout_c: float = 0.0
    """... and a unit of an LSTM's cell."""
    weight_drop: float = 0.0
    """Probability of dropping a weight of the recurrent matrices, for a whole batch (Merity et al. 2018)."""
    recurrent_dropout: float = 0.0
    """Probability of dropping a unit of h where the recurrent matrices read it, one mask for all time steps of a
    sentence (Gal and Ghahramani 2016); slower, the fused kernels cannot do it."""
    encoder_layers: int = 1
    decoder_layers: int = 1
    residual_from: int | None = 2
    """First layer of a stack, counted from 1, whose input is added to its output; null: none (GNMT: 3)."""
    bidirectional: bool = True
    """Read the source in both directions."""
    bidirectional_layers: int | None = None
    """How many encoder layers from the bottom do so; null: all (GNMT: 1)."""
    direction_size: int | None = None
    """Width of each direction; null: half of `hidden_size`. Where two do not make `hidden_size` they are projected."""
    encoder_transitions: int = 1
    """Cells that each encoder layer goes through in a time step: above 1 a deep transition (Pascanu et al. 2014)."""
    encoder_feed_forward: int | None = None
    """Width of a feed-forward block after each encoder layer (Domhan 2018); null: none."""
    reverse_source: bool = False
    """Read the source words from last to first (Sutskever et al. 2014, 3.3)."""
    decoder: DecoderKind = DecoderKind.gnmt
    """Who asks the attention: gnmt, the bottom layer; luong, the top; bahdanau, the state before; conditional, the
    first of the bottom layer's two cells."""
    bridge: BridgeKind = BridgeKind.learned
    """The decoder's first state: learned, from the encoder's last one; zero (the released configuration of Britz et al.
    2017)."""
    attention: AttentionKind | None = AttentionKind.additive
    """The recurrent decoder's; null: it knows of the source only what the bridge hands over (Sutskever et al. 2014)."""
    heads: int = 4
    """Heads of multi-head attention (Vaswani et al. 2017, 3.2.2), in the recurrent decoder and in the Transformer."""
    attention_window: int = 10
    """Source tokens that local attention looks at on each side of its centre: D of Luong et al. 2015, 3.2."""
    max_positions: int = 512
    """Tokens for which a learned table has a row: location attention looks at no source token beyond, and learned
    positions are all the last one beyond."""
    input_feeding: bool = False
    """Feed the last attentional vector to the next step (Luong et al. 2015, 3.3): one step at a time, slower. For the
    decoders gnmt and luong; in the other two the context enters the recurrence anyway."""
    lexicon: bool = False
    """Let the source words that are attended to vote for target words past the recurrent layers (after Nguyen and
    Chiang 2018)."""
    feed_forward_size: int = 1024
    """Inner width of the Transformer's feed-forward layers (Vaswani et al. 2017, 3.3)."""
    pre_norm: bool = False
    """Normalise what goes into a Transformer's sublayer (Xiong et al. 2020) instead of what comes out of it."""
    positions: PositionKind = PositionKind.sinusoidal
    """How a Transformer knows the order: sines (Vaswani et al. 2017, 3.5) or a learned table."""
    kernel_width: int = 3
    """Tokens that a convolution sees at once; an odd number."""
    tying: Tying = Tying.three_way
    """Shared weights: target embedding and output (two_way), the source embedding too (three_way)."""
    dropout: float = 0.3
    """Probability of dropping a unit on embeddings, between layers and before the output."""
    fixed_masks: bool = True
    """One dropout mask for all time steps of a sentence (Gal and Ghahramani 2016) instead of one a step."""
    word_dropout: float = 0.0
    """Probability of dropping a whole word's embedding, on both sides (Gal and Ghahramani 2016)."""

    def without_noise(self) -> "ModelConfig":
        """Return the same model with nothing dropped."""
        quiet = replace(self)
        for name in NOISE:
            setattr(quiet, name, 0.0)
        return quiet

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("embed_size", "hidden_size", "feed_forward_size", "heads", "attention_window"):
            yield from number(self, name, 1, 1 << 16)
        for name in ("encoder_layers", "decoder_layers", "kernel_width"):
            yield from number(self, name, 1, 100)
        yield from number(self, "max_positions", 1, 1 << 20)
        for name in NOISE:
            yield from number(self, name, 0, 0.95)
        yield from self.foreign_keys()
        match self.architecture:
            case Architecture.recurrent:
                yield from self.recurrent_problems()
            case Architecture.transformer:
                yield from self.parallel_problems()
                yield from self.heads_problems("embed_size", self.embed_size)
                if self.positions == PositionKind.sinusoidal and self.embed_size % 2:
                    yield (
                        "embed_size",
                        f"is {self.embed_size}; allowed: even numbers, half for sines and half for cosines",
                    )
            case Architecture.convolutional:
                yield from self.parallel_problems()
                if self.kernel_width % 2 == 0:
                    yield "kernel_width", f"is {self.kernel_width}; allowed: odd numbers, as much before as behind"

    def recurrent_problems(self) -> Iterator[tuple[str, str]]:
        yield from self.encoder_problems()
        if self.input_feeding and self.attention is None:
            yield "input_feeding", "is true and attention null; there is no attentional vector to feed"
        if self.lexicon and self.attention is None:
            yield "lexicon", "is true and attention null; nothing says which source words are looked at"
        if self.bridge == BridgeKind.zero and self.attention is None:
            yield "bridge", "is zero and attention null; the decoder would see nothing of the source"
        if self.decoder != DecoderKind.gnmt and self.attention is None:
            yield "decoder", f"is {self.decoder} and attention null; allowed: gnmt, or an attention"
        if self.decoder in (DecoderKind.bahdanau, DecoderKind.conditional) and self.input_feeding:
            yield "input_feeding", f"is true and decoder {self.decoder}; allowed: false, or decoder gnmt or luong"
        if self.cell in ELEMENTWISE_CELLS:
            for name in ("weight_drop", "recurrent_dropout"):
                if getattr(self, name) > 0:
                    yield (
                        name,
                        f"is {getattr(self, name)} and cell {self.cell}, which has no recurrent matrix; set it to 0",
                    )
        if self.zoneout_c > 0 and self.cell in (Cell.gru, Cell.rnn, Cell.reference_gru, Cell.min_gru, Cell.min_lstm):
            yield "zoneout_c", f"is {self.zoneout_c} and cell {self.cell}, which has no c; allowed: 0, use zoneout_h"
        if self.attention == AttentionKind.multi_head_dot:
            yield from self.heads_problems("hidden_size", self.hidden_size)
        if self.attention == AttentionKind.multi_head_additive:
            yield from self.heads_problems("half of hidden_size", self.hidden_size // 2)

    def encoder_problems(self) -> Iterator[tuple[str, str]]:
        if not 1 <= self.encoder_layers <= 100:  # said already
            return
        yield from number(self, "direction_size", 1, 1 << 16)
        yield from number(self, "encoder_feed_forward", 1, 1 << 16)
        yield from number(self, "encoder_transitions", 1, 100)
        yield from number(self, "residual_from", 2)
        yield from number(self, "bidirectional_layers", 1, self.encoder_layers)
        if self.bidirectional and self.direction_size is None and self.hidden_size % 2:
            yield "hidden_size", f"is {self.hidden_size}; allowed: even numbers, half goes to each direction"
        for name in ("bidirectional_layers", "direction_size"):
            if not self.bidirectional and getattr(self, name) is not None:
                yield name, f"is {getattr(self, name)} and bidirectional false; allowed: null"
        both, own = encoder_widths(self)
        seam = both.count(True) + 1  # the first layer that reads in one direction
        if self.residual_from is not None and self.residual_from <= seam <= self.encoder_layers and own[0] != own[-1]:
            yield (
                "residual_from",
                f"is {self.residual_from}; allowed: null, or above {seam}, "
                f"where layers of width {own[0]} and {self.hidden_size} meet",
            )

    def parallel_problems(self) -> Iterator[tuple[str, str]]:
        """Of the architectures that have an attention of their own in each layer."""
        if self.attention is None:
            yield "attention", f"is null and architecture {self.architecture}, whose layers all attend; leave it out"

    def foreign_keys(self) -> Iterator[tuple[str, str]]:
        """Keys of another architecture, which would be ignored."""
        usual = {field.name: field.default for field in fields(self)}
        for owner, names in OWN.items():
            for name in names:
                if owner != self.architecture and getattr(self, name) != usual[name]:
                    value = "null" if getattr(self, name) is None else str(getattr(self, name)).lower()
                    yield name, f"is {value} and architecture {self.architecture}; only {owner} has it, leave it out"

    def heads_problems(self, what: str, width: int) -> Iterator[tuple[str, str]]:
        if self.heads > 0 and (width % self.heads or width < self.heads):
            yield "heads", f"is {self.heads}; allowed: what divides {what}, {width}"


def encoder_widths(config: ModelConfig) -> tuple[list[bool], list[int]]:
    """Of each encoder layer from the bottom: whether it reads in both directions, and the width of its output."""
    layers = config.encoder_layers
    count = (layers if config.bidirectional_layers is None else config.bidirectional_layers) * config.bidirectional
    both = [depth < count for depth in range(layers)]
    direction = config.direction_size or config.hidden_size // 2
    return both, [2 * direction if two else config.hidden_size for two in both]
