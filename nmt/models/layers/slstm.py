"""LSTM with exponential gates, a normaliser and a stabiliser (Beck et al. 2024)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from nmt.models.layers.block_diagonal import BlockDiagonal
from nmt.models.layers.recurrent import LayerState, LinearInputLayer


class SLSTM(LinearInputLayer):
    """The sLSTM of Beck et al. 2024 (2.2), whose recurrent matrices R are block-diagonal by head.

        i = exp(~i),   f = sigmoid(~f),   z = tanh(~z),   o = sigmoid(~o),   each ~y = W_y x + R_y h + b_y
        c' = f c + i z,   n' = f n + i,   h' = o c' / n'

    The state is (h, c exp(-m), n exp(-m), m) with the stabiliser m' = max(log f + m, log i), which keeps all
    exponentials at most one and cancels in h'. The forget gate of the paper is exponential or a sigmoid; here it is a
    sigmoid, as in their code. Where n = 0 nothing is kept and m' = log i, so that a state of zeros is an empty cell.
    After the first step the stored n is at least one. |h'| is below one, as c' / n' is a weighted mean of z.
    """

    gates, states = 4, 4
    recurrent = ("state.weight",)

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(hidden_size, zoneout[:1])
        self.input = nn.Linear(input_size, self.gates * hidden_size)
        self.state = BlockDiagonal(hidden_size, self.gates)
        with torch.no_grad():
            for gate in self.input.weight.chunk(self.gates):
                nn.init.xavier_uniform_(gate)
            for block in self.state.blocks():
                nn.init.orthogonal_(block)
            self.input.bias.zero_()
            self.input.bias[hidden_size : 2 * hidden_size] = 1.0  # bias of the forget gate

    def state_product(self, h: Tensor) -> Tensor:
        product: Tensor = self.state(self.drop_state(h))
        return product

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        _, c, n, _ = state
        decay, write, z, o, m = self.gate_values(inputs, state)
        c, n = decay * c + write * z, decay * n + write
        return (o * c / n).to(inputs.dtype), c, n, m

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        """Return f n / n', the weight of the mean before, c / n, in the mean after the step, c' / n'."""
        decay, write, *_ = self.gate_values(inputs, state)
        return decay * state[2] / (decay * state[2] + write)

    def gate_values(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, ...]:
        """Return f exp(m - m'), i exp(-m'), z, o and m', each (B, H), from the arguments of `cell`."""
        h, _, n, m = state
        wide = torch.promote_types(inputs.dtype, torch.float32)
        log_i, f, z, o = (inputs + self.state_product(h)).to(wide).chunk(4, dim=-1)
        kept = (logsigmoid(f) + m).masked_fill(n == 0, float("-inf"))
        m = torch.maximum(kept, log_i)
        return (kept - m).exp(), (log_i - m).exp(), z.tanh(), o.sigmoid(), m

    @classmethod
    def bridged(cls) -> int:
        return 2

    def summary(self, state: LayerState) -> LayerState:
        """Return h and the mean c / n, each (B, H)."""
        h, c, n, _ = state
        return h, (c / n.clamp_min(1)).to(h.dtype)

    def complete(self, vectors: LayerState) -> LayerState:
        """Return a state whose mean is the bridge's c, with the weight of one input at i = 1."""
        h, c = vectors
        return h, c, torch.ones_like(c), torch.zeros_like(c)
