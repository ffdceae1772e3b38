"""Layers whose state is a matrix per head, in which keys are associated with values.

B sentences, T steps, H width, N heads of D = H / N units. A matrix is (B, N, D, D): keys in its rows, values in its
columns. A sequence is read in a form that is quadratic in its length and has no loop over time; search takes steps.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from nmt.models.layers.recurrent import LayerState, LinearInputLayer

HEADS = 4
"""Number of heads of a layer whose width allows it."""


def memory_heads(width: int) -> int:
    """Return the number of heads: 4, or 2 or 1 where a head would not have a whole number of units, at least two."""
    return next((heads for heads in (HEADS, 2) if width % heads == 0 and width >= 2 * heads), 1)


class HeadNorm(nn.Module):
    """Root-mean-square norm of the units of each head (Zhang and Sennrich 2019), with a gain per unit."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalise values (..., N, D) and concatenate the heads, (..., H)."""
        scale = (x.square().mean(dim=-1, keepdim=True) + self.epsilon).rsqrt()
        return (x * scale).flatten(-2) * self.weight.to(x.dtype)


class MatrixMemoryLayer(LinearInputLayer):
    """Layer with a matrix memory: queries, keys, values, an output gate, and gates that differ between the subclasses.

    The state is (h, memory, ...). The memory is in float32 at least, as it sums over all steps. A decoder's first
    memory holds one association, of the bridge's h as the key with its c as the value.
    """

    output_bound = float("inf")
    delta_rule = False
    """True where a step first takes out the value that the memory returns for its key."""
    chunk: int | None = None
    """Largest number of steps that are read at once; None: the whole sequence."""

    def __init__(self, input_size: int, hidden_size: int, gates: int) -> None:
        """Initialise the layer.

        Args:
            input_size: number of input features I.
            hidden_size: width H.
            gates: number of units of the further gates.
        """
        super().__init__(hidden_size)
        self.heads = memory_heads(hidden_size)
        self.sizes = [hidden_size] * 4 + [gates] * (gates > 0)
        self.input = nn.Linear(input_size, sum(self.sizes))
        self.norm = HeadNorm(hidden_size)
        with torch.no_grad():
            for weight in torch.split(self.input.weight, self.sizes):
                nn.init.xavier_uniform_(weight)
            self.input.bias.zero_()

    @classmethod
    @abstractmethod
    def input_units(cls, hidden_size: int) -> int:
        """Return the number of input products of a layer of width H."""

    @abstractmethod
    def sequence(
        self, products: Tensor, memory: LayerState, mask: Tensor | None, empty: bool
    ) -> tuple[Tensor, LayerState]:
        """Read a sequence at once.

        Args:
            products: input products (T, B, G).
            memory: state before the first step, without h.
            mask: True on real tokens, (T, B), with the padding on the left; None: no padding.
            empty: True if the memory holds nothing.

        Returns:
            The outputs (T, B, H) and the last memory.
        """

    @abstractmethod
    def read_step(self, products: Tensor, memory: LayerState) -> tuple[Tensor, LayerState]:
        """Take one step from input products (B, G); return the output (B, H) and the memory after the step."""

    @abstractmethod
    def associate(self, key: Tensor, value: Tensor) -> LayerState:
        """Return a memory of one association, both (B, N, D)."""

    @classmethod
    def bridged(cls) -> int:
        return 2

    def summary(self, state: LayerState) -> LayerState:
        return state[:1]

    def complete(self, vectors: LayerState) -> LayerState:
        h, value = vectors
        wide = torch.promote_types(h.dtype, torch.float32)
        return h, *self.associate(self.split(h.to(wide)), self.split(value.to(wide)))

    def zero_state(self, x: Tensor) -> LayerState:
        h = x.new_zeros(x.size(1), self.hidden_size)
        return self.complete((h, h))

    def split(self, x: Tensor) -> Tensor:
        """Split values (..., H) into heads, (..., N, D)."""
        return x.reshape(*x.shape[:-1], self.heads, -1)

    def by_head(self, x: Tensor) -> Tensor:
        """Put the heads of a sequence (T, B, N D) before its steps, (B, N, T, D)."""
        return self.split(x).permute(1, 2, 0, 3)

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        with torch.autocast(inputs.device.type, enabled=False):
            wide = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
            output, memory = self.read_step(wide, state[1:])
        return output.to(inputs.dtype), *memory

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """Read a sequence without a loop over time. Arguments are those of the base class."""
        products = self.input_product(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = products.to(torch.promote_types(products.dtype, torch.float32))
            memory = (self.zero_state(wide) if state is None else state)[1:]
            outputs, memory = self.sequence(wide, memory, mask, empty=state is None)
            if mask is not None:
                outputs = outputs * mask.unsqueeze(-1)
        outputs = outputs.to(products.dtype)
        return outputs, (outputs[-1], *memory)
