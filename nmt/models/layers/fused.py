"""PyTorch's fused LSTM, GRU and RNN layers, and a wrapper that makes them exact on left-padded batches."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.models.int8 import Int8Linear
from nmt.models.layers.recurrent import LayerState, RecurrentLayer
from nmt.models.packed import PackedLinear


class FusedLayer(RecurrentLayer):
    """Layer with PyTorch's parameters and fused kernel, which processes a padded sequence in one call."""

    family: str
    torch_layer: Any
    gates: int
    recurrent = ("weight_hh_l0",)
    weight_ih_l0: nn.Parameter
    weight_hh_l0: nn.Parameter
    bias_ih_l0: nn.Parameter | None
    bias_hh_l0: nn.Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, zoneout: tuple[float, ...] = ()) -> None:
        """Initialise the layer.

        Args:
            input_size: number of input features I.
            hidden_size: width H of the state.
            bias: False if the last input feature is the constant one (or the mask), whose weights then act as the bias.
            zoneout: zoneout probability of each tensor of the state.
        """
        super().__init__(hidden_size, zoneout[: self.states])
        self.products: tuple[nn.Module, nn.Module] | None = None
        """Input and recurrent product for search; None: those of training."""
        layer = self.torch_layer(input_size, hidden_size, bias=bias)
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            self.register_parameter(name, getattr(layer, name, None))
        self.initialise()

    def round_to_int8(self, bound: float) -> None:
        """Compute the products of later steps in 8-bit integers.

        Args:
            bound: largest magnitude of an input. The bound of h is 1.
        """
        state_product = Int8Linear(self.weight_hh_l0, self.bias_hh_l0, 1.0)
        self.products = Int8Linear(*self.input_weights(), bound), state_product

    def pack(self) -> None:
        """Pack the weights for the products of later steps."""
        self.products = PackedLinear(*self.input_weights()), PackedLinear(self.weight_hh_l0, self.bias_hh_l0)

    @torch.no_grad()
    def initialise(self) -> None:
        """Initialise input weights Glorot-uniform, recurrent weights orthogonal per gate, and biases to zero.

        Orthogonal initialisation: Saxe et al. 2014.
        """
        for gate in self.weight_ih_l0.chunk(self.gates):
            nn.init.xavier_uniform_(gate)
        for gate in self.weight_hh_l0.chunk(self.gates):
            nn.init.orthogonal_(gate)
        self.input_bias().zero_()
        if self.bias_hh_l0 is not None:
            self.bias_hh_l0.zero_()

    def input_bias(self) -> Tensor:
        """Return the bias of the input product, a view that can be changed in place."""
        return self.weight_ih_l0[:, -1] if self.bias_ih_l0 is None else self.bias_ih_l0

    def input_weights(self) -> tuple[Tensor, Tensor | None]:
        return self.weight_ih_l0, self.bias_ih_l0

    def input_product(self, x: Tensor) -> Tensor:
        if self.products is None:
            return super().input_product(x)
        product: Tensor = self.products[0](x)
        return product

    def state_product(self, h: Tensor) -> Tensor:
        h = self.drop_state(h)
        if self.products is None:
            return linear(h, self.weight_hh_l0, self.bias_hh_l0)
        product: Tensor = self.products[1](h)
        return product

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """Run the layer over a sequence with the fused kernel, or with the loop of the base class.

        The loop runs with zoneout, with recurrent dropout, and with a padding mask (see MaskedLayer).
        """
        if self.zoneout or self.recurrent_mask is not None or mask is not None:
            return super().forward(x, state, mask)
        weights: list[Tensor] = [self.weight_ih_l0, self.weight_hh_l0]
        if self.bias_ih_l0 is not None and self.bias_hh_l0 is not None:
            weights += [self.bias_ih_l0, self.bias_hh_l0]
        state = state or (x.new_zeros(x.size(1), self.hidden_size),) * self.states
        initial = [part.unsqueeze(0) for part in state]
        run = self.kernel if self.kernel_reads(x) else self.kernel_in_float32
        outputs, *last = run(x, initial, weights, self.training)
        return outputs, tuple(part.squeeze(0) for part in last)

    def kernel_reads(self, x: Tensor) -> bool:
        """Return whether the kernel supports the data type of the computation; float32 is always supported."""
        autocast = torch.is_autocast_enabled(x.device.type)
        dtype = torch.get_autocast_dtype(x.device.type) if autocast else x.dtype
        if dtype != torch.bfloat16:
            return True
        return bfloat16_kernel_works(type(self), x.device.type, autocast)  # type: ignore[arg-type]

    @staticmethod
    def kernel(x: Tensor, state: list[Tensor], weights: list[Tensor], training: bool) -> tuple[Tensor, ...]:
        """Call PyTorch's function for one layer in one direction.

        Args:
            x: (T, B, I).
            state: initial state, each tensor (1, B, H).
            weights: input and recurrent weights, followed by their biases if the layer has biases.
            training: True if gradients will be computed.

        Returns:
            The outputs (T, B, H) and the last state, each tensor (1, B, H).
        """
        raise NotImplementedError

    def kernel_in_float32(
        self, x: Tensor, state: list[Tensor], weights: list[Tensor], training: bool
    ) -> tuple[Tensor, ...]:
        """Run the kernel in float32 where bfloat16 is unsupported, and round the results to bfloat16."""
        with torch.autocast(x.device.type, enabled=False):
            results = self.kernel(
                x.float(), [part.float() for part in state], [weight.float() for weight in weights], training
            )
        return tuple(result.bfloat16() for result in results)


@cache
def bfloat16_kernel_works(layer: type[FusedLayer], device: str, autocast: bool) -> bool:
    """Return whether a layer's kernel runs in bfloat16 on this device, by running it forward and backward once.

    Without AVX-512, oneDNN has no LSTM in bfloat16. Autocast and tensors in bfloat16 take different paths in PyTorch.
    """
    dtype = torch.float32 if autocast else torch.bfloat16
    shapes = [(layer.gates * 2, 3), (layer.gates * 2, 2)]
    weights = [torch.zeros(shape, dtype=dtype, device=device, requires_grad=True) for shape in shapes]
    x = torch.zeros(2, 2, 3, dtype=dtype, device=device)
    state = [torch.zeros(1, 2, 2, dtype=dtype, device=device)] * layer.states
    try:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=autocast):
            with torch.inference_mode(False), torch.enable_grad():
                outputs = layer.kernel(x, state, weights, True)[0]
                outputs.float().sum().backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                layer.kernel(x, state, weights, False)
    except RuntimeError:  # could not create a primitive descriptor
        return False
    return True


class LSTM(FusedLayer):
    """LSTM: i, f, o = sigmoid(W x + U h + b),  g = tanh(W x + U h + b),  c' = f c + i g,  h' = o tanh(c').

    Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000. The forget bias is initialised to 1, so
    that an untrained cell keeps its memory (Jozefowicz et al. 2015).
    """

    family, torch_layer, gates, states = "lstm", nn.LSTM, 4, 2

    @torch.no_grad()
    def initialise(self) -> None:
        super().initialise()
        self.input_bias()[self.hidden_size : 2 * self.hidden_size] = 1.0

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        h, c = state
        i, f, g, o = (inputs + self.state_product(h)).chunk(4, dim=-1)  # order of the rows in PyTorch
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    @staticmethod
    def kernel(x: Tensor, state: list[Tensor], weights: list[Tensor], training: bool) -> tuple[Tensor, ...]:
        return torch.lstm(x, state, weights, len(weights) == 4, 1, 0.0, training, False, False)


class GRU(FusedLayer):
    """GRU: r, z = sigmoid(W x + U h + b),  n = tanh(W x + b + r (U h + b')),  h' = (1 - z) n + z h.

    Cho et al. 2014, with the reset gate applied after the product, as in PyTorch.
    """

    family, torch_layer, gates, states = "gru", nn.GRU, 3, 1

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        (h,) = state
        x_r, x_z, x_n = inputs.chunk(3, dim=-1)  # order of the rows in PyTorch
        h_r, h_z, h_n = self.state_product(h).chunk(3, dim=-1)
        n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
        return (n + (x_z + h_z).sigmoid() * (h - n),)

    @staticmethod
    def kernel(x: Tensor, state: list[Tensor], weights: list[Tensor], training: bool) -> tuple[Tensor, ...]:
        return torch.gru(x, state[0], weights, len(weights) == 4, 1, 0.0, training, False, False)


class RNN(FusedLayer):
    """Elman network (Elman 1990): h' = tanh(W x + U h + b)."""

    family, torch_layer, gates, states = "rnn", nn.RNN, 1, 1

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        return ((inputs + self.state_product(state[0])).tanh(),)

    @staticmethod
    def kernel(x: Tensor, state: list[Tensor], weights: list[Tensor], training: bool) -> tuple[Tensor, ...]:
        return torch.rnn_tanh(x, state[0], weights, len(weights) == 4, 1, 0.0, training, False, False)


class MaskedLayer(RecurrentLayer):
    """Fused layer for left-padded sequences whose outputs and last state do not depend on the padding.

    The mask is an additional input feature whose weights are the bias: `W x + b m`. On padding both x and m are zero.
    All gate inputs are then zero, the candidate tanh(0) is zero, and the state stays exactly zero until the first real
    token (h = o tanh(c) with c = f 0 + i 0; the same holds for GRU and RNN). The last time step therefore holds the
    last state of every sentence. Packed sequences, the usual alternative, run step by step on CPUs and train about
    three times slower.
    """

    def __init__(self, layer: FusedLayer) -> None:
        """Wrap `layer`, which must have no bias and one additional input feature for the mask."""
        super().__init__(layer.hidden_size, layer.zoneout)
        self.states = layer.states
        self.family = layer.family
        self.add_module(layer.family, layer)  # parameter names in a checkpoint then contain the cell

    @property
    def layer(self) -> FusedLayer:
        """Wrapped layer."""
        layer = self.get_submodule(self.family)
        assert isinstance(layer, FusedLayer)
        return layer

    def input_weights(self) -> tuple[Tensor, Tensor | None]:
        return self.layer.weight_ih_l0[:, :-1], self.layer.input_bias()

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        return self.layer.cell(inputs, state)

    def forward(
        self, x: Tensor, state: LayerState | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        if mask is None:
            mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        real = mask.unsqueeze(-1).to(x.dtype)  # (T, B, 1)
        outputs, last = self.layer(torch.cat([x * real, real], dim=-1), state)
        return outputs, last
