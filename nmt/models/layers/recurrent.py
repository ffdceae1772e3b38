"""What the recurrent layers share, and dropout in time.

Sequences are time-major, (T, B, features), which is how the fused kernels read them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

LayerState = tuple[Tensor, ...]  # of an LSTM h and c, of other cells h, each (B, H)


class RecurrentLayer(nn.Module):
    """One layer over time, written as a loop; a cell says what happens in a step.

    A step is `cell(input_product(x), state)`: the input product is affine in x and knows nothing of the state, so that
    a whole sequence's is one large product before the loop.
    """

    states = 2
    """How many tensors a state has: h and c of an LSTM, or h alone."""
    recurrent: tuple[str, ...] = ()
    """The names of the parameters that multiply h, for weight drop; empty where another layer inside has them."""
    output_bound = 1.0
    """Largest absolute value of an output."""
    recurrent_mask: Tensor | None = None
    """Recurrent dropout's mask on h, (B, H), during one sequence; `recurrent_dropout` sets it. None: no dropout."""
    rows_per_mask: int = 1
    """Neighbouring rows of a batch that share the masks of zoneout; `shared_masks` sets it."""

    def __init__(self, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        """`zoneout` has the probability of each tensor of the state (Krueger et al. 2017); empty: none."""
        super().__init__()
        self.hidden_size = hidden_size
        self.zoneout = zoneout if any(zoneout) else ()

    def input_weights(self) -> tuple[Tensor, Tensor | None]:
        """The matrix (G, I) and the bias (G,) of the input product, G the units of all gates."""
        raise NotImplementedError

    def input_product(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., G)."""
        return linear(x, *self.input_weights())

    def state_product(self, h: Tensor) -> Tensor:
        """Product of the recurrent matrix and h after `drop_state`, (B, H) -> (B, G)."""
        raise NotImplementedError

    def drop_state(self, h: Tensor) -> Tensor:
        """Return h, (B, H), as the recurrent matrix reads it; what a cell carries over without a product stays whole.

        With z_h the mask of a sentence, the same at all its steps: U (z_h h_{t-1}) (Gal and Ghahramani 2016, eq. 7).
        """
        return h if self.recurrent_mask is None else h * self.recurrent_mask.to(h.dtype)

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        """The equations of a step: input products (B, G) and the state before, each (B, H), to the state after."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """
        Args:
            x: inputs, (T, B, I).
            state: before the first step, each (B, H); None: zeros.
            mask: True on real tokens, which end each column, (T, B); None: all are.

        Returns:
            The outputs (T, B, H), zero on padding, and the last state.
        """
        real = None if mask is None else mask.unsqueeze(-1).to(x.dtype)  # (T, B, 1)
        inputs = self.input_product(x if real is None else x * real)
        state = state or (x.new_zeros(x.size(1), self.hidden_size),) * self.states
        outputs = []
        for t, product in enumerate(inputs.unbind()):
            state = self.advance(product, state)
            if real is not None:
                state = tuple(part * real[t] for part in state)
            outputs.append(state[0])
        return torch.stack(outputs), state

    def step(self, x: Tensor, state: LayerState) -> LayerState:
        """One step from inputs (B, I)."""
        return self.advance(self.input_product(x), state)

    def advance(self, inputs: Tensor, state: LayerState) -> LayerState:
        """One step from input products (B, G), with zoneout: some units keep the value of the step before."""
        after = self.cell(inputs, state)
        if not self.zoneout:
            return after
        return tuple(self.zone_out(*values) for values in zip(state, after, self.zoneout, strict=True))

    def zone_out(self, before: Tensor, after: Tensor, probability: float) -> Tensor:
        """d before + (1 - d) after, d drawn for each unit in training, and its mean else (Krueger et al. 2017)."""
        kept = torch.full_like(after, probability)
        if self.training:
            kept = repeat_rows(kept[:: self.rows_per_mask].bernoulli(), self.rows_per_mask, dim=0)
        return kept * before + (1 - kept) * after

    def reader(self, x: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Input products of [x_t; more] for a loop over t in which `more` (B, I'') is known only at step t.

        Args:
            x: the first features of all steps, (T, B, I'), whose products are made at once.

        Returns:
            A function of t and `more` to (B, G).
        """
        if len(x) == 1:
            return lambda t, more: self.input_product(torch.cat([x[t], more], dim=-1))
        weight, bias = self.input_weights()
        products, rest = linear(x, weight[:, : x.size(-1)], bias).unbind(), weight[:, x.size(-1) :]
        return lambda t, more: products[t] + linear(more, rest)


def with_weight_drop(module: Any, probability: float, *inputs: Any) -> Any:
    """`module(*inputs)`, in training with some weights of its recurrent matrices dropped (Merity et al. 2018, 2).

    They are drawn once a call, which is a batch: the same for all its sentences and steps. So a fused kernel stays one.
    """
    if not module.training or probability == 0.0:
        return module(*inputs)
    weights = {
        f"{path}.{name}".lstrip("."): layer.get_parameter(name)
        for path, layer in module.named_modules()
        if isinstance(layer, RecurrentLayer)
        for name in layer.recurrent
    }
    dropped = {name: weight * keep(torch.empty_like(weight), probability) for name, weight in weights.items()}
    return functional_call(module, dropped, inputs)


@contextmanager
def recurrent_dropout(module: Any, probability: float, rows: int) -> Iterator[None]:
    """Drop units of h in all recurrent layers of `module` for one batch, in training (Gal and Ghahramani 2016, eq. 7).

    Each layer gets one mask for each row of the batch, the same at all time steps and for all gates. No fused kernel
    does that: the layers loop over time meanwhile.

    Args:
        module: the encoder or the decoder, of any architecture.
        probability: of dropping a unit; with 0, nothing is drawn.
        rows: number of rows of the batch.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, RecurrentLayer) and layer.recurrent]
    if not module.training or probability == 0.0:
        layers = []
    try:
        for layer in layers:
            shared = layer.rows_per_mask
            mask = layer.get_parameter(layer.recurrent[0]).new_empty(rows // shared, layer.hidden_size)
            layer.recurrent_mask = repeat_rows(keep(mask, probability), shared, dim=0)
        yield
    finally:
        for layer in layers:
            layer.recurrent_mask = None


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
        self.rows_per_mask = 1

    def mask(self, like: Tensor) -> Tensor | None:
        """A mask that broadcasts over `like`, (T, B, F), scaled to keep the mean; None where nothing is dropped."""
        if not self.training or self.probability == 0.0:
            return None
        steps, batch, features = like.shape
        shared = self.rows_per_mask
        mask = like.new_empty(1 if self.fixed_masks else steps, batch // shared, features)
        return repeat_rows(keep(mask, self.probability), shared, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x)
        return x if mask is None else x * mask.to(x.dtype)


class WordDropout(nn.Module):
    """Drops whole words' embeddings, (T, B, E), so that the model can lean on no single word.

    Each token by itself (Sennrich and Zhang 2019); Gal and Ghahramani 2016 drop a word wherever it stands.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.rows_per_mask = 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return x
        steps, batch, _ = x.shape
        mask = keep(x.new_empty(steps, batch // self.rows_per_mask, 1), self.probability)
        return x * repeat_rows(mask, self.rows_per_mask, dim=1)


def keep(out: Tensor, probability: float) -> Tensor:
    """Fills `out` with 0 (with this probability) and 1 / (1 - probability)."""
    return out.bernoulli_(1 - probability).div_(1 - probability)


def repeat_rows(masks: Tensor, times: int, dim: int) -> Tensor:
    """Return each mask `times` times in a row along the batch dimension."""
    return masks if times == 1 else masks.repeat_interleave(times, dim=dim)


@contextmanager
def shared_masks(module: Any, rows: int) -> Iterator[None]:
    """Draw one dropout mask for each `rows` neighbouring rows of a batch: hypotheses of one sentence then share it."""
    layers = [layer for layer in module.modules() if isinstance(layer, Dropout | WordDropout | RecurrentLayer)]
    try:
        for layer in layers:
            layer.rows_per_mask = rows
        yield
    finally:
        for layer in layers:
            layer.rows_per_mask = 1
