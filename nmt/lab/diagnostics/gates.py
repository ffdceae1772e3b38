"""What the gates of a trained LSTM or GRU do while a sentence is read (Karpathy et al. 2015, 4.2)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import Cell, ModelConfig, Side
from nmt.data import Batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, build_model
from nmt.models.encoders.recurrent import words_reversed
from nmt.models.layers.cells import ReferenceGRU, ReferenceLSTM
from nmt.models.layers.recurrent import reverse_within_length

REFERENCES = {
    Cell.lstm: Cell.reference_lstm,
    Cell.reference_lstm: Cell.reference_lstm,
    Cell.gru: Cell.reference_gru,
    Cell.reference_gru: Cell.reference_gru,
}
LEFT, RIGHT = 0.1, 0.9
"""A gate below the one is left-saturated, as good as closed, above the other right-saturated, as good as open."""
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Recording:
    """A layer's gates by name, each (T, B, H), in the order of the text, whichever way it was read."""

    gates: dict[str, Tensor]
    mask: Tensor
    """True on real tokens, (T, B)."""
    difference: float
    """The largest one between the logits of the model and of that whose gates these are."""

    @property
    def kept(self) -> Tensor:
        """The gate that says what share of the state is kept, (T, B, H): the LSTM's forget, the GRU's update gate."""
        return self.gates["forget" if "forget" in self.gates else "update"]

    def saturation(self, gate: str) -> tuple[Tensor, Tensor]:
        """Of each unit, (H,), the share of the real tokens at which the gate is left-, and right-saturated."""
        values = self.gates[gate][self.mask]  # (N, H)
        return (values < LEFT).double().mean(dim=0), (values > RIGHT).double().mean(dim=0)


@torch.no_grad()
def record_gates(model: Seq2Seq, config: ModelConfig, side: Side, layer: int, batch: Batch) -> Recording:
    """Reads a batch of pairs with the model's weights in cells that are written out gate by gate.

    Args:
        model: left in double precision, for evaluation.
        config: the model's.
        side: whose layer.
        layer: counted from 1 at the bottom. Of a deep transition, and of the conditional decoder's bottom layer, the
            first cell is recorded.
        batch: the decoder reads its targets.

    Raises:
        UserError: the model has no such layer, or not of these cells.
    """
    reference = build_model(replace(config, cell=REFERENCES[checked(config, side, layer)]), model.vocabulary)
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
        raise RuntimeError(f"the recorded gates are not those of the model: logits differ by {difference}")
    if side == Side.decoder:
        return Recording(gates, batch.tgt_mask, difference)
    if side == Side.encoder_backward:
        gates = {name: reordered(gate, reverse_within_length(batch.src_mask)) for name, gate in gates.items()}
    if config.reverse_source:
        gates = {name: reordered(gate, words_reversed(batch.src_mask)) for name, gate in gates.items()}
    return Recording(gates, batch.src_mask, difference)


def reordered(gate: Tensor, order: Tensor) -> Tensor:
    """(T, B, H) by indices (T, B)."""
    return gate.gather(0, order.unsqueeze(-1).expand_as(gate))


def stack(model: Seq2Seq, side: Side) -> nn.ModuleList:
    match side:
        case Side.encoder:
            layers = model.encoder.forwards
        case Side.encoder_backward:
            layers = model.encoder.backwards
        case Side.decoder:
            layers = model.decoder.layers  # type: ignore[attr-defined]
    assert isinstance(layers, nn.ModuleList)
    return layers


def checked(config: ModelConfig, side: Side, layer: int) -> Cell:
    """The cell of a configuration whose gates can be recorded there."""
    if config.architecture != "recurrent" or config.cell not in REFERENCES:
        what = config.cell if config.architecture == "recurrent" else config.architecture
        raise UserError(f"the model is of {what}, whose gates are not shown; allowed: {', '.join(REFERENCES)}")
    both = config.encoder_layers if config.bidirectional_layers is None else config.bidirectional_layers
    backwards = both * config.bidirectional
    count = {
        Side.encoder: config.encoder_layers,
        Side.encoder_backward: backwards,
        Side.decoder: config.decoder_layers,
    }[side]
    if layer > count:
        raise UserError(f"layer={layer} side={side}: the model has {count} such layers; give another side= or layer=")
    return config.cell
