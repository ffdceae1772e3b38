"""Gate activations of a trained recurrent model (Karpathy et al. 2015, section 4.2)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from nmt.config import CellKind, ModelConfig, ModelSide, RecurrentEncoderConfig, RecurrentSide
from nmt.data import Batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, build_model
from nmt.models.encoders.recurrent import words_reversed
from nmt.models.layers.cells import ReferenceGRU, ReferenceLSTM, cell_type
from nmt.models.layers.recurrent import LayerState, RecurrentLayer, reverse_within_length

REFERENCES: dict[str, CellKind] = {
    CellKind.lstm: CellKind.reference_lstm,
    CellKind.reference_lstm: CellKind.reference_lstm,
    CellKind.gru: CellKind.reference_gru,
    CellKind.reference_gru: CellKind.reference_gru,
}
DECAYS = (
    *(CellKind.layer_norm_lstm, CellKind.ssru, CellKind.sru, CellKind.min_gru, CellKind.min_lstm, CellKind.rg_lru),
    *(CellKind.slstm, CellKind.mlstm, CellKind.gated_delta, CellKind.mamba2, CellKind.gla),
)
"""Cells whose `kept_share` is recorded as the forget gate while the model itself runs."""
LEFT, RIGHT = 0.1, 0.9
"""A gate below `LEFT` is left-saturated (almost closed); a gate above `RIGHT` is right-saturated (almost open)."""
TOLERANCE = 1e-5
"""Maximum difference between the logits of the model and of its copy in reference cells."""


@dataclass(frozen=True)
class Recording:
    """Gate activations of a layer."""

    gates: dict[str, Tensor]
    """Activations (T, B, H) by name of the gate, in the order of the text, also for a backward layer.

    A matrix memory has one gate per head or per key unit in place of H.
    """
    mask: Tensor
    """True on real tokens, (T, B)."""
    difference: float
    """Largest difference between the logits of the model and of its copy in reference cells; zero without a copy."""

    @property
    def kept(self) -> Tensor:
        """Gate that is the kept share of the state, (T, B, H): forget gate or decay, update gate of the GRU."""
        return self.gates["forget" if "forget" in self.gates else "update"]

    def saturation(self, gate: str) -> tuple[Tensor, Tensor]:
        """Return the shares of real tokens at which each gate is left- and right-saturated, both (H,)."""
        values = self.gates[gate][self.mask]  # (N, H)
        return (values < LEFT).double().mean(dim=0), (values > RIGHT).double().mean(dim=0)


@torch.no_grad()
def record_gates(model: Seq2Seq, config: ModelConfig, side: ModelSide, layer: int, batch: Batch) -> Recording:
    """Run a batch through a copy of the model in reference cells, or the model itself, and record a layer's gates.

    Args:
        model: model to record; it remains in double precision and evaluation mode.
        config: configuration of the model.
        side: encoder, backward encoder or decoder.
        layer: number of the layer, from 1 at the bottom. In a deep transition and in the bottom layer of the
            conditional decoder, the first cell is recorded.
        batch: sentence pairs; the targets are the inputs of the decoder.

    Raises:
        UserError: the model does not have this layer, or the gates of its cells cannot be recorded.
    """
    kind = recorded_cell(config, side, layer)
    if kind in DECAYS:
        gates, difference = decay_of(model, kind, side, layer, batch), 0.0
    else:
        gates, difference = gates_of_copy(model, with_cell(config, side, REFERENCES[kind]), side, layer, batch)
    if side == ModelSide.decoder:
        return Recording(gates, batch.tgt_mask, difference)
    if side == ModelSide.encoder_backward:
        gates = {name: reordered(gate, reverse_within_length(batch.src_mask)) for name, gate in gates.items()}
    if isinstance(config.encoder, RecurrentEncoderConfig) and config.encoder.reverse_source:
        gates = {name: reordered(gate, words_reversed(batch.src_mask)) for name, gate in gates.items()}
    return Recording(gates, batch.src_mask, difference)


def decay_of(model: Seq2Seq, kind: CellKind, side: ModelSide, layer: int, batch: Batch) -> dict[str, Tensor]:
    """Run a batch through the model in double precision, step by step, and return a layer's decay as forget gate."""
    model.double().eval()
    decays: list[Tensor] = []
    modules = stack(model, side)[layer - 1].modules()
    cell = next(module for module in modules if isinstance(module, RecurrentLayer) and type(module) is cell_type(kind))
    step: Callable[[Tensor, LayerState], LayerState] = cell.cell

    def recorded(inputs: Tensor, state: LayerState) -> LayerState:
        decays.append(cell.kept_share(inputs, state))
        return step(inputs, state)

    cell.cell = recorded  # type: ignore[method-assign]
    cell.forward = partial(RecurrentLayer.forward, cell)  # type: ignore[method-assign]
    try:
        model(batch.src, batch.src_mask, batch.tgt_in)
    finally:
        del cell.cell, cell.forward
    return {"forget": torch.stack(decays)}


def gates_of_copy(
    model: Seq2Seq, config: ModelConfig, side: ModelSide, layer: int, batch: Batch
) -> tuple[dict[str, Tensor], float]:
    """Run a batch through the model and a copy in reference cells, both in double precision.

    Args:
        model: model to copy.
        config: its configuration, with reference cells on the side.
        side: side of the recorded layer.
        layer: number of the recorded layer.
        batch: sentence pairs.

    Returns:
        The gates of the layer, (T, B, H), and the largest difference between the logits of the two.
    """
    reference = build_model(config, model.vocabulary)
    reference.to(batch.src.device, next(model.parameters()).dtype)
    reference.load_weights({name: parameter.detach() for name, parameter in model.named_parameters()})
    inputs, outputs = (batch.src, batch.src_mask, batch.tgt_in), []
    modules = (module for module in stack(reference, side)[layer - 1].modules())
    cell = next(module for module in modules if isinstance(module, ReferenceLSTM | ReferenceGRU))
    model.double().eval()
    reference.double().eval()
    gates = cell.record(lambda: outputs.append(reference(*inputs)))._asdict()
    difference = float((model(*inputs) - outputs[0])[batch.tgt_mask].abs().max())
    if difference > TOLERANCE:
        raise RuntimeError(f"the reference cells do not compute the same as the model: logits differ by {difference}")
    return gates, difference


def reordered(gate: Tensor, order: Tensor) -> Tensor:
    """Reorder a gate (T, B, H) in time by indices (T, B)."""
    return gate.gather(0, order.unsqueeze(-1).expand_as(gate))


def stack(model: Seq2Seq, side: ModelSide) -> nn.ModuleList:
    """Return the layers of one side of a model."""
    match side:
        case ModelSide.encoder:
            layers = model.encoder.forwards  # type: ignore[attr-defined]
        case ModelSide.encoder_backward:
            layers = model.encoder.backwards  # type: ignore[attr-defined]
        case ModelSide.decoder:
            layers = model.decoder.layers  # type: ignore[attr-defined]
    assert isinstance(layers, nn.ModuleList)
    return layers


def side_key(side: ModelSide) -> str:
    """Return the key of `model` that configures a side."""
    return "decoder" if side == ModelSide.decoder else "encoder"


def recorded_cell(model: ModelConfig, side: ModelSide, layer: int) -> CellKind:
    """Return the kind of the cells of a side.

    Raises:
        UserError: the gates of this layer cannot be recorded.
    """
    name = side_key(side)
    config = getattr(model, name)
    if not isinstance(config, RecurrentSide):
        raise UserError(f"model.{name}.kind={config.kind} has no gates; choose a run with a recurrent {name}")
    if config.cell not in (*REFERENCES, *DECAYS):
        allowed = ", ".join((*REFERENCES, *DECAYS))
        raise UserError(f"gates of model.{name}.cell={config.cell} cannot be recorded; allowed: {allowed}")
    count = config.layers
    if side == ModelSide.encoder_backward and isinstance(config, RecurrentEncoderConfig):
        count = config.layer_widths(model.hidden_size)[0].count(True)
    if layer > count:
        raise UserError(
            f"side={side} layer={layer}: the model has {count} layer(s) on this side; give another side= or layer="
        )
    return CellKind(config.cell)


def with_cell(model: ModelConfig, side: ModelSide, cell: CellKind) -> ModelConfig:
    """Return the configuration with other cells on a side."""
    name = side_key(side)
    return replace(model, **{name: replace(getattr(model, name), cell=cell)})
