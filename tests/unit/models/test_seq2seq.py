"""The whole model: shared weights, dependencies of the output, gradient, and learning."""

import pytest
import torch
from family import MEMBERS, assert_gradients_are_finite_differences, loss
from shapes import model_config
from torch import Tensor

from nmt.config import AttentionKind, PositionKind, Tying
from nmt.data import BOS_ID, EOS_ID, Batch, make_batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model, check_model_size

SRC = [[5, 6, 7, 8, 9], [10], [11, 12, 13], [5, 14]]
TGT = [[6, 5], [9, 8, 7, 6], [10], [11, 12, 13]]
MODELS = pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"attention": AttentionKind.additive, "decoder_layers": 2}, id="additive"),
        pytest.param({"attention": AttentionKind.dot, "input_feeding": True, "encoder_layers": 2}, id="dot, feeding"),
        pytest.param({"attention": AttentionKind.general, "bidirectional": False}, id="general, unidirectional"),
        pytest.param({"attention": None, "decoder_layers": 2}, id="no attention"),
        pytest.param({"attention": AttentionKind.multi_head_additive}, id="multi-head"),
        pytest.param({"attention": AttentionKind.coverage}, id="coverage"),
        pytest.param({"kind": "transformer"}, id="transformer"),
        pytest.param(
            {"kind": "transformer", "pre_norm": True, "positions": PositionKind.learned},
            id="transformer, pre-norm, learned positions",
        ),
        pytest.param({"kind": "convolutional", "encoder_layers": 2}, id="convolutional"),
        pytest.param({"encoder": "transformer", "decoder": "luong"}, id="transformer, recurrent"),
        pytest.param({"encoder": "convolutional", "decoder": "transformer"}, id="convolutional, transformer"),
        pytest.param({"decoder": "convolutional"}, id="recurrent, convolutional"),
    ],
)


def build(src_size: int = 20, tgt_size: int = 20, seed: int = 0, **settings: object) -> Seq2Seq:
    torch.manual_seed(seed)
    small: dict[str, object] = {"embed_size": 6, "hidden_size": 8, "dropout": 0.0, "heads": 2, "feed_forward_size": 16}
    return build_model(model_config(**{**small, **settings}), Vocabulary(src_size, tgt_size))


def logits(model: Seq2Seq, batch: Batch) -> Tensor:
    result: Tensor = model(batch.src, batch.src_mask, batch.tgt_in)
    return result


def greedy(model: Seq2Seq, src: list[int], most: int) -> list[int]:
    batch = make_batch([src], [[]], [0])
    state = model.encode(batch.src, batch.src_mask)
    tokens = [BOS_ID]
    while tokens[-1] != EOS_ID and len(tokens) <= most:
        log_probs, state, _ = model.step(torch.tensor(tokens[-1:]), state)
        tokens.append(int(log_probs.argmax()))
    return tokens[1:]


@pytest.mark.parametrize(
    ("tying", "tables"),
    [(Tying.none, 3), (Tying.two_way, 2), (Tying.three_way, 1)],
)
def test_tying_shares_the_tables_it_says(tying: Tying, tables: int) -> None:
    model = build(tying=tying)
    src = model.encoder.embedding.weight.data_ptr()
    tgt = model.decoder.embedding.weight.data_ptr()
    output = model.output_weight.data_ptr()
    assert len({src, tgt, output}) == tables
    assert (tgt == output) == (tying != Tying.none)
    assert (src == tgt) == (tying == Tying.three_way)


@pytest.mark.parametrize("tying", list(Tying))
def test_named_parameters_has_each_weight_once(tying: Tying) -> None:
    pointers = [parameter.data_ptr() for _, parameter in build(tying=tying).named_parameters()]
    assert len(pointers) == len(set(pointers))


@pytest.mark.parametrize(
    ("tying", "tables"),
    [(Tying.none, 20 * 6 + 30 * 6 + 30 * 6), (Tying.two_way, 20 * 6 + 30 * 6)],
)
def test_the_number_of_parameters_is_that_of_the_equations(tying: Tying, tables: int) -> None:
    e, h, v = 6, 8, 30
    model = build(20, v, tying=tying, encoder_layers=2, decoder_layers=2, input_feeding=True)
    direction = [4 * (h // 2) * (size + 1 + h // 2) for size in (e, h)]  # one bias: the mask's column
    bridge = 2 * (2 * h * h + 2 * h)
    decoder = 4 * h * (e + e + h + 2) + 4 * h * (h + h + h + 2)  # word and feed; layer and context; two biases
    attention = (h * h // 2 + h // 2) + h * h // 2 + h // 2
    readout = 2 * h * e + e
    expected = tables + 2 * sum(direction) + bridge + decoder + attention + readout + v
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_embeddings_start_with_rows_of_length_about_one() -> None:
    table = build(2000, 2000, embed_size=64).output_weight
    assert table.norm(dim=1).mean().item() == pytest.approx(1.0, abs=0.05)


def test_embeddings_reach_the_lstm_between_the_scales_of_one_row_and_of_one_unit() -> None:
    read = build(2000, 2000, embed_size=256).encoder.embedding(torch.arange(2000))
    assert read.norm(dim=1).mean().item() == pytest.approx(4.0, abs=0.05)
    assert read.std().item() == pytest.approx(1 / 4, abs=0.005)


@MODELS
@pytest.mark.parametrize("tying", list(Tying))
def test_weights_come_back_as_they_were(settings: dict[str, object], tying: Tying) -> None:
    model, other = build(tying=tying, **settings), build(seed=1, tying=tying, **settings)
    batch = make_batch(SRC, TGT, range(4))
    assert not torch.equal(logits(model, batch), logits(other, batch))
    other.load_weights({name: parameter.detach().clone() for name, parameter in model.named_parameters()})
    assert torch.equal(logits(model, batch), logits(other, batch))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"hidden_size": 10}, "encoder.forwards.0.lstm.weight_ih_l0"),
        ({"encoder_layers": 2}, "encoder.forwards.1.lstm.weight_ih_l0"),
        ({"attention": None}, "decoder.attention.query.weight"),
        ({"tying": Tying.none}, "encoder.embedding.weight"),
    ],
)
def test_weights_of_another_model_are_refused_by_name_and_change_nothing(other: dict[str, object], named: str) -> None:
    model = build()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(UserError, match=named):
        model.load_weights(dict(build(seed=1, **other).named_parameters()))
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


@MODELS
def test_logits_depend_neither_on_padding_nor_on_the_rest_of_the_batch(settings: dict[str, object]) -> None:
    model = build(**settings)
    together = logits(model, make_batch(SRC, TGT, range(4)))
    for b, (src, tgt) in enumerate(zip(SRC, TGT, strict=True)):
        alone = logits(model, make_batch([src], [tgt], [0]))
        torch.testing.assert_close(together[: len(tgt) + 1, b : b + 1], alone, atol=1e-5, rtol=1e-5)


@MODELS
def test_a_step_gives_the_log_softmax_of_the_whole_sequences_logits(settings: dict[str, object]) -> None:
    model = build(**settings)
    batch = make_batch(SRC, TGT, range(4))
    state = model.encode(batch.src, batch.src_mask)
    expected = logits(model, batch).log_softmax(dim=-1)
    for t in range(len(batch.tgt_in)):
        log_probs, state, _ = model.step(batch.tgt_in[t], state)
        torch.testing.assert_close(log_probs, expected[t], atol=1e-5, rtol=1e-5)


@MODELS
def test_every_source_word_matters(settings: dict[str, object]) -> None:
    model = build(**settings)
    expected = logits(model, make_batch([[5, 6, 7]], [[8, 9]], [0]))
    for changed in ([15, 6, 7], [5, 15, 7], [5, 6, 15], [5, 6]):
        assert not torch.allclose(logits(model, make_batch([changed], [[8, 9]], [0])), expected)


def test_attention_weights_are_none_without_attention_and_sum_to_one_with_it() -> None:
    batch = make_batch(SRC, TGT, range(4))
    assert build(attention=None).attention(batch.src, batch.src_mask, batch.tgt_in) is None
    weights = build().attention(batch.src, batch.src_mask, batch.tgt_in)
    assert weights is not None
    assert weights.shape == (4, len(batch.tgt_in), len(batch.src))
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(4, len(batch.tgt_in)))
    assert not weights.requires_grad


@MODELS
@pytest.mark.parametrize("tying", [Tying.none, Tying.three_way])
def test_the_gradient_is_that_of_finite_differences(settings: dict[str, object], tying: Tying) -> None:
    """Compare gradients along a random direction of each parameter, in float64."""
    model = build(tying=tying, **settings).double()
    batch = make_batch(SRC, TGT, range(4))
    assert_gradients_are_finite_differences(model, batch)


@pytest.mark.commands
@MODELS
def test_a_model_learns_eight_pairs_by_heart(settings: dict[str, object]) -> None:
    random = torch.Generator().manual_seed(5)
    lengths = [3, 6, 1, 4, 5, 2, 6, 4]
    src = [torch.randint(4, 20, (length,), generator=random).tolist() for length in lengths]
    tgt = [torch.randint(4, 20, (length,), generator=random).tolist() for length in reversed(lengths)]
    model = build(embed_size=16, **{**settings, "hidden_size": 32})
    batch = make_batch(src, tgt, range(8))
    learning_rate, steps = (0.01, 100) if {"kind", "encoder", "decoder"} & settings.keys() else (0.03, 50)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
    with torch.no_grad():
        assert loss(model, batch).item() < 0.05
        assert [greedy(model, line, most=10) for line in src] == [[*line, EOS_ID] for line in tgt]


@pytest.mark.parametrize("settings", [*MEMBERS, {"kind": "transformer"}, {"kind": "convolutional"}], ids=str)
def test_weights_of_a_model_are_never_too_few_for_it(settings: dict[str, object]) -> None:
    vocabulary = Vocabulary(9, 9)
    for width in (8, 64):
        config = model_config(**{"embed_size": 8, "hidden_size": width, "heads": 2, **settings})
        parameters = build_model(config, vocabulary).parameters()
        check_model_size(config, vocabulary, sum(parameter.numel() for parameter in parameters))


@pytest.mark.parametrize(
    "settings",
    [
        {"embed_size": 1 << 16},
        {"hidden_size": 1 << 16},
        {"encoder": "transformer", "feed_forward_size": 1 << 16},
        {"decoder": "transformer", "positions": PositionKind.learned, "max_positions": 1 << 20},
        {"decoder": "convolutional", "max_positions": 1 << 20},
        {"encoder": "convolutional", "hidden_size": 1 << 12},
        {"direction_size": 1 << 15},
    ],
    ids=str,
)
def test_a_model_larger_than_its_checkpoint_is_refused_before_it_is_built(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match="the weights do not fit the configured model, which is larger"):
        check_model_size(model_config(**settings), Vocabulary(100, 100), 2_000_000)
