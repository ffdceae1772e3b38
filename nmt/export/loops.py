"""Computations of the models in a form that can be traced at every size.

PyTorch's tracing exporter unrolls a loop over time. The loop of a recurrent layer is therefore traced as one node,
which `nmt.export.graphs` replaces by a Scan with the step of the cell as its body.

B sentences with K hypotheses each, S source length, T steps of a layer, G units of its input products.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nmt.models.attention import MultiHeadAdditiveAttention
from nmt.models.layers.fused import GRU, LSTM, RNN, MaskedLayer
from nmt.models.layers.recurrent import LayerState, RecurrentLayer

DOMAIN, LOOP = "nmt", "RecurrentLoop"
"""Domain and name of the node that stands for a loop over time."""
FUSED = (LSTM, GRU, RNN)
"""Layers that are one operator of ONNX."""


class CellStep(nn.Module):
    """One step of a recurrent layer on a left-padded batch; the state stays zero on the padding."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map the tensors of the state, input products (B, G) and mask (B, 1) to the next state."""
        *state, products, real = inputs
        after = self.layer.advance(products, tuple(state))
        return tuple(part * real.view(-1, *[1] * (part.dim() - 1)) for part in after)


@dataclass(frozen=True)
class TracedLoop:
    """Loop of a layer over time that was traced as one node."""

    step: CellStep
    """Body of the loop."""
    examples: tuple[Tensor, ...]
    """Inputs of the body for two sentences."""


class RecurrentLoop(torch.autograd.Function):
    """Loop of a recurrent layer over time, traced as one node.

    Args of `apply`: the body, its number, input products (T, B, G), mask as numbers (T, B, 1), and the tensors of the
    first state. Result: the outputs (T, B, H) and the tensors of the last state.
    """

    @staticmethod
    def forward(ctx: Any, body: CellStep, number: int, products: Tensor, real: Tensor, *state: Tensor) -> Any:
        """Return zeros: a trace needs shapes alone, and the tracer refuses the parameters of the cell here."""
        outputs = products.new_zeros(*products.shape[:2], body.layer.hidden_size)
        return outputs, *(torch.zeros_like(part) for part in state)

    @staticmethod
    def symbolic(g: Any, body: CellStep, number: int, products: Any, real: Any, *state: Any) -> Any:
        results = g.op(f"{DOMAIN}::{LOOP}", products, real, *state, number_i=number, outputs=1 + len(state))
        results[0].setType(products.type().with_sizes([None, None, body.layer.hidden_size]))
        for result, part in zip(results[1:], state, strict=True):
            result.setType(part.type())
        return tuple(results)


def run_loop(
    loops: list[TracedLoop],
    layer: RecurrentLayer,
    x: Tensor,
    state: LayerState | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, LayerState]:
    """Run a layer as `RecurrentLayer.forward` does, with its loop as one node of the graph."""
    real = torch.ones_like(x[..., :1]) if mask is None else mask.unsqueeze(-1).to(x.dtype)
    products = layer.input_product(x * real)
    first = state or layer.zero_state(x)
    body = CellStep(layer)
    examples = (*first, products[0], real[0])
    loops.append(TracedLoop(body, tuple(torch.zeros(2, *part.shape[1:]) for part in examples)))
    outputs, *last = RecurrentLoop.apply(body, len(loops) - 1, products, real, *first)  # type: ignore[no-untyped-call]
    return outputs, tuple(last)


def scores_by_head(attention: MultiHeadAdditiveAttention, query: Tensor, keys: Tensor) -> Tensor:
    """Compute `MultiHeadAdditiveAttention.scores` without a block-diagonal matrix, which ONNX does not have."""
    mixed = (query.unsqueeze(2) + keys.unsqueeze(1)).tanh()  # (B, T, S, A)
    by_head = mixed.view(*mixed.shape[:3], *attention.energy.shape) * attention.energy  # (B, T, S, N, A/N)
    return by_head.sum(dim=-1).permute(0, 3, 1, 2)


@contextmanager
def traceable(model: nn.Module) -> Iterator[list[TracedLoop]]:
    """Replace computations that cannot be traced at every size, and yield the list of the loops that are traced."""
    loops: list[TracedLoop] = []
    replaced: list[tuple[nn.Module, str]] = []

    def replace(module: nn.Module, name: str, function: Any) -> None:
        module.__dict__[name] = function
        replaced.append((module, name))

    for module in model.modules():
        fused = isinstance(module, MaskedLayer) or (type(module) in FUSED and not getattr(module, "zoneout", ()))
        if isinstance(module, RecurrentLayer) and not fused:
            replace(module, "forward", partial(run_loop, loops, module))
        if isinstance(module, MultiHeadAdditiveAttention):
            replace(module, "scores", partial(scores_by_head, module))
    try:
        yield loops
    finally:
        for module, name in replaced:
            del module.__dict__[name]
