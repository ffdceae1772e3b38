"""Word embeddings in a scale that suits both ends of the network."""

from torch import Tensor, nn


class Embedding(nn.Embedding):
    """A table whose rows start with an expected length of one, read out times the fourth root of E.

    Rows of length one suit the output projection that they may be shared with; the LSTM wants inputs near one. Read
    unscaled, gates and attention start out flat, and a model spends its first thousand steps on that plateau. Read
    times sqrt(E), as Vaswani et al. 2017 (3.4), the gradient through the LSTM drowns the one through the projection,
    and the tied table ends up worse. This is the geometric middle of the two.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__(size, width)
        nn.init.normal_(self.weight, std=width**-0.5)
        self.scale: float = width**0.25

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids (...) to vectors (..., E)."""
        return super().forward(tokens) * self.scale
