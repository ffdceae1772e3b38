"""Configuration that encoders and decoders share: `model.encoder.*` and `model.decoder.*`.

A side of a model is a dataclass with the keys that its kind uses. The sizes of the whole model are keys of `model`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

from nmt.config.checks import number
from nmt.config.registry import Registry

NOISE = ("dropout", "word_dropout", "zoneout_h", "zoneout_c", "weight_drop", "recurrent_dropout")
"""Probabilities of random regularisation in training; they have no effect in evaluation."""
Problems = Iterator[tuple[str, str]]


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
    rg_lru = "rg_lru"
    slstm = "slstm"
    mlstm = "mlstm"
    gated_delta = "gated_delta"
    delta_net = "delta_net"
    mamba2 = "mamba2"
    gla = "gla"


ELEMENTWISE_CELLS = (CellKind.ssru, CellKind.sru, CellKind.min_gru, CellKind.min_lstm, CellKind.rg_lru)
"""Cells whose state before enters a step element by element."""
MATRIX_MEMORY_CELLS = (CellKind.mlstm, CellKind.gated_delta, CellKind.delta_net, CellKind.mamba2, CellKind.gla)
"""Cells whose state is a matrix per head, without zoneout."""
CELLS_WITHOUT_MATRIX = (*ELEMENTWISE_CELLS, *MATRIX_MEMORY_CELLS)
"""Cells without a recurrent matrix."""
CELLS_WITHOUT_C = (
    *(CellKind.gru, CellKind.rnn, CellKind.reference_gru, CellKind.min_gru, CellKind.min_lstm),
    CellKind.slstm,
)
"""Cells without a c that zoneout can hold: the state is h alone, or c is scaled by other tensors of the state."""
CELLS = Registry("cell", CellKind)


class PositionKind(StrEnum):
    """Position embeddings of the Transformer."""

    sinusoidal = "sinusoidal"
    learned = "learned"


@dataclass
class SideConfig:
    """Encoder or decoder of any kind."""

    kind: str = ""
    """Kind, which decides the other keys; chosen as model/encoder=NAME or model/decoder=NAME."""
    layers: int = 1
    """Number of layers."""

    def problems(self) -> Problems:
        for name in (key.name for key in fields(self)):
            if name in NOISE:
                yield from number(self, name, 0, 0.95)
            elif name in ("layers", "kernel_width"):
                yield from number(self, name, 1, 100)
            elif name in ("heads", "feed_forward_size", "attention_window"):
                yield from number(self, name, 1, 1 << 16)
            elif name == "max_positions":
                yield from number(self, name, 1, 1 << 20)

    def size_problems(self, embed_size: int, hidden_size: int) -> Problems:
        """Yield the problems of this side with the sizes of the model; they name a key of the side or a size."""
        yield from ()

    def matrices(self, embed_size: int, hidden_size: int) -> list[int]:
        """Return numbers of values of some of the largest matrices, from which a model's size is bounded below."""
        return []


@dataclass
class RecurrentSide(SideConfig):
    """Stack of recurrent layers."""

    cell: str = field(default=CellKind.lstm, metadata={"registry": CELLS})
    """Recurrent cell: lstm, gru, rnn (tanh), or layer_norm_lstm (Ba et al. 2016, normalised per gate). reference_lstm
    and reference_gru compute the same as lstm and gru slowly, gate by gate, for inspection. Without a recurrent matrix:
    ssru (Kim et al. 2019), sru (Lei et al. 2018), min_gru, min_lstm (Feng et al. 2024), rg_lru (De et al. 2024, with
    its short convolution). slstm (Beck et al. 2024) has exponential gates and a recurrent matrix per head. With a
    matrix memory: mlstm (Beck et al. 2024), gated_delta (Yang et al. 2025), and its settings delta_net, mamba2, gla."""
    pre_norm: bool = False
    """Normalise the input of each layer (Xiong et al. 2020) and multiply its output by a matrix, as in the blocks of
    De et al. 2024 and Beck et al. 2024; with residual connections."""
    convolution: int | None = None
    """Width in tokens of a causal convolution of each unit, with silu, before each layer's cell (Beck et al. 2024 and
    Yang et al. 2025: 4); null: none."""
    residual_from: int | None = 2
    """First layer, counted from 1, with a residual connection from its input to its output; null: none (GNMT: 3).
    1 adds the embeddings to the output of the bottom layer, as the papers of `pre_norm` do; where widths differ, the
    layer reads and adds their product with a matrix. Not with the decoders bahdanau and conditional."""
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

    least_residual: ClassVar[int] = 2
    """Smallest value of `residual_from`."""

    @property
    def has_block(self) -> bool:
        """True if layers have parts of a block around their cell."""
        return self.pre_norm or self.convolution is not None

    def problems(self) -> Problems:
        yield from super().problems()
        yield from number(self, "residual_from", self.least_residual)
        yield from number(self, "convolution", 2, 64)
        if self.convolution is not None and self.cell == CellKind.rg_lru:
            yield "convolution", f"is {self.convolution} but the cell rg_lru has its own convolution; set it to null"
        yield from CELLS.problems(self, "cell")
        if not has_recurrent_matrix(self.cell):
            for name in ("weight_drop", "recurrent_dropout"):
                if (value := getattr(self, name)) > 0:
                    yield name, f"is {value} but the cell {self.cell} has no recurrent matrix; set it to 0"
        if self.cell in MATRIX_MEMORY_CELLS:
            for name in ("zoneout_h", "zoneout_c"):
                if (value := getattr(self, name)) > 0:
                    yield name, f"is {value} but the cell {self.cell} has a matrix memory without zoneout; set it to 0"
        elif self.zoneout_c > 0 and not has_c(self.cell):
            yield (
                "zoneout_c",
                f"is {self.zoneout_c} but the cell {self.cell} has no c to hold; allowed: 0, use zoneout_h",
            )

    def matrices(self, embed_size: int, hidden_size: int) -> list[int]:
        return [embed_size * hidden_size, hidden_size**2 * (self.cell not in CELLS_WITHOUT_MATRIX)]


@dataclass
class TransformerSide(SideConfig):
    """Stack of Transformer layers, all of width `embed_size`."""

    heads: int = 4
    """Heads of each attention (Vaswani et al. 2017, 3.2.2)."""
    feed_forward_size: int = 1024
    """Inner width of the feed-forward layers (Vaswani et al. 2017, 3.3)."""
    pre_norm: bool = False
    """Normalise the input of each sublayer (Xiong et al. 2020) instead of its output (Vaswani et al. 2017)."""
    positions: PositionKind = PositionKind.sinusoidal
    """Position embeddings: sinusoidal (Vaswani et al. 2017, 3.5) or learned."""
    max_positions: int = 512
    """Rows of the table of learned positions, in tokens; later tokens use the last row."""

    def size_problems(self, embed_size: int, hidden_size: int) -> Problems:
        yield from heads_problems(self, "embed_size", embed_size)
        if self.positions == PositionKind.sinusoidal and embed_size % 2:
            yield "embed_size", f"is {embed_size}; allowed: even numbers with sinusoidal positions"

    def matrices(self, embed_size: int, hidden_size: int) -> list[int]:
        positions = self.max_positions * (self.positions == PositionKind.learned)
        return [embed_size * size for size in (embed_size, self.feed_forward_size, positions)]


@dataclass
class ConvolutionalSide(SideConfig):
    """Stack of convolutions of width `hidden_size`."""

    kernel_width: int = 3
    """Width of the convolutions, in tokens; an odd number."""
    max_positions: int = 512
    """Rows of the table of learned positions, in tokens; later tokens use the last row."""

    def problems(self) -> Problems:
        yield from super().problems()
        if self.kernel_width % 2 == 0:
            yield "kernel_width", f"is {self.kernel_width}; allowed: odd numbers"

    def matrices(self, embed_size: int, hidden_size: int) -> list[int]:
        return [embed_size * hidden_size, embed_size * self.max_positions, self.kernel_width * hidden_size**2]


def has_recurrent_matrix(cell: str) -> bool:
    """Return whether a cell multiplies its previous state by a matrix; True for a name that is not registered."""
    kind = CELLS.registered.get(cell)
    return cell not in CELLS_WITHOUT_MATRIX if kind is None else bool(kind.recurrent)


def has_c(cell: str) -> bool:
    """Return whether a cell's state has a c that zoneout can hold; True for a name that is not registered."""
    kind = CELLS.registered.get(cell)
    return cell not in CELLS_WITHOUT_C if kind is None else bool(kind.states > 1)


def heads_problems(config: Any, divided: str, width: int) -> Problems:
    """Yield a problem if a width cannot be divided among the heads of an attention."""
    if config.heads > 0 and (width % config.heads or width < config.heads):
        yield "heads", f"is {config.heads}; allowed: divisors of {divided}, {width}"
