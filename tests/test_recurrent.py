"""The recurrent layers: against torch's own LSTM on each sentence alone, against the written equations, and dropout."""

import math

import pytest
import torch
from torch import Tensor, nn

from nmt.models.recurrent import Dropout, MaskedLSTM, WordDropout, lstm, lstm_step, reverse_within_length

INPUT, HIDDEN = 5, 4
LENGTHS = [3, 7, 1, 5]
STEPS = max(LENGTHS)


def left_padded(garbage: float = 0.0) -> tuple[Tensor, Tensor]:
    """Random inputs (T, B, I) and their mask; `garbage` stands on the padding."""
    x = torch.randn(STEPS, len(LENGTHS), INPUT, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[t >= STEPS - length for length in LENGTHS] for t in range(STEPS)])
    return torch.where(mask.unsqueeze(-1), x, garbage), mask


def masked_lstm() -> MaskedLSTM:
    """A layer whose bias, too, is random."""
    torch.manual_seed(0)
    layer = MaskedLSTM(INPUT, HIDDEN)
    nn.init.normal_(layer.lstm.weight_ih_l0)
    return layer


def plain_lstm(layer: MaskedLSTM) -> nn.LSTM:
    """Torch's LSTM with the same weights: the mask's column is the bias."""
    plain = nn.LSTM(INPUT, HIDDEN)
    with torch.no_grad():
        plain.weight_ih_l0.copy_(layer.lstm.weight_ih_l0[:, :-1])
        plain.bias_ih_l0.copy_(layer.lstm.weight_ih_l0[:, -1])
        plain.weight_hh_l0.copy_(layer.lstm.weight_hh_l0)
        plain.bias_hh_l0.zero_()
    return plain


def assert_close(found: Tensor | None, expected: Tensor | None, atol: float = 1e-6) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=1e-5)


def test_a_left_padded_batch_is_read_as_each_sentence_alone_by_torch() -> None:
    layer = masked_lstm()
    plain = plain_lstm(layer)
    x, mask = left_padded(garbage=7.0)
    x.requires_grad_()
    outputs, (h, c) = layer(x, mask)
    for b, length in enumerate(LENGTHS):
        expected, (last_h, last_c) = plain(x[STEPS - length :, b : b + 1])
        assert_close(outputs[STEPS - length :, b : b + 1], expected)
        assert_close(h[b], last_h[0, 0])
        assert_close(c[b], last_c[0, 0])


def test_gradients_of_a_padded_batch_are_those_of_each_sentence_alone() -> None:
    layer = masked_lstm()
    plain = plain_lstm(layer)
    x, mask = left_padded(garbage=7.0)
    x.requires_grad_()
    alone = x.detach().clone().requires_grad_()
    weight = torch.randn(STEPS + 2, len(LENGTHS), HIDDEN, generator=torch.Generator().manual_seed(2))

    outputs, (h, c) = layer(x, mask)
    (torch.cat([outputs, h[None], c[None]]) * weight).sum().backward()
    for b, length in enumerate(LENGTHS):
        outputs, state = plain(alone[STEPS - length :, b])
        (torch.cat([outputs, *state]) * weight[STEPS - length :, b]).sum().backward()

    assert_close(x.grad, alone.grad)  # both zero on the padding
    assert layer.lstm.weight_ih_l0.grad is not None
    assert_close(layer.lstm.weight_ih_l0.grad[:, :-1], plain.weight_ih_l0.grad)
    assert_close(layer.lstm.weight_ih_l0.grad[:, -1], plain.bias_ih_l0.grad)
    assert_close(layer.lstm.weight_hh_l0.grad, plain.weight_hh_l0.grad)


def test_what_stands_on_the_padding_changes_nothing() -> None:
    layer = masked_lstm()
    clean, (clean_h, clean_c) = layer(*left_padded())
    outputs, (h, c) = layer(*left_padded(garbage=1e6))
    assert torch.equal(outputs, clean)
    assert torch.equal(h, clean_h)
    assert torch.equal(c, clean_c)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_on_padding_are_exactly_zero_and_on_words_are_not(dtype: torch.dtype) -> None:
    x, mask = left_padded(garbage=7.0)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        outputs, _ = masked_lstm()(x, mask)
    assert torch.equal(outputs != 0, mask.unsqueeze(-1).expand_as(outputs))


def test_lstm_step_is_the_written_equations() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(INPUT, HIDDEN).double()
    x, h, c = torch.randn(2, INPUT).double(), torch.randn(2, HIDDEN).double(), torch.randn(2, HIDDEN).double()
    new_h, new_c = lstm_step(layer, x, (h, c))

    w, u = layer.weight_ih_l0.tolist(), layer.weight_hh_l0.tolist()
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).tolist()
    for b in range(2):
        for unit in range(HIDDEN):
            read = []  # what the input gate, the forget gate, the candidate and the output gate read
            for row in range(unit, 4 * HIDDEN, HIDDEN):
                total = bias[row]
                total += sum(w[row][k] * x[b, k].item() for k in range(INPUT))
                total += sum(u[row][k] * h[b, k].item() for k in range(HIDDEN))
                read.append(total)
            i, f, o = (1 / (1 + math.exp(-read[gate])) for gate in (0, 1, 3))
            cell = f * c[b, unit].item() + i * math.tanh(read[2])
            assert new_c[b, unit].item() == pytest.approx(cell, abs=1e-12)
            assert new_h[b, unit].item() == pytest.approx(o * math.tanh(cell), abs=1e-12)


def test_lstm_steps_in_a_row_are_torchs_lstm_over_the_sequence() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(INPUT, HIDDEN)
    x, h, c = torch.randn(6, 3, INPUT), torch.randn(3, HIDDEN), torch.randn(3, HIDDEN)
    expected, (last_h, last_c) = layer(x, (h[None], c[None]))
    for t in range(6):
        h, c = lstm_step(layer, x[t], (h, c))
        assert_close(h, expected[t])
    assert_close(h, last_h[0])
    assert_close(c, last_c[0])


def test_reverse_within_length_reverses_each_sentence_where_it_stands() -> None:
    x, mask = left_padded()
    indices = reverse_within_length(mask)
    for b, length in enumerate(LENGTHS):
        padding = list(range(STEPS - length))
        words = list(range(STEPS - length, STEPS))
        assert indices[:, b].tolist() == padding + words[::-1]
    mirror = indices.unsqueeze(-1).expand_as(x)
    assert torch.equal(x.gather(0, mirror).gather(0, mirror), x)


@pytest.mark.parametrize("kind", ["masked", "plain"])
def test_a_new_cell_remembers_and_its_recurrent_weights_are_orthogonal(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "masked":
        layer = MaskedLSTM(INPUT, HIDDEN).lstm
        weights, bias = layer.weight_ih_l0[:, :-1], layer.weight_ih_l0[:, -1]
    else:
        layer = lstm(INPUT, HIDDEN)
        weights, bias = layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0
    assert bias.tolist() == [0.0] * HIDDEN + [1.0] * HIDDEN + [0.0] * 2 * HIDDEN
    for gate in range(4):
        recurrent = layer.weight_hh_l0[gate * HIDDEN : (gate + 1) * HIDDEN]
        assert_close(recurrent @ recurrent.T, torch.eye(HIDDEN))
        assert 0 < weights[gate * HIDDEN : (gate + 1) * HIDDEN].abs().max() <= math.sqrt(6 / (INPUT + HIDDEN))


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
