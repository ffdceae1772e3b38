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
from nmt.data import Batch, make_batch
from nmt.errors import UserError
from nmt.lab.diagnostics.gates import DECAYS, Recording, record_gates
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.layers.cells import cell_type

WORDS = 20
SRC = [[5, 6, 7, 8], [8, 9], [11]]
TGT = [[11, 12], [13, 14, 15, 16, 17], [18, 19, 12]]


def build(config: ModelConfig) -> Seq2Seq:
    torch.manual_seed(1)
    return build_model(config, Vocabulary(WORDS, WORDS)).double().eval()


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


KEEPERS = [*(CellKind.ssru, CellKind.min_gru, CellKind.min_lstm, CellKind.rg_lru), *(CellKind.mamba2, CellKind.gla)]


@pytest.mark.parametrize("cell", KEEPERS)
@pytest.mark.parametrize("settings", [{}, {"input_feeding": True}], ids=["sequence", "steps"])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_decoders_decay_is_the_derivative_of_its_state(cell: CellKind, settings: dict[str, Any], layer: int) -> None:
    """c' = decay c + added, element by element, so that dc'/dc is the decay; the derivative is taken by autograd."""
    model, batch, recording = recorded_decoder(cell, layer, settings)
    assert list(recording.gates) == ["forget"]
    assert recording.kept.shape == (*batch.tgt_in.shape, 4 if cell == CellKind.mamba2 else 8)
    state = model.encode(batch.src, batch.src_mask)
    at = 0 if len(state.hidden[0]) == 1 else 1  # c or the matrix of (h, c, ...), or h
    for t, tokens in enumerate(batch.tgt_in):
        given = state.hidden[layer - 1][at].detach().requires_grad_()
        before = (*state.hidden[layer - 1][:at], given, *state.hidden[layer - 1][at + 1 :])
        hidden = tuple(before if n == layer - 1 else each for n, each in enumerate(state.hidden))
        _, state, _ = model.decoder.step(tokens, replace(state, hidden=hidden))
        (derivative,) = torch.autograd.grad(state.hidden[layer - 1][at].sum(), given)
        if cell == CellKind.mamba2:  # (B, N, D, D), the same number in the whole matrix of a head
            derivative = derivative[..., 0, 0]
        elif cell == CellKind.gla:  # one number per row, the units of a key
            derivative = derivative[..., 0].flatten(-2)
        torch.testing.assert_close(recording.kept[t], derivative, atol=1e-10, rtol=0)


def decays_of_a_layer(cell: CellKind) -> tuple[Any, Tensor, list[tuple[Tensor, ...]], Tensor]:
    """Return a layer, inputs (5, 2, 6), the states before and after each of its steps, and `kept_share` at each."""
    torch.manual_seed(3)
    layer: Any = cell_type(cell)(6, 8)
    layer.double()
    x = torch.randn(5, 2, 6).double()
    states, kept = [layer.zero_state(x)], []
    for row in x:
        kept.append(layer.kept_share(layer.input_product(row), states[-1]))
        states.append(layer.step(row, states[-1]))
    return layer, x, states, torch.stack(kept)


def test_the_decay_of_slstm_is_the_weight_of_the_mean_before() -> None:
    """Beck et al. 2024, 2.2, without the stabiliser: f n / n', with n' = f n + i, and with it c / n is replayed."""
    layer, x, states, kept = decays_of_a_layer(CellKind.slstm)
    n, mean = torch.zeros(2, 8).double(), torch.zeros(2, 8).double()
    for t, row in enumerate(x):
        i, f, z, _ = (layer.input(row) + layer.state(states[t][0])).chunk(4, dim=-1)
        after = f.sigmoid() * n + i.exp()
        torch.testing.assert_close(kept[t], f.sigmoid() * n / after)
        n, mean = after, kept[t] * mean + (1 - kept[t]) * z.tanh()
        torch.testing.assert_close(states[t + 1][1] / states[t + 1][2], mean)
    assert torch.equal(kept[0], torch.zeros(2, 8).double())  # nothing is there to be kept


def test_the_decays_of_the_other_cells_are_those_of_their_equations() -> None:
    """Forget gates by rows of the weights; the memory of the delta rule keeps a of what its key does not name."""
    layer, x, states, kept = decays_of_a_layer(CellKind.sru)
    weight, bias = layer.input.weight[8:16], layer.input.bias[8:16]
    before = torch.stack([state[1] for state in states[:-1]])
    torch.testing.assert_close(kept, (x @ weight.t() + bias + layer.gate_state[0] * before).sigmoid())

    layer, x, _, kept = decays_of_a_layer(CellKind.mlstm)
    assert layer.heads == 4
    torch.testing.assert_close(kept, (x @ layer.input.weight[-4:].t() + layer.input.bias[-4:]).sigmoid())

    layer, x, states, kept = decays_of_a_layer(CellKind.gated_delta)
    for t, row in enumerate(x):
        key = (row @ layer.input.weight[8:16].t() + layer.input.bias[8:16]).view(2, 4, 2)
        key = key * key.sigmoid()
        other = torch.stack([-key[..., 1], key[..., 0]], dim=-1).unsqueeze(-2)  # orthogonal to the key, (2, 4, 1, 2)
        torch.testing.assert_close(other @ states[t + 1][1], kept[t].view(2, 4, 1, 1) * (other @ states[t][1]))

    layer, x, states, kept = decays_of_a_layer(CellKind.layer_norm_lstm)
    for t, row in enumerate(x):
        c = states[t][1].detach().requires_grad_()
        (derivative,) = torch.autograd.grad(layer.step(row, (states[t][0], c))[1].sum(), c)
        torch.testing.assert_close(kept[t], derivative)


@pytest.mark.parametrize("cell", DECAYS)
@pytest.mark.parametrize("block", [False, True], ids=["bare", "block"])
def test_the_decay_of_every_layer_is_a_share(cell: CellKind, block: bool) -> None:
    parts = {"encoder_pre_norm": True, "decoder_pre_norm": True} if block else {}
    config = shape(cell=cell, **parts)
    for side in ModelSide:
        recording = record_gates(build(config), config, side, 1, make_batch(SRC, TGT, range(3)))
        kept = recording.kept[recording.mask]
        assert recording.kept.shape[:2] == recording.mask.shape
        assert 0 <= kept.min() < kept.max() <= 1


@pytest.mark.parametrize("cell", [CellKind.ssru, CellKind.rg_lru, CellKind.slstm, CellKind.mlstm])
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
