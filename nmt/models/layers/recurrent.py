"""Base class of recurrent layers, zoneout, dropout over time and weight drop.

Sequences are time-major, (T, B, features), which is the layout of the fused kernels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

LARGE_MASK = 2**16
"""Number of elements from which a dropout mask is drawn with 16 random bits per element."""
LayerState = tuple[Tensor, ...]  # h first, (B, H): (h, c) of an LSTM, (h,) of a GRU; memories of any shape (B, ...)


class RecurrentLayer(nn.Module):
    """Recurrent layer written as a loop over time; a subclass defines one step in `cell`.

    A step is `cell(input_product(x), state)`. The input product is affine in x and independent of the state, so a whole
    sequence needs one large matrix product before the loop.
    """

    states = 2
    """Number of tensors in a state, h first: 2 for an LSTM (h and c), 1 for a GRU (h)."""
    recurrent: tuple[str, ...] = ()
    """Names of the parameters that multiply h, used by weight drop; empty where a contained layer holds them."""
    reads_output = True
    """True where a step reads h; otherwise h is an output only, which zoneout keeps."""
    output_bound = 1.0
    """Largest absolute value of an output."""
    recurrent_mask: Tensor | None = None
    """Recurrent dropout mask on h, (B, H), set by `recurrent_dropout` for one sequence; None without dropout."""
    rows_per_mask: int = 1
    """Number of neighbouring batch rows that share a zoneout mask; set by `shared_masks`."""

    def __init__(self, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        """Initialise the layer.

        Args:
            hidden_size: width H of the state.
            zoneout: zoneout probability of the first tensors of the state (Krueger et al. 2017); empty: no zoneout.
        """
        super().__init__()
        self.hidden_size = hidden_size
        self.zoneout = zoneout if any(zoneout) else ()

    @classmethod
    def bridged(cls) -> int:
        """Return the number of vectors between an encoder and a decoder's first state: 1 for h, 2 for h and c."""
        return cls.states

    def summary(self, state: LayerState) -> LayerState:
        """Return the part of an encoder's final state that the bridge reads, each (B, H), h first."""
        return state

    def complete(self, vectors: LayerState) -> LayerState:
        """Return a decoder's first state from the vectors of the bridge, each (B, H), h first."""
        return vectors

    def zero_state(self, x: Tensor) -> LayerState:
        """Return the state before the first step, zeros in the type of the inputs x (T, B, I)."""
        return (x.new_zeros(x.size(1), self.hidden_size),) * self.states

    def input_weights(self) -> tuple[Tensor, Tensor | None]:
        """Return the matrix (G, I) and the bias (G,) of the input product; G is the number of units of all gates."""
        raise NotImplementedError

    def input_product(self, x: Tensor) -> Tensor:
        """Multiply inputs by the input weights, (..., I) -> (..., G)."""
        return linear(x, *self.input_weights())

    def state_product(self, h: Tensor) -> Tensor:
        """Multiply h by the recurrent weights after `drop_state`, (B, H) -> (B, G)."""
        raise NotImplementedError

    def drop_state(self, h: Tensor) -> Tensor:
        """Apply recurrent dropout to h, (B, H), before the recurrent product.

        The mask z_h is the same at all steps of a sentence: U (z_h h_{t-1}) (Gal and Ghahramani 2016, eq. 7). The part
        of the state that a cell carries over without a product is not dropped.
        """
        return h if self.recurrent_mask is None else h * self.recurrent_mask.to(h.dtype)

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        """Compute the next state, each tensor (B, ...), from the input products (B, G) and the previous state."""
        raise NotImplementedError

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        """Return the share of the memory that a step keeps, (B, units), from the arguments of `cell`.

        The units are those of the state, or the heads or keys of a matrix memory.
        """
        raise NotImplementedError

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """Run the layer over a sequence.

        Args:
            x: inputs, (T, B, I).
            state: initial state, each tensor (B, ...); None: zeros.
            mask: True on real tokens, (T, B), with the padding on the left; None: no padding.

        Returns:
            The outputs (T, B, H), zero on padding, and the last state.
        """
        real = None if mask is None else mask.unsqueeze(-1).to(x.dtype)  # (T, B, 1)
        inputs = self.input_product(x if real is None else x * real)
        state = state or self.zero_state(x)
        outputs = []
        for t, product in enumerate(inputs.unbind()):
            state = self.advance(product, state)
            if real is not None:
                state = tuple(part * real[t].view(-1, *[1] * (part.dim() - 1)) for part in state)
            outputs.append(state[0])
        return torch.stack(outputs), state

    def step(self, x: Tensor, state: LayerState) -> LayerState:
        """Run one step from inputs (B, I)."""
        return self.advance(self.input_product(x), state)

    def advance(self, inputs: Tensor, state: LayerState) -> LayerState:
        """Run one step from input products (B, G) and apply zoneout: some units keep their previous value.

        Tensors of the state that have no zoneout probability are the cell's.
        """
        after = self.cell(inputs, state)
        if not self.zoneout:
            return after
        held = tuple(self.zone_out(*values) for values in zip(state, after, self.zoneout, strict=False))
        return held + after[len(held) :]

    def zone_out(self, before: Tensor, after: Tensor, probability: float) -> Tensor:
        """Return d before + (1 - d) after (Krueger et al. 2017).

        In training d is a Bernoulli variable per unit; in evaluation it is its mean, `probability`.
        """
        held = torch.full_like(after, probability)
        if self.training:
            held = repeat_rows(held[:: self.rows_per_mask].bernoulli(), self.rows_per_mask, dim=0)
        return held * before + (1 - held) * after

    def input_projection(self, x: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Return a function that computes the input product of [x_t; other_t], where `other_t` is known only at step t.

        Args:
            x: leading features of all steps, (T, B, I'); their products are computed at once.

        Returns:
            A function of t and `other_t`, (B, I - I'), that returns (B, G).
        """
        if len(x) == 1:
            return lambda t, other: self.input_product(torch.cat([x[t], other], dim=-1))
        weight, bias = self.input_weights()
        products, rest = linear(x, weight[:, : x.size(-1)], bias).unbind(), weight[:, x.size(-1) :]
        return lambda t, other: products[t] + linear(other, rest)


class LinearInputLayer(RecurrentLayer):
    """Recurrent layer whose input product is a linear layer."""

    input: nn.Linear

    def input_weights(self) -> tuple[Tensor, Tensor | None]:
        return self.input.weight, self.input.bias

    def input_product(self, x: Tensor) -> Tensor:
        product: Tensor = self.input(x)
        return product


def with_weight_drop(module: Any, probability: float, *inputs: Any) -> Any:
    """Call `module(*inputs)`, in training with weight drop on its recurrent matrices (Merity et al. 2018, 2).

    The dropped weights are drawn once per call, that is once per batch, and are the same for all sentences and time
    steps. Fused kernels can therefore still be used.
    """
    if not module.training or probability == 0.0:
        return module(*inputs)
    weights = {
        f"{path}.{name}".lstrip("."): layer.get_parameter(name)
        for path, layer in module.named_modules()
        if isinstance(layer, RecurrentLayer)
        for name in layer.recurrent
    }
    dropped = {
        name: weight * fill_dropout_mask_(torch.empty_like(weight), probability) for name, weight in weights.items()
    }
    return functional_call(module, dropped, inputs)


@contextmanager
def recurrent_dropout(module: Any, probability: float, rows: int) -> Iterator[None]:
    """Drop units of h in all recurrent layers of `module` for one batch, in training (Gal and Ghahramani 2016, eq. 7).

    Each layer gets one mask per batch row, which is the same at all time steps and for all gates. No fused kernel
    supports this, so the layers run as a loop over time.

    Args:
        module: encoder or decoder of any architecture.
        probability: probability of dropping a unit; with 0 no random numbers are drawn.
        rows: number of rows of the batch.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, RecurrentLayer) and layer.recurrent]
    if not module.training or probability == 0.0:
        layers = []
    try:
        for layer in layers:
            shared = layer.rows_per_mask
            mask = layer.get_parameter(layer.recurrent[0]).new_empty(rows // shared, layer.hidden_size)
            layer.recurrent_mask = repeat_rows(fill_dropout_mask_(mask, probability), shared, dim=0)
        yield
    finally:
        for layer in layers:
            layer.recurrent_mask = None


def reverse_within_length(mask: Tensor) -> Tensor:
    """Return indices (T, B) that reverse each left-padded column of `mask` within its length.

    The indices of the padding stay in place.
    """
    steps, _ = mask.shape
    position = torch.arange(steps, device=mask.device).unsqueeze(1)  # (T, 1)
    mirrored = 2 * steps - 1 - mask.sum(dim=0) - position  # (T, B): the first real token is at T - length
    return torch.where(mask, mirrored, position)


class Dropout(nn.Module):
    """Dropout on (T, B, F) with one mask per sentence (Gal and Ghahramani 2016) or one mask per time step."""

    def __init__(self, probability: float, fixed_masks: bool) -> None:
        super().__init__()
        self.probability = probability
        self.fixed_masks = fixed_masks
        self.rows_per_mask = 1

    def mask(self, like: Tensor) -> Tensor | None:
        """Draw a mask that broadcasts over `like`, (T, B, F), scaled to keep the mean; None without dropout."""
        if not self.training or self.probability == 0.0:
            return None
        steps, batch, features = like.shape
        shared = self.rows_per_mask
        mask = like.new_empty(1 if self.fixed_masks else steps, batch // shared, features)
        return repeat_rows(fill_dropout_mask_(mask, self.probability), shared, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        (dropped,) = self.together(x)
        return dropped

    def together(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Drop the same units of several tensors of one shape."""
        mask = self.mask(parts[0])
        return parts if mask is None else tuple(part * mask.to(part.dtype) for part in parts)


class WordDropout(nn.Module):
    """Dropout of whole embeddings, (T, B, E).

    Each token is dropped independently (Sennrich and Zhang 2019). Gal and Ghahramani 2016 drop all occurrences of a
    word together.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.rows_per_mask = 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return x
        steps, batch, _ = x.shape
        mask = fill_dropout_mask_(x.new_empty(steps, batch // self.rows_per_mask, 1), self.probability)
        return x * repeat_rows(mask, self.rows_per_mask, dim=1)


def fill_dropout_mask_(out: Tensor, probability: float) -> Tensor:
    """Fill `out` in place with 0 (with this probability) and 1 / (1 - probability).

    On a CPU, `bernoulli_` draws 53 random bits per element one after the other. A large mask takes 16 bits per element
    from the generator's 64-bit words instead, a third of the time; its probability is rounded to a multiple of 2^-16.
    """
    if out.device.type != "cpu" or out.numel() < LARGE_MASK:
        return out.bernoulli_(1 - probability).div_(1 - probability)
    words = torch.empty(-(-out.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: out.numel()].view(out.shape)  # uniform on -2^15 ... 2^15 - 1
    return out.copy_(bits >= round(probability * 2**16) - 2**15).div_(1 - probability)


def repeat_rows(masks: Tensor, times: int, dim: int) -> Tensor:
    """Repeat each mask `times` times in a row along the batch dimension."""
    return masks if times == 1 else masks.repeat_interleave(times, dim=dim)


@contextmanager
def shared_masks(module: Any, rows: int) -> Iterator[None]:
    """Share one dropout mask among `rows` neighbouring batch rows, such as the hypotheses of a sentence."""
    layers = [layer for layer in module.modules() if isinstance(layer, Dropout | WordDropout | RecurrentLayer)]
    try:
        for layer in layers:
            layer.rows_per_mask = rows
        yield
    finally:
        for layer in layers:
            layer.rows_per_mask = 1
