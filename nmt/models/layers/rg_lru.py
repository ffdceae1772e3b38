"""Real-gated linear recurrent unit with its short convolution and its output gate (De et al. 2024)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from nmt.models.layers.block_diagonal import BlockDiagonal
from nmt.models.layers.convolution import depthwise_convolution
from nmt.models.layers.elementwise import ElementwiseLayer, LinearRecurrence
from nmt.models.layers.recurrent import LayerState, RecurrentLayer

WINDOW = 4
"""Width of the convolution, in tokens."""
SHARPNESS = 8.0
"""The constant of the decay, c in De et al. 2024, 2.4."""
SLOWEST, FASTEST = 0.999, 0.9
"""Range of the decays of an untrained layer at r = 1 (De et al. 2024, 2.4)."""


class RGLRU(ElementwiseLayer):
    """Recurrent block of Griffin (De et al. 2024, 2.3 and 2.4).

        u = W_u x + b_u,   v = sum_k K_k u_{t-k} + b,  k = 0, ..., 3
        r = sigmoid(W_r v + b_r),   i = sigmoid(W_i v + b_i)
        a = exp(-8 softplus(Λ) r),   c' = a c + sqrt(1 - a²) i v,   h' = gelu(W_g x + b_g) c'

    K_k and Λ are vectors; W_r and W_i are block-diagonal. The block's last matrix is left out, because the parts that
    read h multiply it by a matrix. The state after step t is (h, c, u_{t-2}, u_{t-1}, u_t); u is zero before the first
    token.
    """

    products, states = 2, 5
    reads_output = False

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(input_size, hidden_size, zoneout[:2])
        self.kernel = nn.Parameter(torch.empty(WINDOW, hidden_size))
        self.kernel_bias = nn.Parameter(torch.zeros(hidden_size))
        self.gates = BlockDiagonal(hidden_size, 2)
        self.gate_bias = nn.Parameter(torch.zeros(2 * hidden_size))
        self.decay = nn.Parameter(torch.empty(hidden_size))
        with torch.no_grad():
            nn.init.normal_(self.kernel, std=WINDOW**-0.5)
            for block in self.gates.blocks():
                nn.init.xavier_uniform_(block)
            rate = -torch.empty(hidden_size).uniform_(FASTEST, SLOWEST).log() / SHARPNESS  # softplus(Λ)
            self.decay.copy_(rate.expm1().log())

    @classmethod
    def bridged(cls) -> int:
        return 2

    def summary(self, state: LayerState) -> LayerState:
        """Return h and c, each (B, H)."""
        h, c, *_ = state
        return h, c.to(h.dtype)

    def complete(self, vectors: LayerState) -> LayerState:
        """Return a state from h and c, before whose first token u is zero."""
        return *vectors, *(torch.zeros_like(vectors[0]),) * (WINDOW - 1)

    def convolve(self, window: list[Tensor]) -> Tensor:
        """Return v, (..., H), from u at the step and the three before, oldest first, each (..., H)."""
        return depthwise_convolution(self.kernel, self.kernel_bias, window)

    def coefficients(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """Return decay and added term of the recurrence from v, all (..., H), in float32 or wider."""
        gates = self.gates(products) + self.gate_bias
        wide = torch.promote_types(gates.dtype, torch.float32)
        recurrence, write = gates.to(wide).sigmoid().chunk(2, dim=-1)
        log_decay = -SHARPNESS * softplus(self.decay.to(wide)) * recurrence
        share = (-torch.expm1(2 * log_decay)).clamp_min(1e-30)  # the square root has no gradient at zero
        return log_decay.exp(), share.sqrt() * write * products.to(wide)

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        _, c, *window = state
        read, gate = inputs.chunk(2, dim=-1)
        window = [*window, read]
        decay, added = self.coefficients(self.convolve(window))
        c = decay * c + added
        return (gelu(gate.to(c.dtype)) * c).to(inputs.dtype), c, *window[1:]

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        return self.coefficients(self.convolve([*state[2:], inputs.chunk(2, dim=-1)[0]]))[0]

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        if self.zoneout:
            return RecurrentLayer.forward(self, x, state, mask)
        read, gate = self.input_product(x).chunk(2, dim=-1)  # each (T, B, H)
        if mask is not None:  # the padding, which comes first, adds nothing to the convolution
            read = read * mask.unsqueeze(-1)
        state = state or self.zero_state(x)
        sequence = torch.cat([torch.stack(state[2:]).to(read.dtype), read])  # (3 + T, B, H)
        decay, added = self.coefficients(self.convolve([sequence[k : k + len(read)] for k in range(WINDOW)]))
        if mask is not None:
            decay, added = decay * mask.unsqueeze(-1), added * mask.unsqueeze(-1)
        cells: Tensor = LinearRecurrence.apply(decay, added, state[1].to(added.dtype))  # type: ignore[no-untyped-call]
        outputs = (gelu(gate.to(cells.dtype)) * cells).to(read.dtype)
        return outputs, (outputs[-1], cells[-1], *sequence[1 - WINDOW :].unbind())
