"""Properties of all layers with a matrix memory: refusals, precision, the bridge, and search."""

import pytest
import torch
from shapes import model_config

from nmt.config import CellKind, ModelSide, Precision, RecurrentEncoderConfig
from nmt.config.side import MATRIX_MEMORY_CELLS
from nmt.data import BOS_ID, make_batch
from nmt.errors import UserError
from nmt.lab.diagnostics.gates import record_gates
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.decoders import RecurrentDecoder
from nmt.models.decoders.base import DecoderState
from nmt.models.int8 import Int8Linear
from nmt.models.layers.matrix_memory import MatrixMemoryLayer

EVERY = pytest.mark.parametrize("cell", MATRIX_MEMORY_CELLS)
BATCH = make_batch([[5, 6, 7], [8]], [[6, 9], [7]], range(2))


def build(cell: CellKind, **keys: object) -> Seq2Seq:
    torch.manual_seed(0)
    config = model_config(embed_size=8, hidden_size=8, decoder_layers=2, decoder_cell=cell, **keys)
    return build_model(config, Vocabulary(20, 20)).eval()


@EVERY
@pytest.mark.parametrize("key", ["weight_drop", "recurrent_dropout", "zoneout_h", "zoneout_c"])
def test_noise_on_the_recurrence_is_refused(cell: CellKind, key: str) -> None:
    config = RecurrentEncoderConfig(cell=cell)
    assert list(config.problems()) == []
    setattr(config, key, 0.2)
    ((name, message),) = config.problems()
    assert name == key
    assert message.startswith(f"is 0.2 but the cell {cell} has ")
    assert message.endswith("set it to 0")


@EVERY
def test_a_deep_transition_is_refused(cell: CellKind) -> None:
    """The outputs of all cells but the last one would be unused, with their queries and output gates."""
    ((name, message),) = RecurrentEncoderConfig(cell=cell, transitions=2).problems()
    assert name == "transitions"
    assert message.startswith(f"is 2 but the gates of {cell} read only the input")


def test_recording_of_gates_is_refused_without_a_decay() -> None:
    config = model_config(embed_size=8, hidden_size=8, decoder_cell=CellKind.delta_net)
    model = build_model(config, Vocabulary(20, 20))
    with pytest.raises(UserError, match=r"decoder\.cell=delta_net cannot be recorded; allowed: lstm"):
        record_gates(model, config, ModelSide.decoder, 1, BATCH)


@EVERY
@torch.no_grad()
def test_the_products_of_the_layer_stay_in_float32_with_int8(cell: CellKind) -> None:
    model = build(cell)
    model.prepare_search(Precision.int8)
    layers = [module for module in model.modules() if isinstance(module, MatrixMemoryLayer)]
    assert layers
    assert not any(isinstance(part, Int8Linear) for layer in layers for part in layer.modules())
    assert all(layer.output_bound == float("inf") for layer in layers)


@EVERY
@torch.no_grad()
def test_the_bridge_writes_one_association_per_head(cell: CellKind) -> None:
    model = build(cell)
    decoder = model.decoder
    assert isinstance(decoder, RecurrentDecoder)
    state = model.encode(BATCH.src, BATCH.src_mask)
    assert isinstance(state, DecoderState)
    for h, memory, *rest in state.hidden:
        assert memory.shape == (2, 4, 2, 2)
        assert torch.linalg.matrix_rank(memory).eq(1).all()
        columns = memory / h.view(2, 4, 2, 1)  # each row of the memory is the value times a unit of the key
        torch.testing.assert_close(columns[:, :, 0], columns[:, :, 1], atol=1e-4, rtol=1e-3)
        if cell == CellKind.mlstm:
            torch.testing.assert_close(rest[0], h.view(2, 4, 2))
            assert not rest[1].any()


@EVERY
@torch.no_grad()
def test_a_memory_stays_in_float32_beside_weights_in_bfloat16(cell: CellKind) -> None:
    model = build(cell)
    model.prepare_search(Precision.bfloat16)
    state = model.encode(BATCH.src, BATCH.src_mask)
    _, state, _ = model.step(torch.tensor([BOS_ID, BOS_ID]), state)
    assert isinstance(state, DecoderState)
    for h, *memory in state.hidden:
        assert h.dtype == torch.bfloat16
        assert all(part.dtype == torch.float32 for part in memory)


@EVERY
@torch.no_grad()
def test_every_tensor_of_the_state_is_selected(cell: CellKind) -> None:
    model = build(cell)
    _, state, _ = model.step(torch.tensor([BOS_ID, 7]), model.encode(BATCH.src, BATCH.src_mask))
    assert isinstance(state, DecoderState)
    selected = state.select(torch.tensor([[1, 1], [0, 1]]))
    for before, after in zip(state.hidden, selected.hidden, strict=True):
        assert len(before) == len(after) == (4 if cell == CellKind.mlstm else 2)
        for part, taken in zip(before, after, strict=True):
            assert torch.equal(taken, part[[1, 1, 0, 1]])
