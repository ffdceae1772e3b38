"""What recurrent layers share: zoneout, weight drop, input products in two parts, reversal; and dropout in time."""

import pytest
import torch
from torch import Tensor, nn

from nmt.config import Cell, ModelConfig
from nmt.models.cells import build_layer
from nmt.models.recurrent import Dropout, RecurrentLayer, WordDropout, reverse_within_length, with_weight_drop

INPUT, HIDDEN = 5, 4
LENGTHS = [3, 7, 1, 5]
STEPS = max(LENGTHS)
CELLS = pytest.mark.parametrize("cell", list(Cell))


def left_padded() -> tuple[Tensor, Tensor]:
    """Random inputs (T, B, I) and their mask."""
    x = torch.randn(STEPS, len(LENGTHS), INPUT, generator=torch.Generator().manual_seed(1))
    return x, torch.tensor([[t >= STEPS - length for length in LENGTHS] for t in range(STEPS)])


def build(cell: Cell, hidden: int = HIDDEN, **settings: float) -> RecurrentLayer:
    torch.manual_seed(0)
    layer = build_layer(ModelConfig(cell=cell, **settings), INPUT, hidden)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return layer


@CELLS
def test_an_input_product_in_two_parts_is_that_of_the_whole(cell: Cell) -> None:
    layer = build(cell)
    x, _ = left_padded()
    for steps in (STEPS, 1):
        read = layer.reader(x[:steps, :, :2])
        for t in range(steps):
            torch.testing.assert_close(read(t, x[t, :, 2:]), layer.input_product(x[t]))


def states(layer: RecurrentLayer, random: torch.Generator) -> tuple[Tensor, ...]:
    return tuple(torch.randn(60, layer.hidden_size, generator=random) for _ in range(layer.states))


@CELLS
def test_zoneout_is_a_mean_of_old_and_new_in_evaluation(cell: Cell) -> None:
    c = 0.0 if cell in (Cell.gru, Cell.reference_gru, Cell.rnn) else 0.6
    layer, plain = build(cell, zoneout_h=0.2, zoneout_c=c).eval(), build(cell)
    random = torch.Generator().manual_seed(2)
    x, before = torch.randn(60, INPUT, generator=random), states(layer, random)
    for found, old, new, p in zip(layer.step(x, before), before, plain.step(x, before), (0.2, 0.6), strict=False):
        torch.testing.assert_close(found, p * old + (1 - p) * new)


@CELLS
def test_zoneout_keeps_its_share_of_units_in_training(cell: Cell) -> None:
    c = 0.0 if cell in (Cell.gru, Cell.reference_gru, Cell.rnn) else 0.6
    layer, plain = build(cell, 100, zoneout_h=0.2, zoneout_c=c), build(cell, 100)
    random = torch.Generator().manual_seed(2)
    x, before = torch.randn(60, INPUT, generator=random), states(layer, random)
    for found, old, new, p in zip(layer.step(x, before), before, plain.step(x, before), (0.2, 0.6), strict=False):
        kept = found == old
        torch.testing.assert_close(found[~kept], new[~kept])
        assert kept.float().mean().item() == pytest.approx(p, abs=0.02)
        assert not torch.equal(kept[0], kept[1])


@CELLS
def test_a_sequence_with_zoneout_is_its_steps_in_a_row_and_padding_stays_zero(cell: Cell) -> None:
    torch.manual_seed(0)
    layer = build_layer(ModelConfig(cell=cell, zoneout_h=0.3), INPUT, HIDDEN, masked=True)
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
        for found, expected in zip(last, state, strict=True):
            torch.testing.assert_close(found[b], expected[0])


@CELLS
def test_weight_drop_is_the_layer_with_a_thinned_recurrent_matrix(cell: Cell) -> None:
    layer, thinned = build(cell, 40), build(cell, 40)
    (name,) = layer.recurrent
    weight = layer.get_parameter(name)
    x, _ = left_padded()
    torch.manual_seed(3)
    found, _ = with_weight_drop(layer, 0.3, x)
    torch.manual_seed(3)
    kept = torch.empty_like(weight).bernoulli_(0.7)
    assert kept.mean().item() == pytest.approx(0.7, abs=0.04)
    with torch.no_grad():
        thinned.get_parameter(name).mul_(kept / 0.7)
    expected, _ = thinned(x)
    torch.testing.assert_close(found, expected)

    found.sum().backward()
    assert weight.grad is not None
    assert (weight.grad[kept == 0] == 0).all()
    assert weight.grad[kept == 1].any()


def test_weights_are_dropped_anew_at_each_call_and_in_training_alone() -> None:
    layer, (x, _) = build(Cell.lstm), left_padded()
    assert not torch.equal(with_weight_drop(layer, 0.5, x)[0], with_weight_drop(layer, 0.5, x)[0])
    assert torch.equal(with_weight_drop(layer, 0.0, x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(with_weight_drop(layer, 0.5, x)[0], layer(x)[0])


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


def test_plain_dropout_draws_anew_at_each_step() -> None:
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
    shares = (words == 0).all(dim=-1).float().mean(dim=0)  # of each sentence: some words, not all or none
    assert 0.1 < shares.min() < shares.max() < 0.5


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_nothing_is_dropped_in_evaluation_or_with_probability_zero(probability: float) -> None:
    x = torch.randn(4, 3, 8)
    for layer in (Dropout(probability, True), Dropout(probability, False), WordDropout(probability)):
        assert torch.equal(layer.eval()(x), x)
        assert torch.equal(layer.train()(x), x) == (probability == 0.0)
