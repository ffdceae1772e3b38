"""Configuration of the model: `model.*`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from nmt.config.checks import number


class CellKind(StrEnum):
    """Recurrent cells."""

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


ELEMENTWISE_CELLS = (CellKind.ssru, CellKind.sru, CellKind.min_gru, CellKind.min_lstm)
"""Cells without a recurrent matrix."""
CELLS_WITHOUT_C = (CellKind.gru, CellKind.rnn, CellKind.reference_gru, CellKind.min_gru, CellKind.min_lstm)
"""Cells whose state is h alone."""


class DecoderKind(StrEnum):
    """Recurrent decoders, which differ in the attention query and in where the context vector is used."""

    gnmt = "gnmt"
    luong = "luong"
    bahdanau = "bahdanau"
    conditional = "conditional"


class BridgeKind(StrEnum):
    """Initial states of the recurrent decoder."""

    learned = "learned"
    zero = "zero"


class Architecture(StrEnum):
    """Model families."""

    recurrent = "recurrent"
    transformer = "transformer"
    convolutional = "convolutional"


class AttentionKind(StrEnum):
    """Attention mechanisms of the recurrent decoder."""

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
    """Position embeddings of the Transformer."""

    sinusoidal = "sinusoidal"
    learned = "learned"


class Tying(StrEnum):
    """Sharing of embedding and output weights."""

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
"""Keys that have an effect in one architecture only."""

NOISE = ("dropout", "word_dropout", "zoneout_h", "zoneout_c", "weight_drop", "recurrent_dropout")
"""Probabilities of random regularisation in training; they have no effect in evaluation."""


@dataclass
class ModelConfig:
    """Encoder-decoder model: recurrent, Transformer or convolutional."""

    architecture: Architecture = Architecture.recurrent
    """Model family: recurrent, transformer (Vaswani et al. 2017) or convolutional (Gehring et al. 2017)."""
    embed_size: int = 256
    """Width of the embeddings and of the vector that is projected to the vocabulary; in a Transformer the width of all
    layers."""
    hidden_size: int = 512
    """Width of the recurrent decoder layers and of the encoder output (both directions together), or of the
    convolutions."""
    cell: CellKind = CellKind.lstm
    """Recurrent cell of encoder and decoder: lstm, gru, rnn (tanh), or layer_norm_lstm (Ba et al. 2016, normalised per
    gate). reference_lstm and reference_gru compute the same as lstm and gru slowly, gate by gate, for inspection.
    Without a recurrent matrix: ssru (Kim et al. 2019), sru (Lei et al. 2018), min_gru, min_lstm (Feng et al. 2024)."""
    zoneout_h: float = 0.0
    """Zoneout on the hidden state: probability that a unit keeps its value from the previous step (Krueger et al.
    2017)."""
    zoneout_c: float = 0.0
    """Zoneout on the cell of an LSTM: the same probability for the units of c."""
    weight_drop: float = 0.0
    """Probability of dropping a recurrent weight, drawn once per batch (Merity et al. 2018)."""
    recurrent_dropout: float = 0.0
    """Probability of dropping a unit of h before the recurrent product, with one mask for all time steps of a sentence
    (Gal and Ghahramani 2016). Slower, because the fused kernels do not support it."""
    encoder_layers: int = 1
    """Number of encoder layers."""
    decoder_layers: int = 1
    """Number of decoder layers."""
    residual_from: int | None = 2
    """First layer, counted from 1, with a residual connection from its input to its output; null: none (GNMT: 3)."""
    bidirectional: bool = True
    """Use bidirectional layers in the recurrent encoder."""
    bidirectional_layers: int | None = None
    """Number of bidirectional encoder layers, from the bottom; null: all (GNMT: 1)."""
    direction_size: int | None = None
    """Width of each direction; null: half of `hidden_size`. The encoder output is projected where its width differs
    from `hidden_size`."""
    encoder_transitions: int = 1
    """Cells per time step in each encoder layer; above 1 the layers are deep transitions (Pascanu et al. 2014)."""
    encoder_feed_forward: int | None = None
    """Inner width of a feed-forward block after each encoder layer (Domhan 2018); null: no such block."""
    reverse_source: bool = False
    """Read the source tokens from last to first (Sutskever et al. 2014, 3.3)."""
    decoder: DecoderKind = DecoderKind.gnmt
    """Recurrent decoder, which determines the attention query. gnmt: output of the bottom layer; luong: output of the
    top layer; bahdanau: previous state; conditional: output of the first of two cells in the bottom layer."""
    bridge: BridgeKind = BridgeKind.learned
    """Initial decoder state. learned: a projection of the final encoder state; zero: zeros (released configuration of
    Britz et al. 2017)."""
    attention: AttentionKind | None = AttentionKind.additive
    """Attention of the recurrent decoder; null: none, so that the bridge is the only path from the source (Sutskever et
    al. 2014)."""
    heads: int = 4
    """Heads of multi-head attention (Vaswani et al. 2017, 3.2.2), in the recurrent decoder and in the Transformer."""
    attention_window: int = 10
    """Half-width of the window of local attention, in source tokens: D of Luong et al. 2015, 3.2."""
    max_positions: int = 512
    """Rows of a learned position table, in tokens. Location attention ignores source tokens beyond it; learned position
    embeddings use the last row for them."""
    input_feeding: bool = False
    """Feed the previous attentional vector into the next step (Luong et al. 2015, 3.3). Slower, because training then
    runs step by step. For the decoders gnmt and luong only; in the other two the context vector enters the recurrence
    anyway."""
    factor_size: int | None = None
    """Width of the embedding of each source factor of data.factors, by which the embedding of the piece is narrower;
    null: factor embeddings have full width and are added."""
    lexicon: bool = False
    """Add a lexicon module, which predicts target words directly from the attended source embeddings (after Nguyen and
    Chiang 2018)."""
    feed_forward_size: int = 1024
    """Inner width of the Transformer's feed-forward layers (Vaswani et al. 2017, 3.3)."""
    pre_norm: bool = False
    """Normalise the input of each Transformer sublayer (Xiong et al. 2020) instead of its output (Vaswani et al.
    2017)."""
    positions: PositionKind = PositionKind.sinusoidal
    """Position embeddings of the Transformer: sinusoidal (Vaswani et al. 2017, 3.5) or learned."""
    kernel_width: int = 3
    """Width of the convolutions, in tokens; an odd number."""
    tying: Tying = Tying.three_way
    """Weight sharing. none; two_way: target embedding and output projection; three_way: source embedding as well."""
    dropout: float = 0.3
    """Probability of dropping a unit of the embeddings, between layers and before the output."""
    fixed_masks: bool = True
    """Use one dropout mask for all time steps of a sentence (Gal and Ghahramani 2016) instead of one per time step."""
    word_dropout: float = 0.0
    """Probability of dropping the whole embedding of a token, on both sides (Sennrich and Zhang 2019)."""

    def without_noise(self) -> "ModelConfig":
        """Return a copy with all probabilities of `NOISE` set to zero."""
        quiet = replace(self)
        for name in NOISE:
            setattr(quiet, name, 0.0)
        return quiet

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("embed_size", "hidden_size", "feed_forward_size", "heads", "attention_window"):
            yield from number(self, name, 1, 1 << 16)
        yield from number(self, "factor_size", 1, 1 << 16)
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
                        f"is {self.embed_size}; allowed: even numbers with sinusoidal positions",
                    )
            case Architecture.convolutional:
                yield from self.parallel_problems()
                if self.kernel_width % 2 == 0:
                    yield "kernel_width", f"is {self.kernel_width}; allowed: odd numbers"

    def recurrent_problems(self) -> Iterator[tuple[str, str]]:
        yield from self.encoder_problems()
        if self.input_feeding and self.attention is None:
            yield (
                "input_feeding",
                "is true but attention is null, so that there is nothing to feed; set input_feeding to false",
            )
        if self.lexicon and self.attention is None:
            yield "lexicon", "is true but attention is null; a lexicon needs attention weights, set it to false"
        if self.bridge == BridgeKind.zero and self.attention is None:
            yield (
                "bridge",
                "is zero and attention is null, so that the decoder has no access to the source; choose an attention",
            )
        if self.decoder != DecoderKind.gnmt and self.attention is None:
            yield "decoder", f"is {self.decoder} but attention is null; allowed: gnmt, or choose an attention"
        if self.decoder in (DecoderKind.bahdanau, DecoderKind.conditional) and self.input_feeding:
            yield "input_feeding", f"is true but decoder is {self.decoder}; allowed: false, or decoder gnmt or luong"
        if self.cell in ELEMENTWISE_CELLS:
            for name in ("weight_drop", "recurrent_dropout"):
                if (value := getattr(self, name)) > 0:
                    yield name, f"is {value} but the cell {self.cell} has no recurrent matrix; set it to 0"
        if self.zoneout_c > 0 and self.cell in CELLS_WITHOUT_C:
            yield "zoneout_c", f"is {self.zoneout_c} but the cell {self.cell} has no c; allowed: 0, use zoneout_h"
        if self.attention == AttentionKind.multi_head_dot:
            yield from self.heads_problems("hidden_size", self.hidden_size)
        if self.attention == AttentionKind.multi_head_additive:
            yield from self.heads_problems("half of hidden_size", self.hidden_size // 2)

    def encoder_problems(self) -> Iterator[tuple[str, str]]:
        if not 1 <= self.encoder_layers <= 100:  # reported by `problems`
            return
        yield from number(self, "direction_size", 1, 1 << 16)
        yield from number(self, "encoder_feed_forward", 1, 1 << 16)
        yield from number(self, "encoder_transitions", 1, 100)
        yield from number(self, "residual_from", 2)
        yield from number(self, "bidirectional_layers", 1, self.encoder_layers)
        if self.bidirectional and self.direction_size is None and self.hidden_size % 2:
            yield "hidden_size", f"is {self.hidden_size}; allowed: even numbers, because each direction gets half"
        for name in ("bidirectional_layers", "direction_size"):
            if not self.bidirectional and getattr(self, name) is not None:
                yield name, f"is {getattr(self, name)} but bidirectional is false; allowed: null"
        both, widths = encoder_widths(self)
        seam = both.count(True) + 1  # first unidirectional layer
        if (
            self.residual_from is not None
            and self.residual_from <= seam <= self.encoder_layers
            and widths[0] != widths[-1]
        ):
            yield (
                "residual_from",
                f"is {self.residual_from}; allowed: null, or above {seam}, "
                f"where layers of width {widths[0]} and {self.hidden_size} meet",
            )

    def parallel_problems(self) -> Iterator[tuple[str, str]]:
        """Yield problems of the architectures that have their own attention in each layer."""
        if self.attention is None:
            yield (
                "attention",
                f"is null but every layer of the architecture {self.architecture} attends; leave this key out",
            )

    def foreign_keys(self) -> Iterator[tuple[str, str]]:
        """Yield keys that were changed from their default and have no effect in this architecture."""
        usual = {field.name: field.default for field in fields(self)}
        for owner, names in OWN.items():
            for name in names:
                if owner != self.architecture and getattr(self, name) != usual[name]:
                    value = "null" if getattr(self, name) is None else str(getattr(self, name)).lower()
                    yield (
                        name,
                        f"is {value} but architecture is {self.architecture}; it applies to {owner} only, leave it out",
                    )

    def heads_problems(self, divided: str, width: int) -> Iterator[tuple[str, str]]:
        if self.heads > 0 and (width % self.heads or width < self.heads):
            yield "heads", f"is {self.heads}; allowed: divisors of {divided}, {width}"


def encoder_widths(config: ModelConfig) -> tuple[list[bool], list[int]]:
    """Return, per encoder layer from the bottom, whether it is bidirectional and the width of its output."""
    layers = config.encoder_layers
    count = (layers if config.bidirectional_layers is None else config.bidirectional_layers) * config.bidirectional
    both = [depth < count for depth in range(layers)]
    direction = config.direction_size or config.hidden_size // 2
    return both, [2 * direction if two else config.hidden_size for two in both]
