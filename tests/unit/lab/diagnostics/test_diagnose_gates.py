"""Recorded gates: by the equations of PyTorch's layers they give the hidden states of the fused kernel."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from family import GNMT
from shapes import model_config
from torch import Tensor

from nmt.cli.diagnose import finding
from nmt.config import AttentionKind, CellKind, ModelConfig, ModelSide
from nmt.data import BOS_ID, PAD_ID, Batch, make_batch
from nmt.errors import UserError
from nmt.lab.diagnostics.gates import Recording, record_gates
from nmt.models import Seq2Seq, Vocabulary, build_model

WORDS = 20
SRC = [[5, 6, 7, 8], [8, 9], [11]]
TGT = [[11, 12], [13, 14, 15, 16, 17], [18, 19, 12]]


def build(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(1)
    return build_model(config, Vocabulary(WORDS, WORDS, PAD_ID, BOS_ID)).double().eval()


def shape(**settings: Any) -> ModelConfig:
    return model_config(**{"embed_size": 6, "hidden_size": 8, "encoder_layers": 2, "decoder_layers": 2, **settings})


def recorded_decoder(cell: CellKind, layer: int, settings: dict[str, Any]) -> tuple[Seq2Seq, Batch, Recording]:
    """Record a layer of a decoder; return the model, the batch that it read, and the recording, which has its mask."""
    config = shape(cell=cell, **settings)
    model, batch = build(config), make_batch(SRC, TGT, range(3))
    recording = record_gates(model, config, ModelSide.decoder, layer, batch)
    assert torch.equal(recording.mask, batch.tgt_mask)
    return model, batch, recording


def replayed(gates: dict[str, Tensor], h: Tensor, c: Tensor | None) -> Tensor:
    """Compute the hidden states (T, H) of one sentence from its gates (T, H), as documented for nn.LSTM and nn.GRU."""
    states = []
    for t in range(len(next(iter(gates.values())))):
        at = {name: gate[t] for name, gate in gates.items()}
        if c is None:
            h = (1 - at["update"]) * at["candidate"] + at["update"] * h
        else:
            c = at["forget"] * c + at["input"] * at["candidate"]
            h = at["output"] * c.tanh()
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize("cell", [CellKind.lstm, CellKind.gru, CellKind.reference_lstm, CellKind.reference_gru])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_an_encoders_gates_make_the_states_of_the_fused_layer(cell: CellKind, reverse_source: bool) -> None:
    config = shape(cell=cell, reverse_source=reverse_source)
    model, batch = build(config), make_batch(SRC, TGT, range(3))
    for side, layers in (
        (ModelSide.encoder, model.encoder.forwards),
        (ModelSide.encoder_backward, model.encoder.backwards),
    ):
        outputs: list[Tensor] = []
        hook = layers[0].register_forward_hook(lambda *given, to=outputs: to.append(given[-1][0].detach()))
        recording = record_gates(model, config, side, 1, batch)
        hook.remove()
        (captured,) = outputs
        assert recording.difference < 1e-10
        for b, line in enumerate(SRC):
            length = len(line) + 1
            gates = {gate: values[-length:, b] for gate, values in recording.gates.items()}
            order = torch.arange(length)
            if reverse_source:  # the words were read in reverse order, with eos last
                order = torch.tensor([*range(length - 2, -1, -1), length - 1])
            if side == ModelSide.encoder_backward:
                order = order.flip(0)
            in_reading_order = {gate: values[order] for gate, values in gates.items()}
            start = torch.zeros(4).double()
            states = replayed(in_reading_order, start, start if "forget" in in_reading_order else None)
            torch.testing.assert_close(states, captured[-length:, b], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", [CellKind.lstm, CellKind.gru])
@pytest.mark.parametrize(
    "settings", [{}, {"attention": None}, {"decoder": "bahdanau"}, {"input_feeding": True}], ids=str
)
@pytest.mark.parametrize("layer", [1, 2])
def test_a_decoders_gates_make_the_states_of_its_steps(cell: CellKind, settings: dict[str, Any], layer: int) -> None:
    model, batch, recording = recorded_decoder(cell, layer, settings)
    with torch.no_grad():
        state = model.encode(batch.src, batch.src_mask)
        start, states = state.hidden[layer - 1], []
        for tokens in batch.tgt_in:
            _, state, _ = model.decoder.step(tokens, state)
            states.append(state.hidden[layer - 1][0])
    for b in range(3):
        gates = {name: gate[:, b] for name, gate in recording.gates.items()}
        computed = replayed(gates, start[0][b], start[1][b] if len(start) == 2 else None)
        torch.testing.assert_close(computed, torch.stack(states)[:, b], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", [CellKind.ssru, CellKind.min_gru, CellKind.min_lstm, CellKind.rg_lru])
@pytest.mark.parametrize("settings", [{}, {"input_feeding": True}], ids=["sequence", "steps"])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_decoders_decay_is_the_derivative_of_its_state(cell: CellKind, settings: dict[str, Any], layer: int) -> None:
    """c' = decay c + added, element by element, so that dc'/dc is the decay; the derivative is taken by autograd."""
    model, batch, recording = recorded_decoder(cell, layer, settings)
    assert list(recording.gates) == ["forget"]
    assert recording.kept.shape == (*batch.tgt_in.shape, 8)
    state = model.encode(batch.src, batch.src_mask)
    at = 0 if len(state.hidden[0]) == 1 else 1  # c of (h, c, ...), or h
    for t, tokens in enumerate(batch.tgt_in):
        given = state.hidden[layer - 1][at].detach().requires_grad_()
        before = (*state.hidden[layer - 1][:at], given, *state.hidden[layer - 1][at + 1 :])
        hidden = tuple(before if n == layer - 1 else each for n, each in enumerate(state.hidden))
        _, state, _ = model.decoder.step(tokens, replace(state, hidden=hidden))
        (derivative,) = torch.autograd.grad(state.hidden[layer - 1][at].sum(), given)
        torch.testing.assert_close(recording.kept[t], derivative, atol=1e-10, rtol=0)


@pytest.mark.parametrize("cell", [CellKind.ssru, CellKind.rg_lru])
def test_an_encoders_decay_is_in_the_order_of_the_text(cell: CellKind) -> None:
    """The decay of a forward layer depends on the words so far, that of a backward layer on the words from there on."""
    config = shape(cell=cell)
    changed = [[5, 6, 9, 8], *SRC[1:]]  # the third word of four
    for side, kept in (
        (ModelSide.encoder, [True, True, False]),
        (ModelSide.encoder_backward, [None, None, False, True]),
    ):
        gates = [record_gates(build(config), config, side, 1, make_batch(src, TGT, range(3))) for src in (SRC, changed)]
        assert all(torch.equal(gate.mask, gates[0].mask) for gate in gates)
        same = [torch.equal(*(gate.kept[t, 0] for gate in gates)) for t in range(4)]
        assert all(expected is None or same[t] == expected for t, expected in enumerate(kept))


@pytest.mark.parametrize(
    "settings",
    [
        GNMT,
        {"encoder_transitions": 2},
        {"zoneout_h": 0.1, "zoneout_c": 0.2},
        {"decoder": "conditional"},
        {"weight_drop": 0.3, "direction_size": 6},
    ],
    ids=str,
)
def test_other_members_of_the_family_are_recorded_as_they_compute(settings: dict[str, Any]) -> None:
    config = shape(**settings)
    model, batch = build(config), make_batch(SRC, TGT, range(3))
    for side in ModelSide:
        recording = record_gates(model, config, side, 1, batch)
        assert recording.difference < 1e-10
        assert {gate.shape[:2] for gate in recording.gates.values()} == {recording.mask.shape}


@pytest.mark.parametrize(
    ("settings", "side", "layer", "message"),
    [
        (
            {"cell": CellKind.rnn},
            ModelSide.encoder,
            1,
            "gates of model.encoder.cell=rnn cannot be recorded; allowed: lstm",
        ),
        ({"kind": "transformer"}, ModelSide.encoder, 1, "model.encoder.kind=transformer has no gates"),
        ({}, ModelSide.encoder, 3, "side=encoder layer=3: the model has 2 layer"),
        (
            {"bidirectional_layers": 1},
            ModelSide.encoder_backward,
            2,
            "side=encoder_backward layer=2: the model has 1 layer",
        ),
        ({"bidirectional": False}, ModelSide.encoder_backward, 1, "the model has 0 layer.s. on this side"),
        ({"decoder_layers": 1}, ModelSide.decoder, 2, "the model has 1 layer.s. on this side"),
    ],
)
def test_a_missing_layer_is_refused(settings: dict[str, Any], side: ModelSide, layer: int, message: str) -> None:
    config = shape(**settings)
    with pytest.raises(UserError, match=message):
        record_gates(build(shape()), config, side, layer, make_batch(SRC, TGT, range(3)))


def test_saturation_is_counted_over_real_tokens_alone() -> None:
    gate = torch.tensor([[[0.0, 0.95]], [[0.05, 0.95]], [[0.5, 0.95]], [[0.95, 0.2]]])  # (4, 1, 2)
    mask = torch.tensor([[False], [True], [True], [True]])
    left, right = Recording({"forget": gate}, mask, 0.0).saturation("forget")
    assert left.tolist() == pytest.approx([1 / 3, 0])
    assert right.tolist() == pytest.approx([1 / 3, 2 / 3])


def test_the_title_names_where_the_most_is_kept_and_forgotten() -> None:
    gate = torch.tensor([[[0.4, 0.6]], [[0.8, 1.0]], [[0.1, 0.3]]])
    recording = Recording({"reset": 1 - gate, "update": gate}, torch.ones(3, 1, dtype=torch.bool), 0.0)
    title = finding(recording, ["▁a", "▁b", "</s>"])
    assert title == "it forgets most at '</s>' (mean gate 0.20) and keeps most at '▁b' (0.90)"


def test_attention_kinds_do_not_matter() -> None:
    config = shape(attention=AttentionKind.coverage)
    assert record_gates(build(config), config, ModelSide.decoder, 2, make_batch(SRC, TGT, range(3))).difference < 1e-10
