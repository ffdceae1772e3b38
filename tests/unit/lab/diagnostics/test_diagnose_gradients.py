"""Gradient norms through time, compared with cells written out by hand, and clipped training."""

import math
from collections.abc import Callable

import pytest
import torch
from shapes import RECURRENT_DECODERS, model_config
from torch import Tensor

from nmt.cli.diagnosis.gradients import long_pairs
from nmt.config import AttentionKind, BatchUnit, CellKind, OptimConfig, OptimizerKind
from nmt.data import PairStore, TrainingBatches, make_batch
from nmt.errors import UserError
from nmt.lab.diagnostics.gradients import Decay, measure_decay, scale_recurrent, train_clipped
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.layers.fused import FusedLayer

WORDS, HIDDEN = 20, 8
SRC = [[5, 6, 7], [8, 9]]
TGT = [[11, 12, 13, 14, 15, 16], [15, 16, 17, 18]]
K = 3
State = list[Tensor]
Step = Callable[[FusedLayer, Tensor, State], State]


def build(cell: CellKind, **settings: object) -> Seq2Seq:
    torch.manual_seed(3)
    shape = {"embed_size": 6, "hidden_size": HIDDEN, "attention": None, **settings}
    return build_model(model_config(cell=cell, **shape), Vocabulary(WORDS, WORDS))


def rnn(layer: FusedLayer, x: Tensor, state: State) -> State:
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    return [torch.tanh(layer.weight_ih_l0 @ x + layer.weight_hh_l0 @ state[0] + bias)]


def gru(layer: FusedLayer, x: Tensor, state: State) -> State:
    (h,) = state
    inputs, hidden = layer.weight_ih_l0 @ x + layer.bias_ih_l0, layer.weight_hh_l0 @ h + layer.bias_hh_l0
    r, z = (torch.sigmoid(inputs[at : at + HIDDEN] + hidden[at : at + HIDDEN]) for at in (0, HIDDEN))
    return [(1 - z) * torch.tanh(inputs[2 * HIDDEN :] + r * hidden[2 * HIDDEN :]) + z * h]


def lstm(layer: FusedLayer, x: Tensor, state: State) -> State:
    h, c = state
    gates = layer.weight_ih_l0 @ x + layer.bias_ih_l0 + layer.weight_hh_l0 @ h + layer.bias_hh_l0
    i, f, g, o = gates.view(4, HIDDEN)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return [torch.sigmoid(o) * torch.tanh(c), c]


WHOLE = -1


def by_hand(model: Seq2Seq, step: Step, part: int) -> list[Tensor]:
    """Compute |dL_t / d state_{t-k}| for k = 0 to K, every sentence and every t >= K, each with a separate graph.

    Args:
        model: model with a recurrent decoder.
        step: the cell, written out.
        part: index of the tensor of the state. Part 1 is c of an LSTM, whose gradient includes the path through
            h = o tanh(c). WHOLE is the state as one vector of independent numbers.
    """
    decoder, collected = model.decoder, [[] for _ in range(K + 1)]
    for src, tgt in zip(SRC, TGT, strict=True):
        batch = make_batch([src], [tgt], [0])
        first = decoder.start(model.encoder(batch.src, batch.src_mask), batch.src_mask).hidden[0]
        for t, k in ((t, k) for t in range(K, len(tgt) + 1) for k in range(K + 1)):
            state = [value[0].detach() for value in first]
            for position in range(t + 1):
                state = step(decoder.layers[0], decoder.embedding(batch.tgt_in[position, 0]), state)
                if position == t - k:
                    state = [value.detach() for value in state]
                    if part == WHOLE:
                        marked = torch.cat(state).requires_grad_()
                        state = list(marked.split(HIDDEN))
                        continue
                    marked = state[part].clone().requires_grad_()
                    if part == 1:
                        state[0] = state[0] / state[1].tanh() * marked.tanh()
                    state[part] = marked
            logits = model.output_weight @ torch.tanh(decoder.readout(state[0])) + model.output_bias
            loss = logits.logsumexp(0) - logits[batch.tgt_out[t, 0]]
            collected[k].append(torch.autograd.grad(loss, marked)[0].norm())
    return [torch.stack(norms) for norms in collected]


@pytest.mark.parametrize(("cell", "step"), [(CellKind.rnn, rnn), (CellKind.gru, gru), (CellKind.lstm, lstm)])
def test_norms_are_those_of_cells_written_out_by_hand(cell: CellKind, step: Step) -> None:
    model = build(cell)
    decay = measure_decay(model, make_batch(SRC, TGT, range(2)), K)
    assert (decay.state == decay.hidden) == (cell != CellKind.lstm)
    parts = {WHOLE: decay.state, 0: decay.hidden, **({1: decay.memory} if cell == CellKind.lstm else {})}
    for part, quartiles in parts.items():
        for norms, (low, middle, high) in zip(by_hand(model, step, part), quartiles, strict=True):
            assert len(norms) == 4 + 2  # steps t >= K, including eos
            assert middle == pytest.approx(norms.quantile(0.5).item(), rel=1e-9)
            assert low <= middle <= high
            assert (low, high) == pytest.approx(norms.quantile(torch.tensor([0.25, 0.75]).double()).tolist(), rel=1e-9)
    assert (decay.memory is None) == (cell != CellKind.lstm)


@pytest.mark.parametrize("cell", CellKind)
def test_the_whole_state_of_every_cell_has_no_smaller_norm_than_its_output(cell: CellKind) -> None:
    decay = measure_decay(build(cell), make_batch(SRC, TGT, range(2)), K)
    assert len(decay.state) == len(decay.hidden) == K + 1
    for whole, hidden in zip(decay.state, decay.hidden, strict=True):
        assert all(0 <= part <= total < math.inf for part, total in zip(hidden, whole, strict=True))
    assert 0 < decay.change < math.inf


@pytest.mark.parametrize("decoder", RECURRENT_DECODERS)
def test_the_whole_norm_is_that_of_training_for_every_decoder(decoder: str) -> None:
    model = build(CellKind.gru, decoder=decoder, attention=AttentionKind.additive, decoder_layers=2)
    batch = make_batch(SRC, TGT, range(2))
    decay = measure_decay(model, batch, K)
    model.zero_grad()
    logits = model(batch.src, batch.src_mask, batch.tgt_in)[batch.tgt_mask]
    torch.nn.functional.cross_entropy(logits, batch.tgt_out[batch.tgt_mask]).backward()
    norm = math.sqrt(sum(float(weight.grad.square().sum()) for weight in model.parameters() if weight.grad is not None))
    assert decay.whole == pytest.approx(norm, rel=1e-9)


def test_a_linear_recurrence_changes_by_its_scale_a_step() -> None:
    model = build(CellKind.rnn)
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight.mul_(1e-6)  # so that tanh is the identity
        torch.nn.init.orthogonal_(model.decoder.layers[0].weight_hh_l0)
        model.decoder.readout.weight.normal_()
    scale_recurrent(model, 0.5)
    decay = measure_decay(model, make_batch(SRC, TGT, range(2)), K)
    assert decay.per_step == pytest.approx(0.5, rel=1e-4)
    assert decay.change == pytest.approx(0.5 ** (K - 1), rel=1e-3)


def test_scaling_is_of_the_decoders_recurrent_matrices_alone() -> None:
    model, usual = build(CellKind.layer_norm_lstm, decoder_layers=2), build(CellKind.layer_norm_lstm, decoder_layers=2)
    scale_recurrent(model, 4.0)
    changed = {name for name, weight in model.named_parameters() if not torch.equal(weight, usual.get_parameter(name))}
    assert changed == {"decoder.layers.0.state.weight", "decoder.layers.1.state.weight"}
    for name in changed:
        assert torch.equal(model.get_parameter(name), 4 * usual.get_parameter(name))


@pytest.mark.parametrize(
    ("last", "verdict"), [(0.002, "vanishes"), (0.02, "holds"), (1.0, "holds"), (30.0, "holds"), (500.0, "explodes")]
)
def test_the_verdict_looks_at_the_change_after_the_first_step(last: float, verdict: str) -> None:
    decay = Decay([[9.0] * 3, [1.0] * 3, [0.5] * 3, [last] * 3], [[0.1] * 3] * 4, None, whole=4.0)
    assert decay.change == last
    assert decay.per_step == pytest.approx(math.sqrt(last))
    assert decay.verdict == verdict
    assert (decay.clip_factor(1.0), decay.clip_factor(5.0)) == (0.25, 1.0)


def test_a_clipped_step_is_as_long_as_allowed_and_an_unclipped_one_as_its_norm() -> None:
    before = torch.cat([weight.flatten() for weight in build(CellKind.rnn).parameters()])
    for clip_norm in (0.01, 0.0):
        model = build(CellKind.rnn, dropout=0.0)
        batches = TrainingBatches(PairStore.of(SRC, TGT), BatchUnit.sentences, 2, 1, seed=1)
        optim = OptimConfig(kind=OptimizerKind.sgd, learning_rate=0.5, clip_norm=clip_norm)
        (norm,) = train_clipped(model, batches, optim, steps=1).norms
        after = torch.cat([weight.flatten() for weight in model.parameters()]).detach()
        assert norm > 0.1
        assert float((after - before.detach()).norm()) == pytest.approx(0.5 * (clip_norm or norm), rel=1e-3)


def test_a_training_ends_where_its_numbers_do() -> None:
    model = build(CellKind.rnn, dropout=0.0)
    with torch.no_grad():
        model.output_bias[5] = float("nan")
    batches = TrainingBatches(PairStore.of(SRC, TGT), BatchUnit.sentences, 2, 1, seed=1)
    optim = OptimConfig(kind=OptimizerKind.sgd, learning_rate=0.5)
    assert train_clipped(model, batches, optim, steps=5).losses == []


def test_pairs_are_long_enough_and_no_longer_than_needed() -> None:
    store = PairStore.of([[5]] * 5, [[6] * length for length in (3, 9, 4, 10, 7)])
    assert long_pairs(store, 4).indices == [1, 4, 2]  # 10, 8 and 5 steps; 11 are more than twice 5
    with pytest.raises(UserError, match="distance=40: the longest target of the validation set allows at most 10"):
        long_pairs(store, 40)
