"""Parts of a residual block around a recurrent layer: normalisation, short convolution, output matrix, feed-forward.

Griffin (De et al. 2024, 2.2), xLSTM (Beck et al. 2024, 2.4), minGRU (Feng et al. 2024, 4) and Gated DeltaNet (Yang et
al. 2025, 3.4) stack such blocks. The residual connections are those of the encoder and the decoder.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from nmt.models.layers.convolution import depthwise_convolution
from nmt.models.layers.recurrent import LayerState, RecurrentLayer


class BlockLayer(RecurrentLayer):
    """Recurrent layer with the parts of a block before and after it.

        y = LN(x),   v_t = silu(sum_k K_k y_{t-k} + b),  k = 0, ..., W - 1,   h' = P f(v_t, h)

    LN and P belong to `pre_norm` (Xiong et al. 2020), the convolution of width W to `convolution`; without one of them
    y = x and P = 1, or v = y. K_k are vectors. The state after step t is (h, y_{t-W+2}, ..., y_t, state of f); y is
    zero before the first token.
    """

    def __init__(
        self, inner: RecurrentLayer, input_size: int, hidden_size: int, pre_norm: bool, convolution: int | None
    ) -> None:
        """Wrap a layer.

        Args:
            inner: the layer f, with `input_size` inputs.
            input_size: number of input features I.
            hidden_size: width H of the layer and of the output.
            pre_norm: add LN and P.
            convolution: width W of the convolution, in tokens; None: no convolution.
        """
        super().__init__(hidden_size)
        self.inner, self.input_size, self.window = inner, input_size, (convolution or 1) - 1
        self.norm = nn.LayerNorm(input_size) if pre_norm else None
        self.kernel = nn.Parameter(torch.empty(convolution, input_size)) if convolution else None
        self.kernel_bias = nn.Parameter(torch.zeros(input_size)) if convolution else None
        self.output = nn.Linear(hidden_size, hidden_size, bias=False) if pre_norm else None
        self.output_bound = float("inf") if pre_norm else inner.output_bound
        if self.kernel is not None:
            nn.init.normal_(self.kernel, std=len(self.kernel) ** -0.5)
        if self.output is not None:
            nn.init.xavier_uniform_(self.output.weight)

    def split(self, state: LayerState) -> tuple[list[Tensor], LayerState]:
        """Return the inputs of the convolution, oldest first, each (B, I), and the state of the inner layer."""
        return list(state[1 : 1 + self.window]), state[1 + self.window :]

    def summary(self, state: LayerState) -> LayerState:
        return state[0], *self.inner.summary(self.split(state)[1])[1:]

    def complete(self, vectors: LayerState) -> LayerState:
        h = vectors[0]
        return h, *(h.new_zeros(h.size(0), self.input_size),) * self.window, *self.inner.complete(vectors)

    def zero_state(self, x: Tensor) -> LayerState:
        h, y = x.new_zeros(x.size(1), self.hidden_size), x.new_zeros(x.size(1), self.input_size)
        return h, *(y,) * self.window, *self.inner.zero_state(x)

    def input_product(self, x: Tensor) -> Tensor:
        """Return y, (..., I)."""
        normed: Tensor = x if self.norm is None else self.norm(x)
        return normed.to(x.dtype)

    def input_projection(self, x: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Return the function of the base class. LN reads all features of a step, so no product is computed before."""
        return lambda t, other: self.input_product(torch.cat([x[t], other], dim=-1))

    def convolve(self, reads: list[Tensor]) -> Tensor:
        """Return v, (..., I), from y at the W steps, oldest first, each (..., I)."""
        if self.kernel is None or self.kernel_bias is None:
            return reads[-1]
        return silu(depthwise_convolution(self.kernel, self.kernel_bias, reads)).to(reads[-1].dtype)

    def project(self, outputs: Tensor) -> Tensor:
        """Multiply outputs of the inner layer by P, (..., H)."""
        projected: Tensor = outputs if self.output is None else self.output(outputs)
        return projected

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        window, inner = self.split(state)
        reads = [*window, inputs]
        inner = self.inner.step(self.convolve(reads), inner)
        return self.project(inner[0]), *reads[1:], *inner

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        y = self.input_product(x)  # (T, B, I)
        if mask is not None:  # the padding, which comes first, adds nothing to the convolution
            y = y * mask.unsqueeze(-1)
        window, inner = self.split(self.zero_state(x) if state is None else state)
        sequence = torch.cat([torch.stack(window).to(y.dtype), y]) if window else y  # (W - 1 + T, B, I)
        v = self.convolve([sequence[k : k + y.size(0)] for k in range(self.window + 1)])
        outputs, inner = self.inner(v, None if state is None else inner, mask)
        outputs = self.project(outputs)
        last = sequence[-self.window :].unbind() if window else ()
        return outputs, (outputs[-1], *last, *inner)


def embedding_projection(embed_size: int, width: int, residual_from: int | None) -> nn.Linear | None:
    """Return the projection of the embeddings to the width of the bottom layer; None if no projection is needed.

    With `residual_from=1` the output of the bottom layer is added to the embeddings, so that both need the same width.
    The matrix is that of Lan et al. 2020, 3.1.
    """
    if residual_from != 1 or embed_size == width:
        return None
    matrix = nn.Linear(embed_size, width, bias=False)
    nn.init.xavier_uniform_(matrix.weight)
    return matrix


class PreNormFeedForward(nn.Module):
    """Feed-forward block W' relu(W LN(x)), whose output is added to x after a recurrent layer (Domhan 2018)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block, (..., H) -> (..., H)."""
        result: Tensor = self.outer(self.inner(self.norm(x)).relu())
        return result
