"""Word embeddings in a scale that suits both ends of the network, and the positions of words."""

import torch
from torch import Tensor, nn

from nmt.config import PositionKind


class Embedding(nn.Embedding):
    """A table whose rows start with an expected length of one, read out times the fourth root of E.

    Rows of length one suit the output projection that they may be shared with; the LSTM wants inputs near one. Read
    unscaled, gates and attention start out flat, and a model spends its first thousand steps on that plateau. Read
    times sqrt(E), as Vaswani et al. 2017 (3.4), the gradient through the LSTM drowns the one through the projection,
    and the tied table ends up worse. This is the geometric middle of the two. The Transformer has the exponent
    1/2 of its paper; the convolutions, whose attention is not scaled, want small inputs, and have the exponent 0.
    """

    def __init__(self, size: int, width: int, exponent: float = 0.25) -> None:
        super().__init__(size, width)
        nn.init.normal_(self.weight, std=width**-0.5)
        self.scale: float = width**exponent

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids (...) to vectors (..., E)."""
        return super().forward(tokens) * self.scale


class Positions(nn.Module):
    """A vector for each position of a sentence, for models that read it at once: waves, or a learned table."""

    def __init__(self, kind: PositionKind, rows: int, width: int) -> None:
        """
        Args:
            rows: of the learned table.
        """
        super().__init__()
        self.width = width
        self.rows = rows
        self.table: nn.Embedding | None = None
        if kind == PositionKind.learned:
            self.table = nn.Embedding(rows, width)
            nn.init.normal_(self.table.weight, std=width**-0.5)

    def forward(self, words: Tensor, positions: Tensor) -> Tensor:
        """Adds to embeddings (..., E) the vectors of their positions (...), counted from 0, in their type.

        The table's last row stands for all positions that come later.
        """
        if self.table is None:
            return words + sinusoidal_positions(positions, self.width).to(words.dtype)
        vectors: Tensor = self.table(positions.clamp(max=self.rows - 1))
        return words + vectors


def sinusoidal_positions(positions: Tensor, width: int) -> Tensor:
    """sin(p / 10000^(2 i / E)) for i from 0 to below E / 2, and then the cosines: Vaswani et al. 2017, 3.5.

    There sines and cosines alternate; the order is nothing to a network that learns from the start.
    """
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angles = positions.unsqueeze(-1) * 10_000**-exponents  # (..., E/2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
