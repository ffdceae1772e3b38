"""The recurrent layers: one LSTM that is exact under padding, one step of it, and dropout in time.

Sequences are time-major, (T, B, features), which is how the fused kernels read them.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.models.int8 import Int8Linear

LSTMState = tuple[Tensor, Tensor]  # h, c, each (B, H)
STEP_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


class MaskedLSTM(nn.Module):
    """One LSTM layer over left-padded sequences, whose outputs and last state do not depend on the padding.

    The mask is one more input feature and its weights are the bias: `W x + b m`. On padding both x and m are zero,
    so every gate reads zero, the candidate tanh(0) is zero and the state stays exactly zero until the first real
    token (h = o tanh(c) with c = f 0 + i 0). The last state is therefore the last step's, for every sentence. The
    common way, packing, sends the processor down a step-by-step path that trains about three times slower.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size + 1, hidden_size, bias=False)
        initialise(self.lstm)
        bias = parameter(self.lstm, "weight_ih_l0").detach()[:, -1]
        bias.zero_()
        bias[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, LSTMState]:
        """
        Args:
            x: inputs, (T, B, I).
            mask: True on real tokens, which end each column, (T, B).

        Returns:
            The outputs (T, B, H), zero on padding, and the last state (h, c), each (B, H).
        """
        real = mask.unsqueeze(-1).to(x.dtype)  # (T, B, 1)
        outputs, (h, c) = self.lstm(torch.cat([x * real, real], dim=-1))
        return outputs, (h.squeeze(0), c.squeeze(0))


class StepLSTM(nn.LSTM):
    """A layer with plain biases, for sequences whose padding is at the end and never looked at (the decoder's).

    It runs over a sequence in the fused kernel, or one step as matrix products: a fused kernel called for one step
    sorts its weights anew each time.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        initialise(self)
        for name in ("bias_ih_l0", "bias_hh_l0"):
            parameter(self, name).detach().zero_()
        parameter(self, "bias_ih_l0").detach()[hidden_size : 2 * hidden_size] = 1.0
        self.int8: tuple[Int8Linear, Int8Linear] | None = None

    def round_to_int8(self, bound: float) -> None:
        """From now on a step multiplies 8-bit integers; its inputs lie between -bound and bound."""
        w, u, b_w, b_u = (parameter(self, name) for name in STEP_WEIGHTS)
        self.int8 = Int8Linear(w, b_w, bound), Int8Linear(u, b_u, 1.0)

    def step(self, x: Tensor, state: LSTMState) -> LSTMState:
        """One time step (Hochreiter and Schmidhuber 1997, with the forget gate of Gers 2000).

            i, f, o = sigmoid(W x + U h + b),  g = tanh(W x + U h + b),  c' = f c + i g,  h' = o tanh(c')

        Args:
            x: inputs, (B, I).
            state: h and c of the step before, each (B, H).
        """
        h, c = state
        if self.int8 is None:
            w, u, b_w, b_u = (parameter(self, name) for name in STEP_WEIGHTS)
            gates = linear(x, w, b_w) + linear(h, u, b_u)
        else:
            gates = self.int8[0](x).add_(self.int8[1](h))
        i, f, g, o = gates.chunk(4, dim=-1)  # torch's order of the rows
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


def initialise(layer: nn.LSTM) -> None:
    """Glorot-uniform input weights, orthogonal recurrent weights gate by gate (Saxe et al. 2014).

    The forget gates' bias is set to 1 by the callers, so that a new cell remembers (Jozefowicz et al. 2015).
    """
    for gate in parameter(layer, "weight_ih_l0").detach().chunk(4):
        nn.init.xavier_uniform_(gate)
    for gate in parameter(layer, "weight_hh_l0").detach().chunk(4):
        nn.init.orthogonal_(gate)


def parameter(layer: nn.LSTM, name: str) -> Tensor:
    """A parameter by torch's name for it; torch's own attributes have no type."""
    return layer.get_parameter(name)


def reverse_within_length(mask: Tensor) -> Tensor:
    """Indices that reverse each left-padded column of (T, B) within its own length and leave the padding in place."""
    steps, _ = mask.shape
    position = torch.arange(steps, device=mask.device).unsqueeze(1)  # (T, 1)
    mirrored = 2 * steps - 1 - mask.sum(dim=0) - position  # (T, B): the first real token is at T - length
    return torch.where(mask, mirrored, position)


class Dropout(nn.Module):
    """Dropout on (T, B, F), with one mask for all time steps of a sentence (Gal and Ghahramani 2016) or one a step."""

    def __init__(self, probability: float, fixed_masks: bool) -> None:
        super().__init__()
        self.probability = probability
        self.fixed_masks = fixed_masks

    def mask(self, like: Tensor) -> Tensor | None:
        """A mask that broadcasts over `like`, (T, B, F), scaled to keep the mean; None where nothing is dropped."""
        if not self.training or self.probability == 0.0:
            return None
        steps, batch, features = like.shape
        return keep(like.new_empty(1 if self.fixed_masks else steps, batch, features), self.probability)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x)
        return x if mask is None else x * mask


class WordDropout(nn.Module):
    """Drops whole words' embeddings, (T, B, E), so that the model can lean on no single word."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return x
        return x * keep(x.new_empty(*x.shape[:2], 1), self.probability)


def keep(out: Tensor, probability: float) -> Tensor:
    """Fills `out` with 0 (with this probability) and 1 / (1 - probability)."""
    return out.bernoulli_(1 - probability).div_(1 - probability)
