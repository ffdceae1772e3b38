"""Token embeddings and position embeddings."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nmt.config import PositionKind
from nmt.data import UNKNOWN_FACTOR


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


class FactoredEmbedding(nn.Module):
    """Embedding of source ids that contain factors (Sennrich and Haddow 2016, eq. 6): concatenated, or added.

    `nmt.data.source_form` defines the ids.
    """

    def __init__(self, pieces: Embedding, sizes: Sequence[int], width: int | None, exponent: float) -> None:
        """
        Args:
            pieces: embedding of the pieces; it may be shared with the target.
            sizes: number of values of each factor.
            width: width of each factor's embedding, which is concatenated; None: it is as wide as that of the piece, to
                which it is added.
            exponent: exponent of the scale.
        """
        super().__init__()
        self.pieces = pieces
        self.sizes = tuple(sizes)
        self.concatenated = width is not None
        self.factors = nn.ModuleList(Embedding(size, width or pieces.embedding_dim, exponent) for size in sizes)
        with torch.no_grad():
            for table in self.factors:
                table.get_parameter("weight")[UNKNOWN_FACTOR].zero_()  # it is never trained

    def forward(self, tokens: Tensor) -> Tensor:
        """Look up ids (...) and return vectors (..., E)."""
        size = self.pieces.num_embeddings
        vectors, code = [self.pieces(tokens % size)], tokens // size
        for table, values in zip(self.factors, self.sizes, strict=True):
            vectors.append(table(code % values))
            code = code // values
        return torch.cat(vectors, dim=-1) if self.concatenated else torch.stack(vectors).sum(dim=0)


SourceEmbedding = Embedding | FactoredEmbedding
"""Embedding of source ids, (...) to (..., E)."""


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
