"""LSTM with a matrix memory and exponential gates (Beck et al. 2024)."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from nmt.models.layers.matrix_memory import MatrixMemoryLayer, memory_heads
from nmt.models.layers.recurrent import LayerState

LOWEST = -60.0
"""Smallest stabiliser in the bound of the normaliser, whose exponential would overflow."""


class MLSTM(MatrixMemoryLayer):
    """The mLSTM of Beck et al. 2024 (eq. 19 to 27), with the norm of each head that its block applies (their fig. 10).

        q = W_q x + b,   k = (W_k x + b) / sqrt(D),   v = W_v x + b,   o = sigmoid(W_o x + b)
        i = exp(~i),   f = sigmoid(~f),   both scalars per head, ~i = w_i x + b, ~f = w_f x + b
        C' = f C + i k v^T,   n' = f n + i k,   h' = o norm(C'^T q / max(|n'^T q|, 1))

    The state is (h, C exp(-m), n exp(-m), m) with the stabiliser m' = max(log f + m, ~i), which cancels in h' and keeps
    all exponentials at most one. A sequence is read in the parallel form of their appendix A.3. The forget gate is a
    sigmoid, as in their code; they allow an exponential too. The norm is root-mean-square instead of layer norm.
    """

    states = 4

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(input_size, hidden_size, self.input_units(hidden_size) - 4 * hidden_size)
        with torch.no_grad():  # a range of time scales: half the memory is kept for 14 to 280 steps
            self.input.bias[-self.heads :] = torch.linspace(3.0, 6.0, self.heads)

    @classmethod
    def input_units(cls, hidden_size: int) -> int:
        return 4 * hidden_size + 2 * memory_heads(hidden_size)

    def associate(self, key: Tensor, value: Tensor) -> LayerState:
        return key.unsqueeze(-1) * value.unsqueeze(-2), key, torch.zeros_like(key[..., 0])

    def read_step(self, products: Tensor, memory: LayerState) -> tuple[Tensor, LayerState]:
        q, k, v, o, gates = torch.split(products, self.sizes, dim=-1)
        q, k, v = self.split(q), self.split(k) * self.key_scale, self.split(v)  # (B, N, D)
        log_i, f = gates.chunk(2, dim=-1)  # (B, N)
        c, n, m = memory
        kept = logsigmoid(f) + m
        m = torch.maximum(kept, log_i)
        decay, write = (kept - m).exp().unsqueeze(-1), (log_i - m).exp().unsqueeze(-1)
        c = torch.addcmul(decay.unsqueeze(-1) * c, (write * k).unsqueeze(-1), v.unsqueeze(-2))
        n = decay * n + write * k
        read = (q.unsqueeze(-2) @ c).squeeze(-2)
        return self.output(read, (q * n).sum(dim=-1), m, o), (c, n, m)

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        """Return f, (B, N)."""
        return inputs[..., -self.heads :].sigmoid()

    def sequence(
        self, products: Tensor, memory: LayerState, mask: Tensor | None, empty: bool
    ) -> tuple[Tensor, LayerState]:
        """Read a sequence; D_ts = log f_{s+1} + ... + log f_t + ~i_s is the logarithm of the weight of step s at t."""
        q, k, v, o, gates = torch.split(products, self.sizes, dim=-1)
        q, k, v = self.by_head(q), self.by_head(k) * self.key_scale, self.by_head(v)  # (B, N, T, D)
        log_i, f = gates.permute(1, 2, 0).chunk(2, dim=1)  # (B, N, T)
        log_f = logsigmoid(f)
        if mask is not None:
            padding = ~mask.t().unsqueeze(1)  # (B, 1, T)
            log_i, log_f = log_i.masked_fill(padding, float("-inf")), log_f.masked_fill(padding, 0.0)
        c, n, m = memory
        total = log_f.cumsum(dim=-1)
        start = total + m.unsqueeze(-1)  # logarithm of the weight of the first memory, (B, N, T)
        later = torch.ones(len(products), len(products), dtype=torch.bool, device=q.device).triu(1)
        logs = (total.unsqueeze(-1) - total.unsqueeze(-2) + log_i.unsqueeze(-2)).masked_fill(later, float("-inf"))
        m = torch.maximum(logs.amax(dim=-1), start)
        weights = (logs - m.unsqueeze(-1)).exp()  # (B, N, T, T)
        scores = q @ k.transpose(-1, -2) * weights
        read, weight = scores @ v, scores.sum(dim=-1)
        last = weights[..., -1, :].unsqueeze(-1) * k  # (B, N, T, D)
        last_c, last_n = last.transpose(-1, -2) @ v, last.sum(dim=-2)
        if not empty:
            kept = (start - m).exp().unsqueeze(-1)  # (B, N, T, 1)
            read, weight = read + kept * (q @ c), weight + (kept * q * n.unsqueeze(-2)).sum(dim=-1)
            last_c, last_n = last_c + kept[..., -1:, :] * c, last_n + kept[..., -1, :] * n
        outputs = self.output(read.permute(2, 0, 1, 3), weight.permute(2, 0, 1), m.permute(2, 0, 1), o)
        return outputs, (last_c, last_n, m[..., -1])

    @property
    def key_scale(self) -> float:
        """Factor of the keys, 1 / sqrt(D)."""
        return float((self.hidden_size // self.heads) ** -0.5)

    def output(self, read: Tensor, weight: Tensor, m: Tensor, o: Tensor) -> Tensor:
        """Return h (..., H) from C^T q (..., N, D), n^T q and m (..., N), and the products of the gate o (..., H)."""
        bound = (-m.clamp_min(LOWEST)).exp()
        normalised: Tensor = self.norm(read / torch.maximum(weight.abs(), bound).unsqueeze(-1))
        return o.sigmoid() * normalised
