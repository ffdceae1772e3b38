"""Token embeddings and position embeddings."""

import torch
from torch import Tensor, nn

from nmt.config import PositionKind


class Embedding(nn.Embedding):
    """Embedding table with rows of expected length one, whose output is multiplied by E^exponent.

    Rows of length one suit the output projection that may share the table; an LSTM needs inputs near one. Without
    scaling, gates and attention start out almost flat, and training spends its first thousand steps on that plateau.
    With sqrt(E), as in Vaswani et al. 2017 (3.4), the gradient through the LSTM dominates the one through the
    projection, and the shared table ends up worse. The default, the fourth root of E, is the geometric mean of the two.
    Transformers use the exponent 1/2 of their paper; convolutional models, whose attention is not scaled, need small
    inputs and use 0.
    """

    def __init__(self, size: int, width: int, exponent: float = 0.25, shared: "Embedding | None" = None) -> None:
        """Initialise the table, or use that of another embedding of the same size."""
        super().__init__(size, width, _weight=None if shared is None else shared.weight)
        if shared is None:
            nn.init.normal_(self.weight, std=width**-0.5)
        else:
            self.weight = shared.weight
        self.scale: float = width**exponent

    def forward(self, tokens: Tensor) -> Tensor:
        """Look up ids (...) and return vectors (..., E)."""
        return super().forward(tokens) * self.scale


class Positions(nn.Module):
    """Position embeddings for models that process a sentence in parallel: sinusoidal or learned."""

    def __init__(self, kind: PositionKind, rows: int, width: int) -> None:
        """Initialise the table of learned positions; sinusoidal positions have no parameters.

        Args:
            kind: sinusoidal or learned.
            rows: number of rows of the learned table.
            width: width E of the embeddings.
        """
        super().__init__()
        self.width = width
        self.rows = rows
        self.table: nn.Embedding | None = None
        if kind == PositionKind.learned:
            self.table = nn.Embedding(rows, width)
            nn.init.normal_(self.table.weight, std=width**-0.5)

    def forward(self, words: Tensor, positions: Tensor) -> Tensor:
        """Add position vectors to embeddings (..., E), in the type of the embeddings.

        Positions (...) are counted from 0. Positions beyond the learned table use its last row.
        """
        if self.table is None:
            return words + sinusoidal_positions(positions, self.width).to(words.dtype)
        vectors: Tensor = self.table(positions.clamp(max=self.rows - 1))
        return words + vectors


def sinusoidal_positions(positions: Tensor, width: int) -> Tensor:
    """Return sin(p / 10000^(2 i / E)) for 0 <= i < E / 2, followed by the cosines (Vaswani et al. 2017, 3.5).

    The paper alternates sines and cosines. The order makes no difference to a network trained from scratch.
    """
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angles = positions.unsqueeze(-1) * 10_000**-exponents  # (..., E/2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
