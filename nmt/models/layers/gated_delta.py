"""Gated linear attention with or without the delta rule: Gated DeltaNet, DeltaNet, Mamba-2 and GLA (Yang et al. 2025).

One layer computes all four, which differ in the decay of the memory and in what a step writes.
"""

import math

import torch
from torch import Tensor, nn
from torch.linalg import solve_triangular
from torch.nn.functional import logsigmoid, silu, softplus

from nmt.models.layers.matrix_memory import MatrixMemoryLayer, memory_heads
from nmt.models.layers.recurrent import LayerState

EPSILON = 1e-6
"""Added to the square of a length before its root."""
TEMPERATURE = 16.0
"""Root of the decay of `GLA` (Yang et al. 2024, 4.4)."""


class GatedDelta(MatrixMemoryLayer):
    """Gated DeltaNet (Yang et al. 2025, eq. 10), transposed: keys are rows of S.

        q = unit(silu(W_q x)),   k = unit(silu(W_k x)),   v = silu(W_v x),   unit(y) = y / |y|
        a = exp(-exp(A) softplus(w_a x)),   b = sigmoid(w_b x),   scalars per head
        S' = (I - b k k^T) a S + b k v^T,   h' = norm(S'^T q) silu(W_g x)

    Each product with x has a bias, which is left out here.

    The norm is root-mean-square per head. Left out are the short convolution in front of q, k and v, and the block's
    last matrix, as the next layer multiplies h by a matrix.

    A sequence is read in chunks: with F_t = log a_1 + ... + log a_t in a chunk that starts from S, a step writes
    k_t u_t^T, where U solves the triangular system u_t + b_t sum_{s<t} exp(F_t - F_s) (k_t . k_s) u_s = b_t (v_t -
    exp(F_t) S^T k_t) (their 3.3), and S_t^T q_t = exp(F_t) S^T q_t + sum_{s<=t} exp(F_t - F_s) (q_t . k_s) u_s.
    """

    states = 2
    delta_rule, chunk = True, 64

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(input_size, hidden_size, self.input_units(hidden_size) - 4 * hidden_size)
        self.initialise_decay()

    @classmethod
    def input_units(cls, hidden_size: int) -> int:
        return 4 * hidden_size + 2 * memory_heads(hidden_size)

    def initialise_decay(self) -> None:
        """Initialise exp(A) uniform in [1, 16] and softplus(b) log-uniform in [0.001, 0.1], as Mamba-2 does."""
        with torch.no_grad():
            self.decay_rate = nn.Parameter(torch.empty(self.heads).uniform_(1.0, 16.0).log_())
            step = torch.empty(self.heads).uniform_(math.log(0.001), math.log(0.1)).exp_()
            self.input.bias[4 * self.hidden_size :][: self.heads] = step.expm1().log()

    def log_decay(self, step: Tensor) -> Tensor:
        """Return log a, (..., N), from softplus(w_a x + b), (..., N)."""
        return -self.decay_rate.to(step.dtype).exp() * step

    def gates(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """Return log a (..., N, 1) or (..., N, D) and b (..., N, 1) from the products of the gates."""
        step, write = products.chunk(2, dim=-1)
        return self.log_decay(softplus(step)).unsqueeze(-1), write.sigmoid().unsqueeze(-1)

    def associate(self, key: Tensor, value: Tensor) -> LayerState:
        return (key.unsqueeze(-1) * value.unsqueeze(-2),)

    def read_step(self, products: Tensor, memory: LayerState) -> tuple[Tensor, LayerState]:
        q, k, v, g, *gates = torch.split(products, self.sizes, dim=-1)
        q, k, v = unit(self.split(silu(q))), unit(self.split(silu(k))), self.split(silu(v))  # (B, N, D)
        log_a, b = self.gates(gates[0])
        s = log_a.exp().unsqueeze(-1) * memory[0]
        if self.delta_rule:
            v = v - (k.unsqueeze(-2) @ s).squeeze(-2)
        s = torch.addcmul(s, k.unsqueeze(-1), (b * v).unsqueeze(-2))
        return self.norm((q.unsqueeze(-2) @ s).squeeze(-2)) * silu(g), (s,)

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        """Return a, (B, N), or (B, N D) with a decay per key unit."""
        return self.gates(inputs[..., 4 * self.hidden_size :])[0].exp().flatten(-2)

    def sequence(
        self, products: Tensor, memory: LayerState, mask: Tensor | None, empty: bool
    ) -> tuple[Tensor, LayerState]:
        q, k, v, g, *gates = torch.split(products, self.sizes, dim=-1)
        q, k = unit(self.by_head(silu(q))), unit(self.by_head(silu(k)))  # (B, N, T, D)
        log_a, b = (gate.permute(1, 2, 0, 3) for gate in self.gates(gates[0]))
        if mask is not None:  # the padding keeps the memory and writes nothing
            real = mask.t()[:, None, :, None]
            log_a, b = log_a * real, b * real
        parts = [torch.split(part, self.chunk, dim=2) for part in (q, k, self.by_head(silu(v)), log_a, b)]
        state, reads = None if empty else memory[0], []
        for q, k, v, log_a, b in zip(*parts, strict=True):
            read, state = read_chunk(q, k, v, log_a, b, state, self.delta_rule)
            reads.append(read)
        assert state is not None
        read = torch.cat(reads, dim=2).permute(2, 0, 1, 3)
        return self.norm(read) * silu(g), (state,)


class DeltaNet(GatedDelta):
    """DeltaNet (Yang et al. 2024b; Schlag et al. 2021): `GatedDelta` without decay, a = 1."""

    @classmethod
    def input_units(cls, hidden_size: int) -> int:
        return 4 * hidden_size + memory_heads(hidden_size)

    def initialise_decay(self) -> None:
        """Leave the decay out."""

    def gates(self, products: Tensor) -> tuple[Tensor, Tensor]:
        write = products.sigmoid().unsqueeze(-1)
        return torch.zeros_like(write), write


class Mamba2(GatedDelta):
    """Recurrence of Mamba-2 (Dao and Gu 2024) in the layer of `GatedDelta`: S' = a S + b k v^T.

    The share written is b = softplus(w_a x + bias), and the decay a = exp(-exp(A) b). Mamba-2 itself does not normalise
    q and k.
    """

    delta_rule = False

    @classmethod
    def input_units(cls, hidden_size: int) -> int:
        return 4 * hidden_size + memory_heads(hidden_size)

    def gates(self, products: Tensor) -> tuple[Tensor, Tensor]:
        write = softplus(products)
        return self.log_decay(write).unsqueeze(-1), write.unsqueeze(-1)


class GLA(GatedDelta):
    """Recurrence of GLA (Yang et al. 2024a, eq. 3) in the layer of `GatedDelta`: S' = Diag(a) S + k v^T.

    The decay is one per key unit, a = sigmoid(W_a x + b)^(1/16), with a full matrix W_a instead of two narrow ones.
    GLA itself does not normalise q and k. A chunk is short, so that exp(-F) stays in the range of float32.
    """

    delta_rule, chunk = False, 16

    @classmethod
    def input_units(cls, hidden_size: int) -> int:
        return 5 * hidden_size

    def initialise_decay(self) -> None:
        """Initialise the biases as zeros: an untrained gate keeps half of the memory for 16 steps."""

    def gates(self, products: Tensor) -> tuple[Tensor, Tensor]:
        log_a = self.split(logsigmoid(products) / TEMPERATURE)
        return log_a, torch.ones_like(log_a[..., :1])


def unit(x: Tensor) -> Tensor:
    """Scale vectors (..., D) to length one."""
    return x * (x.square().sum(dim=-1, keepdim=True) + EPSILON).rsqrt()


def decayed_products(left: Tensor, right: Tensor, total: Tensor, diagonal: int) -> Tensor:
    """Return sum_d left_td right_sd exp(F_td - F_sd) for s <= t + diagonal, otherwise zero, (B, N, L, L).

    Args:
        left, right: vectors (B, N, L, D).
        total: sums F of the logarithms of the decays, (B, N, L, D), or (B, N, L, 1) for one decay per head.
        diagonal: 0, or -1 to leave out the step itself.
    """
    if total.size(-1) > 1:
        return ((left * total.exp()) @ (right * (-total).exp()).transpose(-1, -2)).tril(diagonal)
    outside = torch.ones(*[left.size(2)] * 2, dtype=torch.bool, device=left.device).triu(diagonal + 1)
    logs = (total - total.transpose(-1, -2)).masked_fill(outside, float("-inf"))
    return left @ right.transpose(-1, -2) * logs.exp()


def read_chunk(
    q: Tensor, k: Tensor, v: Tensor, log_a: Tensor, b: Tensor, state: Tensor | None, delta_rule: bool
) -> tuple[Tensor, Tensor]:
    """Read a chunk of L steps at once, by the equations of `GatedDelta`.

    Args:
        q, k, v: queries, keys, values, (B, N, L, D).
        log_a: logarithms of the decay, (B, N, L, D), or (B, N, L, 1) for one per head.
        b: shares that are written, (B, N, L, 1).
        state: memory before the chunk, (B, N, D, D); None: nothing.
        delta_rule: take out the value of the key before writing.

    Returns:
        What the queries read, (B, N, L, D), and the memory after the chunk.
    """
    total = log_a.cumsum(dim=2)
    decay = total.exp()
    if delta_rule:
        if state is not None:
            v = v - (k * decay) @ state
        system = b * decayed_products(k, k, total, -1)
        written = solve_triangular(system, b * v, upper=False, unitriangular=True)
    else:
        written = b * v
    read = decayed_products(q, k, total, 0) @ written
    after = (k * (total[:, :, -1:] - total).exp()).transpose(-1, -2) @ written
    if state is not None:
        read = read + (q * decay) @ state
        after = after + decay[:, :, -1].unsqueeze(-1) * state
    return read, after
