"""Recurrences without a recurrent matrix: the state before enters a step element by element.

All products of a sequence are made before the loop over time, which then has elementwise operations alone. At the
lengths of sentences such a loop is faster on a CPU than the scans of the papers, which recompute in log space.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from nmt.models.layers.recurrent import LayerState, LinearInputLayer, RecurrentLayer


class LinearRecurrence(Function):
    """c_t = decay_t c_{t-1} + added_t, element by element, with its own backward loop.

    Args of `apply`: decay (T, B, H), added (T, B, H), initial state (B, H). Result: all states (T, B, H).
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, added: Tensor, initial: Tensor) -> Tensor:
        states = torch.empty_like(added)
        state = initial
        for t in range(len(added)):
            state = torch.addcmul(added[t], decay[t], state, out=states[t])
        ctx.save_for_backward(decay, states, initial)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dL/dc_t = gradient_t + decay_{t+1} dL/dc_{t+1}, from the last step to the first."""
        decay, states, initial = ctx.saved_tensors
        by_state = torch.empty_like(states)
        carried = torch.zeros_like(initial)
        for t in reversed(range(len(states))):
            torch.add(gradient[t], carried, out=by_state[t])
            carried = decay[t] * by_state[t]
        before = torch.cat([initial.unsqueeze(0), states[:-1]])
        return by_state * before, by_state, carried


class ElementwiseLayer(LinearInputLayer):
    """A layer with `products` products of its input, each (.., H), and an elementwise recurrence of c.

    The state is (h, c) where the output differs from c, otherwise (c,).
    """

    products: int
    output_bound = float("inf")

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(hidden_size, zoneout[: self.states])
        self.input = nn.Linear(input_size, self.products * hidden_size)
        with torch.no_grad():
            for weight in self.input.weight.chunk(self.products):
                nn.init.xavier_uniform_(weight)
            self.input.bias.zero_()

    def coefficients(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """Return decay and added term of the recurrence, each (..., H), from the input products (..., G)."""
        raise NotImplementedError

    def output(self, state: Tensor, products: Tensor) -> Tensor:
        """Return the layer's output (..., H) from c (..., H) and the input products (..., G)."""
        return state

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        decay, added = self.coefficients(inputs)
        c = decay * state[-1] + added
        return (c,) if self.states == 1 else (self.output(c, inputs), c)

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        return self.coefficients(inputs)[0]

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """Run the recurrence in one loop; zoneout takes the loop over cells. Arguments are those of the base class."""
        if self.zoneout:
            return super().forward(x, state, mask)
        products = self.input_product(x)
        wide = torch.promote_types(products.dtype, torch.float32)
        decay, added = self.coefficients(products.to(wide))
        if mask is not None:  # the state stays zero on the padding, which comes first
            decay, added = decay * mask.unsqueeze(-1), added * mask.unsqueeze(-1)
        initial = x.new_zeros(x.size(1), self.hidden_size) if state is None else state[-1]
        states: Tensor = LinearRecurrence.apply(decay, added, initial.to(wide))  # type: ignore[no-untyped-call]
        outputs = self.output(states, products.to(wide))
        if mask is not None:
            outputs = outputs * mask.unsqueeze(-1)
        outputs, c = outputs.to(products.dtype), states[-1].to(products.dtype)
        return outputs, (c,) if self.states == 1 else (outputs[-1], c)


class SSRU(ElementwiseLayer):
    """f = sigmoid(W_f x + b_f),  c' = f c + (1 - f) W x,  h' = relu(c').

    Simpler simple recurrent unit of Kim et al. 2019 (eq. 3 to 5), the decoder cell of fast translation models. The
    product W x has a bias here.
    """

    products, states = 2, 2
    reads_output = False

    def coefficients(self, products: Tensor) -> tuple[Tensor, Tensor]:
        forget, candidate = products.chunk(2, dim=-1)
        decay = forget.sigmoid()
        return decay, (1 - decay) * candidate

    def output(self, state: Tensor, products: Tensor) -> Tensor:
        return state.relu()


class MinGRU(ElementwiseLayer):
    """z = sigmoid(W_z x + b_z),  h' = (1 - z) h + z g(W x + b),  g(v) = v + 1/2 for v >= 0, otherwise sigmoid(v).

    Minimal GRU of Feng et al. 2024 (3.1), with the candidate of their appendix B, which keeps the state positive.
    """

    products, states = 2, 1

    def coefficients(self, products: Tensor) -> tuple[Tensor, Tensor]:
        update, candidate = products.chunk(2, dim=-1)
        share = update.sigmoid()
        return 1 - share, share * positive(candidate)


class MinLSTM(ElementwiseLayer):
    """f = sigmoid(W_f x + b_f),  i = sigmoid(W_i x + b_i),  h' = f/(f+i) h + i/(f+i) g(W x + b), g as in `MinGRU`.

    Minimal LSTM of Feng et al. 2024 (3.2). The normalised forget gate is sigmoid(log f - log i).
    """

    products, states = 3, 1

    def coefficients(self, products: Tensor) -> tuple[Tensor, Tensor]:
        forget, write, candidate = products.chunk(3, dim=-1)
        decay = (logsigmoid(forget) - logsigmoid(write)).sigmoid()
        return decay, (1 - decay) * positive(candidate)


def positive(x: Tensor) -> Tensor:
    """Return x + 1/2 where x >= 0, otherwise sigmoid(x): continuous, increasing and above zero."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


class SRU(ElementwiseLayer):
    """f, r = sigmoid(W x + v c + b),  c' = f c + (1 - f) W x,  h' = r c' + (1 - r) W_h x.

    Simple recurrent unit of Lei et al. 2018 (eq. 1 to 4): the gates read the cell before, element by element. The
    highway input is always projected (W_h), as the paper does where the widths differ.
    """

    products, states = 4, 2
    reads_output = False

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(input_size, hidden_size, zoneout)
        self.gate_state = nn.Parameter(torch.empty(2, hidden_size))
        with torch.no_grad():
            nn.init.uniform_(self.gate_state, -(3**0.5), 3**0.5)  # of variance one, as in the paper (3.2)

    forward = RecurrentLayer.forward  # the gates read c, so that the decay of a sequence is not known in advance

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        candidate, _, reset, highway = inputs.chunk(4, dim=-1)
        _, c = state
        forget, reset = self.kept_share(inputs, state), (reset + self.gate_state[1] * c).sigmoid()
        c = candidate + forget * (c - candidate)
        return highway + reset * (c - highway), c

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        return (inputs.chunk(4, dim=-1)[1] + self.gate_state[0] * state[1]).sigmoid()
