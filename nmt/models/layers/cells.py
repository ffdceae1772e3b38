"""Layers computed step by step, for cells without a PyTorch kernel, and the factory `build_layer`.

A new cell needs a class such as `LayerNormLSTM`, a name in `CellKind` and a case in `cell_type` (docs/adding.md).
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from nmt.config import CELLS, CellKind, RecurrentSide
from nmt.models.layers.block import BlockLayer
from nmt.models.layers.elementwise import SRU, SSRU, ElementwiseLayer, MinGRU, MinLSTM
from nmt.models.layers.fused import GRU, LSTM, RNN, FusedLayer, MaskedLayer
from nmt.models.layers.gated_delta import GLA, DeltaNet, GatedDelta, Mamba2
from nmt.models.layers.mlstm import MLSTM
from nmt.models.layers.recurrent import LayerState, LinearInputLayer, RecurrentLayer
from nmt.models.layers.rg_lru import RGLRU
from nmt.models.layers.slstm import SLSTM


class StepwiseLayer(LinearInputLayer):
    """Base class of layers computed step by step: input and recurrent products; a subclass defines the cell."""

    gates: int
    """Number of gates, each of H units."""
    recurrent = ("state.weight",)

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(hidden_size, zoneout[: self.states])
        self.input = nn.Linear(input_size, self.gates * hidden_size, bias=False)
        self.state = nn.Linear(hidden_size, self.gates * hidden_size, bias=False)
        with torch.no_grad():
            for gate in self.input.weight.chunk(self.gates):
                nn.init.xavier_uniform_(gate)
            for gate in self.state.weight.chunk(self.gates):
                nn.init.orthogonal_(gate)

    def state_product(self, h: Tensor) -> Tensor:
        product: Tensor = self.state(self.drop_state(h))
        return product


class LayerNormLSTM(StepwiseLayer):
    """LSTM with layer normalisation of the products of each gate and of the cell (Ba et al. 2016, eq. 20 to 22).

        gates = a_x LN(W x) + a_h LN(U h) + b,  c' = f c + i g,  h' = o tanh(LN(c'))

    LN takes mean and variance over the units of one gate (Chen et al. 2018, 3) rather than over all four gates.
    """

    gates = 4

    def __init__(self, input_size: int, hidden_size: int, zoneout: tuple[float, ...] = ()) -> None:
        super().__init__(input_size, hidden_size, zoneout)
        self.input_gain = nn.Parameter(torch.ones(4, hidden_size))
        self.state_gain = nn.Parameter(torch.ones(4, hidden_size))
        self.bias = nn.Parameter(torch.zeros(4, hidden_size))
        with torch.no_grad():
            self.bias[1] = 1.0  # bias of the forget gate
        self.norm = nn.LayerNorm(hidden_size)

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        h, c = state
        i, f, g, o = self.gate_inputs(inputs, h)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * self.norm(c).tanh(), c

    def kept_share(self, inputs: Tensor, state: LayerState) -> Tensor:
        return self.gate_inputs(inputs, state[0])[1].sigmoid()

    def gate_inputs(self, inputs: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Return the arguments of the gates i, f, g, o, each (B, H), from input products (B, G) and h (B, H)."""
        gates = self.normalise(inputs) * self.input_gain + self.normalise(self.state_product(h)) * self.state_gain
        return (gates + self.bias).unbind(-2)

    def normalise(self, products: Tensor) -> Tensor:
        """Normalise the products of each gate, (B, 4 H) -> (B, 4, H)."""
        return layer_norm(products.view(-1, 4, self.hidden_size), (self.hidden_size,))


class Gates(NamedTuple):
    """Gate activations of an LSTM, (B, H) for one step or (T, B, H) for a sequence.

    All but the candidate lie in [0, 1].
    """

    forget: Tensor
    input: Tensor
    candidate: Tensor
    """Candidate cell value, in [-1, 1]."""
    output: Tensor


class GRUGates(NamedTuple):
    """Gate activations of a GRU; the update gate is the share of the state that is kept."""

    reset: Tensor
    update: Tensor
    candidate: Tensor
    """Candidate state, in [-1, 1]."""


G = TypeVar("G", Gates, GRUGates)


class Recorder(Generic[G]):
    """Mixin that records the gate activations of a cell."""

    recorded: list[G] | None = None

    def record(self, run: Callable[[], object]) -> G:
        """Return the gates, each (T, B, H), of the sequence that `run` passes through this layer, in processing order.

        Example for a source sentence: `layer.record(lambda: model.encode(src, src_mask))`.
        """
        steps: list[G] = []
        self.recorded = steps
        try:
            run()
            kind: Any = type(steps[0])
            gates: G = kind(*(torch.stack(gate) for gate in zip(*steps, strict=True)))
            return gates
        finally:
            self.recorded = None


class ReferenceLSTM(Recorder[Gates], LSTM):
    """LSTM computed gate by gate, slow and inspectable, with the parameters and parameter names of `LSTM`.

    To inspect the gates of a model trained with `cell=lstm`, build it with `cell=reference_lstm` and load the same
    weights.
    """

    forward = RecurrentLayer.forward

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        h, c = state
        x_i, x_f, x_g, x_o = inputs.chunk(4, dim=-1)
        h = self.drop_state(h)
        u_i, u_f, u_g, u_o = self.weight_hh_l0.chunk(4)
        b_i, b_f, b_g, b_o = (None,) * 4 if self.bias_hh_l0 is None else self.bias_hh_l0.chunk(4)
        forget = torch.sigmoid(x_f + linear(h, u_f, b_f))
        input = torch.sigmoid(x_i + linear(h, u_i, b_i))
        candidate = torch.tanh(x_g + linear(h, u_g, b_g))
        output = torch.sigmoid(x_o + linear(h, u_o, b_o))
        if self.recorded is not None:
            self.recorded.append(Gates(forget, input, candidate, output))
        c = forget * c + input * candidate
        return output * torch.tanh(c), c


class ReferenceGRU(Recorder[GRUGates], GRU):
    """GRU computed gate by gate, with the parameters and parameter names of `GRU`."""

    forward = RecurrentLayer.forward

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        (h,) = state
        x_r, x_z, x_n = inputs.chunk(3, dim=-1)
        u_r, u_z, u_n = self.weight_hh_l0.chunk(3)
        b_r, b_z, b_n = (None,) * 3 if self.bias_hh_l0 is None else self.bias_hh_l0.chunk(3)
        dropped = self.drop_state(h)
        reset = torch.sigmoid(x_r + linear(dropped, u_r, b_r))
        update = torch.sigmoid(x_z + linear(dropped, u_z, b_z))
        candidate = torch.tanh(x_n + reset * linear(dropped, u_n, b_n))
        if self.recorded is not None:
            self.recorded.append(GRUGates(reset, update, candidate))
        return ((1 - update) * candidate + update * h,)


class DeepTransition(RecurrentLayer):
    """Several cells per time step; each starts from the state of the previous one, and only the first reads the input.

    Pascanu et al. 2014; Miceli Barone et al. 2017. The other cells read a constant one, so that their products with the
    input are constants.
    """

    def __init__(self, cells: Iterable[RecurrentLayer], zoneout: tuple[float, ...]) -> None:
        cells = list(cells)
        super().__init__(cells[0].hidden_size, zoneout[: cells[0].states])
        self.states = cells[0].states
        self.first, self.others = cells[0], nn.ModuleList(cells[1:])
        self.output_bound = cells[0].output_bound

    def summary(self, state: LayerState) -> LayerState:
        return self.first.summary(state)

    def zero_state(self, x: Tensor) -> LayerState:
        return self.first.zero_state(x)

    def input_product(self, x: Tensor) -> Tensor:
        return self.first.input_product(x)

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        state = self.first.advance(inputs, state)
        one = inputs.new_ones(inputs.size(0), 1)
        for other in self.others:
            assert isinstance(other, RecurrentLayer)
            state = other.step(one, state)
        return state


CellType = (
    type[FusedLayer] | type[StepwiseLayer] | type[ElementwiseLayer] | type[SLSTM] | type[MLSTM] | type[GatedDelta]
)


def cell_type(cell: str) -> CellType:
    """Return the layer class of a cell, built-in or registered."""
    match cell:
        case CellKind.lstm:
            return LSTM
        case CellKind.gru:
            return GRU
        case CellKind.rnn:
            return RNN
        case CellKind.reference_lstm:
            return ReferenceLSTM
        case CellKind.reference_gru:
            return ReferenceGRU
        case CellKind.layer_norm_lstm:
            return LayerNormLSTM
        case CellKind.ssru:
            return SSRU
        case CellKind.sru:
            return SRU
        case CellKind.min_gru:
            return MinGRU
        case CellKind.min_lstm:
            return MinLSTM
        case CellKind.rg_lru:
            return RGLRU
        case CellKind.slstm:
            return SLSTM
        case CellKind.mlstm:
            return MLSTM
        case CellKind.gated_delta:
            return GatedDelta
        case CellKind.delta_net:
            return DeltaNet
        case CellKind.mamba2:
            return Mamba2
        case CellKind.gla:
            return GLA
        case name:
            registered: CellType = CELLS.find(name)
            return registered


def build_layer(
    config: RecurrentSide, input_size: int, hidden_size: int, masked: bool = False, transitions: int = 1
) -> RecurrentLayer:
    """Build a layer of the configured cell, with the configured parts of a block around it.

    Args:
        config: configuration of the encoder or decoder.
        input_size: number of input features.
        hidden_size: width of the state.
        masked: True if the layer will be called with a mask, on left-padded sequences.
        transitions: number of cells per time step.
    """
    layer = build_bare_layer(config, input_size, hidden_size, masked, transitions)
    if not config.has_block:
        return layer
    return BlockLayer(layer, input_size, hidden_size, config.pre_norm, config.convolution)


def build_bare_layer(
    config: RecurrentSide, input_size: int, hidden_size: int, masked: bool, transitions: int
) -> RecurrentLayer:
    """Build a layer without the parts of a block; the arguments are those of `build_layer`."""
    kind, zoneout = cell_type(config.cell), (config.zoneout_h, config.zoneout_c)
    if transitions > 1:
        cells = [
            kind(input_size, hidden_size),
            *(constant_input_cell(kind, hidden_size) for _ in range(transitions - 1)),
        ]
        return DeepTransition(cells, zoneout)
    if masked and issubclass(kind, FusedLayer):
        return MaskedLayer(kind(input_size + 1, hidden_size, bias=False, zoneout=zoneout))
    return kind(input_size, hidden_size, zoneout=zoneout)


def constant_input_cell(kind: CellType, hidden_size: int) -> RecurrentLayer:
    """Build a cell whose input is a constant one; in a fused cell the input weights replace the bias."""
    return kind(1, hidden_size, bias=False) if issubclass(kind, FusedLayer) else kind(1, hidden_size)
