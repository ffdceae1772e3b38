"""Configuration of the encoder: `model.encoder.*`."""

from dataclasses import dataclass

from nmt.config.checks import number
from nmt.config.side import (
    CELLS_WITHOUT_MATRIX,
    CellKind,
    ConvolutionalSide,
    Problems,
    RecurrentSide,
    SideConfig,
    TransformerSide,
)


@dataclass
class EncoderConfig(SideConfig):
    """Encoder of any kind."""


@dataclass
class RecurrentEncoderConfig(RecurrentSide, EncoderConfig):
    """Stacked recurrent layers."""

    least_residual = 1

    kind: str = "recurrent"
    bidirectional: bool = True
    """Use bidirectional layers."""
    bidirectional_layers: int | None = None
    """Number of bidirectional layers, from the bottom; null: all (GNMT: 1)."""
    direction_size: int | None = None
    """Width of each direction; null: half of `hidden_size`. The output is projected where its width differs from
    `hidden_size`."""
    transitions: int = 1
    """Cells per time step in each layer; above 1 the layers are deep transitions (Pascanu et al. 2014)."""
    feed_forward: int | None = None
    """Inner width of a feed-forward block after each layer (Domhan 2018); null: no such block."""
    reverse_source: bool = False
    """Read the source tokens from last to first (Sutskever et al. 2014, 3.3)."""

    def problems(self) -> Problems:
        yield from super().problems()
        yield from number(self, "direction_size", 1, 1 << 16)
        yield from number(self, "feed_forward", 1, 1 << 16)
        yield from number(self, "transitions", 1, 100)
        if self.transitions > 1 and self.cell in CELLS_WITHOUT_MATRIX and self.cell != CellKind.sru:
            yield (
                "transitions",
                f"is {self.transitions} but the gates of {self.cell} read only the input, which the second cell of a "
                "transition does not have; set it to 1",
            )
        if self.layers >= 1:
            yield from number(self, "bidirectional_layers", 1, self.layers)
        for name in ("bidirectional_layers", "direction_size"):
            if not self.bidirectional and getattr(self, name) is not None:
                yield name, f"is {getattr(self, name)} but bidirectional is false; allowed: null"

    def size_problems(self, embed_size: int, hidden_size: int) -> Problems:
        if not 1 <= self.layers <= 100:  # reported by `problems`
            return
        if self.bidirectional and self.direction_size is None and hidden_size % 2:
            yield "hidden_size", f"is {hidden_size}; allowed: even numbers, because each direction gets half"
        both, widths = self.layer_widths(hidden_size)
        seam = both.count(True) + 1  # first unidirectional layer
        if self.residual_from is not None and self.residual_from <= seam <= self.layers and widths[0] != widths[-1]:
            yield (
                "residual_from",
                f"is {self.residual_from}; allowed: null, or above {seam}, "
                f"where layers of width {widths[0]} and {hidden_size} meet",
            )

    def matrices(self, embed_size: int, hidden_size: int) -> list[int]:
        both, widths = self.layer_widths(hidden_size)
        return super().matrices(embed_size, max(w // (1 + two) for two, w in zip(both, widths, strict=True)))

    def layer_widths(self, hidden_size: int) -> tuple[list[bool], list[int]]:
        """Return, per layer from the bottom, whether it is bidirectional and the width of its output."""
        count = (self.layers if self.bidirectional_layers is None else self.bidirectional_layers) * self.bidirectional
        both = [depth < count for depth in range(self.layers)]
        direction = self.direction_size or hidden_size // 2
        return both, [2 * direction if two else hidden_size for two in both]


WITH_CONVOLUTION = (
    *(CellKind.min_gru, CellKind.min_lstm, CellKind.slstm, CellKind.mlstm),
    *(CellKind.gated_delta, CellKind.delta_net, CellKind.mamba2),
)
"""Cells whose papers put a short convolution before them."""


def encoder_of_cell(cell: str) -> RecurrentEncoderConfig:
    """Return the encoder `model/encoder=CELL`, with the block in which its paper stacks the cell."""
    convolution = 4 if cell in WITH_CONVOLUTION else None
    pre_norm = convolution is not None or cell in (CellKind.rg_lru, CellKind.gla)
    first = 1 if pre_norm else 2
    return RecurrentEncoderConfig(cell=cell, pre_norm=pre_norm, convolution=convolution, residual_from=first)


@dataclass
class TransformerEncoderConfig(TransformerSide, EncoderConfig):
    """Transformer encoder (Vaswani et al. 2017)."""

    kind: str = "transformer"


@dataclass
class ConvolutionalEncoderConfig(ConvolutionalSide, EncoderConfig):
    """Convolutional encoder (Gehring et al. 2017)."""

    kind: str = "convolutional"


ENCODERS: dict[str, type[EncoderConfig]] = {
    "recurrent": RecurrentEncoderConfig,
    "transformer": TransformerEncoderConfig,
    "convolutional": ConvolutionalEncoderConfig,
}
"""Configuration class of each kind of encoder."""
