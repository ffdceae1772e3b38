"""Sublayers of the Transformer (Vaswani et al. 2017), shared by its encoder and decoder.

B sentences with K hypotheses each (K is 1 in training), S and T source and target length, E width, N heads, D = E / N.
Sequences are time-major, (T, B, E); split into heads they are (B, N, T, D).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from nmt.config import ModelConfig
from nmt.models.layers.recurrent import Dropout

KeysValues = tuple[Tensor, Tensor]


class MultiHead(nn.Module):
    """Multi-head attention (3.2.2). Keys have no bias, because it cancels out in the softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.value, self.output = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)
        self.heads = heads

    def split_heads(self, x: Tensor, sentences: int) -> Tensor:
        """Reshape (T, B K, E) to (B, N, T K, D), as `fold_hypotheses` with the heads in front of the queries."""
        steps, rows, width = x.shape
        x = x.view(steps, sentences, rows // sentences, self.heads, width // self.heads)
        return x.permute(1, 3, 0, 2, 4).flatten(2, 3)

    def join_heads(self, contexts: Tensor, x: Tensor) -> Tensor:
        """Project contexts (B, N, T K, D) to the output in the shape of x, (T, B K, E)."""
        sentences, heads, queries, width = contexts.shape
        contexts = contexts.view(sentences, heads, len(x), queries // len(x), width).permute(2, 0, 3, 1, 4)
        joined: Tensor = self.output(contexts.reshape(x.shape))
        return joined

    def keys_values(self, x: Tensor, summed: Tensor | None = None) -> KeysValues:
        """Return keys and values, each (B, N, S, D), of a memory (S, B, E); `summed` replaces it for the values."""
        keys, values = self.key(x), self.value(x if summed is None else summed)
        return self.split_heads(keys, x.size(1)), self.split_heads(values, x.size(1))

    def forward(self, x: Tensor, keys_values: KeysValues, mask: Tensor | None) -> Tensor:
        """Compute softmax(Q K' / sqrt(D)) V for each head and project the result (eq. 1), in PyTorch's fused kernel.

        Args:
            x: input of the queries, (T, B K, E).
            keys_values: each (B, N, S, D).
            mask: True where a query may attend, broadcast to (B, N, T K, S); None: everywhere.
        """
        keys, values = keys_values
        query = self.split_heads(self.query(x), len(keys))
        return self.join_heads(fused_attention(query, keys, values, mask), x)

    def with_weights(self, x: Tensor, keys_values: KeysValues, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compute `forward` without the fused kernel, and the weights averaged over the heads, (B, T K, S)."""
        keys, values = keys_values
        query = self.split_heads(self.query(x), len(keys))
        scores = query @ keys.transpose(2, 3) / math.sqrt(query.size(-1))
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)  # (B, N, T K, S)
        return self.join_heads(weights.to(values.dtype) @ values, x), weights.mean(dim=1)


def fused_attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Compute PyTorch's fused attention, on a CPU in float32 even under autocast.

    The backward pass of the CPU kernel takes ten times as long in bfloat16 as in float32 (torch 2.13).
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return scaled_dot_product_attention(query, keys, values, mask)
    with torch.autocast("cpu", enabled=False):
        contexts = scaled_dot_product_attention(query.float(), keys.float(), values.float(), mask)
    return contexts.to(query.dtype)


class FeedForward(nn.Module):
    """Position-wise feed-forward network W max(0, V x + a) + b (eq. 2)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.outer(relu(self.inner(x)))
        return output


class Residual(nn.Module):
    """Residual connection and normalisation around a sublayer f, with dropout on the result of f (5.4).

    x' = norm(x + f(x)) (3.1), or with `pre_norm` x' = x + f(norm(x)) (Xiong et al. 2020).
    """

    def __init__(self, model: ModelConfig, pre_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(model.embed_size)
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.pre_norm = pre_norm

    def before(self, x: Tensor) -> Tensor:
        """Return the input of the sublayer."""
        return self.norm(x) if self.pre_norm else x

    def after(self, x: Tensor, output: Tensor) -> Tensor:
        """Return x' from x and the sublayer's output."""
        x = x + self.dropout(output)
        return x if self.pre_norm else self.norm(x)


def initialise(layers: nn.Module) -> None:
    """Initialise weights Glorot-uniform and biases zero, in place, as in the paper's own code.

    Queries, keys and values are initialised as one matrix (3E, E), as in `torch.nn.MultiheadAttention` and fairseq.
    """
    for module in layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in layers.modules():
        if isinstance(module, MultiHead):
            for projection in (module.query, module.key, module.value):
                with torch.no_grad():  # the limit sqrt(6 / (E + 3E)) instead of sqrt(6 / 2E)
                    projection.weight.div_(math.sqrt(2))
