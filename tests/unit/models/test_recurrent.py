"""Zoneout, weight drop, recurrent dropout, split input products, reversal, and dropout over time."""

import pytest
import torch
from torch import Tensor, nn

from nmt.config import CellKind, RecurrentEncoderConfig
from nmt.config.side import CELLS_WITHOUT_C, CELLS_WITHOUT_MATRIX, MATRIX_MEMORY_CELLS
from nmt.models.layers.cells import LayerNormLSTM, build_layer
from nmt.models.layers.fused import LSTM, RNN
from nmt.models.layers.recurrent import (
    Dropout,
    LayerState,
    RecurrentLayer,
    WordDropout,
    recurrent_dropout,
    reverse_within_length,
    shared_masks,
    with_weight_drop,
)
from nmt.models.layers.slstm import SLSTM

INPUT, HIDDEN = 5, 4
LENGTHS = [3, 7, 1, 5]
STEPS = max(LENGTHS)
CELLS = pytest.mark.parametrize("cell", list(CellKind))
ZONEOUT = pytest.mark.parametrize("cell", [cell for cell in CellKind if cell not in MATRIX_MEMORY_CELLS])
WITH_MATRIX = pytest.mark.parametrize("cell", [cell for cell in CellKind if cell not in CELLS_WITHOUT_MATRIX])


def left_padded() -> tuple[Tensor, Tensor]:
    """Return random inputs (T, B, I) and their mask."""
    x = torch.randn(STEPS, len(LENGTHS), INPUT, generator=torch.Generator().manual_seed(1))
    return x, torch.tensor([[t >= STEPS - length for length in LENGTHS] for t in range(STEPS)])


def build(cell: CellKind, hidden: int = HIDDEN, **settings: float) -> RecurrentLayer:
    torch.manual_seed(0)
    layer = build_layer(RecurrentEncoderConfig(cell=cell, **settings), INPUT, hidden)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return layer


@CELLS
def test_an_input_product_in_two_parts_is_that_of_the_whole(cell: CellKind) -> None:
    layer = build(cell)
    x, _ = left_padded()
    for steps in (STEPS, 1):
        read = layer.input_projection(x[:steps, :, :2])
        for t in range(steps):
            torch.testing.assert_close(read(t, x[t, :, 2:]), layer.input_product(x[t]))


def states(layer: RecurrentLayer, random: torch.Generator) -> tuple[Tensor, ...]:
    return tuple(torch.randn(60, layer.hidden_size, generator=random) for _ in range(layer.states))


@ZONEOUT
def test_zoneout_is_a_mean_of_old_and_new_in_evaluation(cell: CellKind) -> None:
    c = 0.0 if cell in CELLS_WITHOUT_C else 0.6
    layer, plain = build(cell, zoneout_h=0.2, zoneout_c=c).eval(), build(cell)
    random = torch.Generator().manual_seed(2)
    x, before = torch.randn(60, INPUT, generator=random), states(layer, random)
    for actual, old, new, p in zip(layer.step(x, before), before, plain.step(x, before), (0.2, c), strict=False):
        torch.testing.assert_close(actual, p * old + (1 - p) * new)


@ZONEOUT
def test_zoneout_keeps_its_share_of_units_in_training(cell: CellKind) -> None:
    c = 0.0 if cell in CELLS_WITHOUT_C else 0.6
    layer, plain = build(cell, 100, zoneout_h=0.2, zoneout_c=c), build(cell, 100)
    random = torch.Generator().manual_seed(2)
    x, before = torch.randn(60, INPUT, generator=random), states(layer, random)
    for actual, old, new, p in zip(layer.step(x, before), before, plain.step(x, before), (0.2, c), strict=False):
        kept = actual == old
        torch.testing.assert_close(actual[~kept], new[~kept])
        assert kept.float().mean().item() == pytest.approx(p, abs=0.02)
        assert p == 0 or not torch.equal(kept[0], kept[1])


@ZONEOUT
def test_a_sequence_with_zoneout_is_its_steps_in_a_row_and_padding_stays_zero(cell: CellKind) -> None:
    torch.manual_seed(0)
    layer = build_layer(RecurrentEncoderConfig(cell=cell, zoneout_h=0.3), INPUT, HIDDEN, masked=True)
    x, mask = left_padded()
    outputs, _ = layer(x, mask=mask)
    assert (outputs[~mask] == 0).all()
    assert (outputs[-1] != 0).any(dim=-1).all()
    outputs, last = layer.eval()(x, mask=mask)
    for b, length in enumerate(LENGTHS):
        state: tuple[Tensor, ...] = (torch.zeros(1, HIDDEN),) * layer.states
        for t in range(STEPS - length, STEPS):
            state = layer.step(x[t, b : b + 1], state)
            torch.testing.assert_close(outputs[t, b], state[0][0])
        for actual, expected in zip(last, state, strict=True):
            torch.testing.assert_close(actual[b], expected[0])


@WITH_MATRIX
def test_weight_drop_is_the_layer_with_a_thinned_recurrent_matrix(cell: CellKind) -> None:
    layer, thinned = build(cell, 40), build(cell, 40)
    (name,) = layer.recurrent
    weight = layer.get_parameter(name)
    x, _ = left_padded()
    torch.manual_seed(3)
    actual, _ = with_weight_drop(layer, 0.3, x)
    torch.manual_seed(3)
    kept = torch.empty_like(weight).bernoulli_(0.7)
    assert kept.mean().item() == pytest.approx(0.7, abs=0.04)
    with torch.no_grad():
        thinned.get_parameter(name).mul_(kept / 0.7)
    expected, _ = thinned(x)
    torch.testing.assert_close(actual, expected)

    actual.sum().backward()
    assert weight.grad is not None
    assert (weight.grad[kept == 0] == 0).all()
    assert weight.grad[kept == 1].any()


def test_weights_are_dropped_at_each_call_and_only_in_training() -> None:
    layer, (x, _) = build(CellKind.lstm), left_padded()
    assert not torch.equal(with_weight_drop(layer, 0.5, x)[0], with_weight_drop(layer, 0.5, x)[0])
    assert torch.equal(with_weight_drop(layer, 0.0, x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(with_weight_drop(layer, 0.5, x)[0], layer(x)[0])


def masked_step(layer: RecurrentLayer, x: Tensor, state: LayerState, mask: Tensor) -> LayerState:
    """Take a step of Gal and Ghahramani 2016, eq. 7, by PyTorch's cells: only the recurrent matrix reads masked h."""
    h, *c = state
    weights = {name.removesuffix("_l0"): value for name, value in layer.state_dict().items()}
    if isinstance(layer, LayerNormLSTM | SLSTM):  # they do not carry h over
        return layer.step(x, (h * mask, *c))
    if isinstance(layer, LSTM):
        lstm = nn.LSTMCell(INPUT, HIDDEN)
        lstm.load_state_dict(weights)
        return tuple(lstm(x, (h * mask, c[0])))
    if isinstance(layer, RNN):
        rnn = nn.RNNCell(INPUT, HIDDEN)
        rnn.load_state_dict(weights)
        return (rnn(x, h * mask),)
    x_r, x_z, x_n = (x @ weights["weight_ih"].t() + weights["bias_ih"]).chunk(3, dim=1)
    h_r, h_z, h_n = ((h * mask) @ weights["weight_hh"].t() + weights["bias_hh"]).chunk(3, dim=1)
    z = torch.sigmoid(x_z + h_z)
    return (
        (1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + z * h,
    )  # torch.nn.GRUCell would carry z h mask


@WITH_MATRIX
def test_recurrent_dropout_is_one_mask_on_h_at_every_step_in_front_of_the_matrix(cell: CellKind) -> None:
    layer, (x, _) = build(cell), left_padded()
    state: LayerState = tuple(torch.randn(len(LENGTHS), HIDDEN) for _ in range(layer.states))
    with recurrent_dropout(layer, 0.4, len(LENGTHS)):
        mask = layer.recurrent_mask
        assert mask is not None
        outputs, last = layer(x, state)
        stepped = state
        for t in range(STEPS):  # as a decoder with input feeding does
            stepped = layer.step(x[t], stepped)
            torch.testing.assert_close(stepped[0], outputs[t])
    assert layer.recurrent_mask is None
    assert sorted(mask.unique().tolist()) == pytest.approx([0.0, 1 / 0.6])
    for t in range(STEPS):
        state = masked_step(layer, x[t], state, mask)
        torch.testing.assert_close(outputs[t], state[0])
    for actual, expected in zip(last, state, strict=True):
        torch.testing.assert_close(actual, expected)


@WITH_MATRIX
def test_recurrent_dropout_reads_a_padded_sentence_as_if_alone(cell: CellKind) -> None:
    torch.manual_seed(0)
    layer = build_layer(RecurrentEncoderConfig(cell=cell), INPUT, HIDDEN, masked=True)
    (inner,) = [each for each in layer.modules() if isinstance(each, RecurrentLayer) and each.recurrent]
    x, mask = left_padded()
    with recurrent_dropout(layer, 0.4, len(LENGTHS)):
        outputs, last = layer(torch.where(mask.unsqueeze(-1), x, 1e6), mask=mask)
        drawn = inner.recurrent_mask
        assert drawn is not None
        assert (outputs[~mask] == 0).all()
        for b, length in enumerate(LENGTHS):
            inner.recurrent_mask = drawn[b : b + 1]
            alone, state = layer(x[STEPS - length :, b : b + 1])
            torch.testing.assert_close(outputs[STEPS - length :, b : b + 1], alone)
            for actual, expected in zip(last, state, strict=True):
                torch.testing.assert_close(actual[b], expected[0])


def test_recurrent_dropout_draws_for_each_sentence_and_transition_and_in_training_alone() -> None:
    layer = build_layer(RecurrentEncoderConfig(), INPUT, 100, masked=True, transitions=2)
    inner = [each for each in layer.modules() if isinstance(each, RecurrentLayer) and each.recurrent]
    with recurrent_dropout(layer, 0.3, 50):
        masks = [each.recurrent_mask for each in inner]
        assert len(masks) == 2
        assert torch.cat(masks).eq(0).float().mean().item() == pytest.approx(0.3, abs=0.02)
        assert len({tuple(row.tolist()) for row in torch.cat(masks)}) == 100
    before = torch.get_rng_state()
    with recurrent_dropout(layer, 0.0, 50):
        assert [each.recurrent_mask for each in inner] == [None, None]
    with recurrent_dropout(layer.eval(), 0.3, 50):
        assert [each.recurrent_mask for each in inner] == [None, None]
    assert torch.equal(torch.get_rng_state(), before)


def test_neighbouring_rows_share_all_kinds_of_masks_in_shared_masks() -> None:
    torch.manual_seed(0)
    x = torch.ones(5, 6, 40)
    zoned = build(CellKind.gru, 40, zoneout_h=0.5)
    zoned_state = (torch.zeros(6, 40),)
    parts = nn.ModuleList([Dropout(0.5, True), Dropout(0.5, False), WordDropout(0.5), zoned])
    with shared_masks(parts, 3), recurrent_dropout(zoned, 0.5, 6):
        actual = [part(x) for part in list(parts)[:3]]
        assert zoned.recurrent_mask is not None
        actual += [zoned.recurrent_mask.unsqueeze(0), zoned.step(torch.ones(6, INPUT), zoned_state)[0].unsqueeze(0)]
    for each in actual:
        assert torch.equal(each[:, :3], each[:, :1].expand_as(each[:, :3]))
        assert torch.equal(each[:, 3:], each[:, 3:4].expand_as(each[:, 3:]))
        assert not torch.equal(each[:, 0], each[:, 3])
    apart = parts[0](x)
    assert not torch.equal(apart[:, 0], apart[:, 1])


def test_reverse_within_length_reverses_each_sentence_where_it_stands() -> None:
    x, mask = left_padded()
    indices = reverse_within_length(mask)
    for b, length in enumerate(LENGTHS):
        padding = list(range(STEPS - length))
        words = list(range(STEPS - length, STEPS))
        assert indices[:, b].tolist() == padding + words[::-1]
    mirror = indices.unsqueeze(-1).expand_as(x)
    assert torch.equal(x.gather(0, mirror).gather(0, mirror), x)


def test_fixed_dropout_masks_are_the_same_at_all_steps_and_differ_between_sentences() -> None:
    torch.manual_seed(0)
    dropped = Dropout(0.5, fixed_masks=True)(torch.ones(6, 3, 50))
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert not torch.equal(dropped[0, 0], dropped[0, 1])
    assert not torch.equal(dropped[0, 1], dropped[0, 2])


def test_plain_dropout_draws_a_mask_per_step() -> None:
    torch.manual_seed(0)
    dropped = Dropout(0.5, fixed_masks=False)(torch.ones(6, 3, 50))
    assert len({tuple(vector.tolist()) for vector in dropped.flatten(0, 1)}) == 6 * 3


@pytest.mark.parametrize("fixed_masks", [True, False])
def test_dropout_drops_its_share_and_keeps_the_mean(fixed_masks: bool) -> None:
    torch.manual_seed(0)
    dropped = Dropout(0.3, fixed_masks)(torch.ones(4, 50, 1000))
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)


def test_word_dropout_drops_whole_words_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    words = WordDropout(0.3)(torch.ones(200, 100, 4))
    assert torch.equal(words, words[:, :, :1].expand_as(words))
    assert sorted(words.unique().tolist()) == pytest.approx([0.0, 1 / 0.7])
    assert words.mean().item() == pytest.approx(1.0, abs=0.02)
    shares = (words == 0).all(dim=-1).float().mean(dim=0)  # per sentence: some words, but not all
    assert 0.1 < shares.min() < shares.max() < 0.5


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_nothing_is_dropped_in_evaluation_or_with_probability_zero(probability: float) -> None:
    x = torch.randn(4, 3, 8)
    for layer in (Dropout(probability, True), Dropout(probability, False), WordDropout(probability)):
        assert torch.equal(layer.eval()(x), x)
        assert torch.equal(layer.train()(x), x) == (probability == 0.0)
