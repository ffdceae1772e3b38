"""RecurrentEncoder stacks against their layers called one by one, and properties of all stacks."""

from typing import Any

import pytest
import torch
from shapes import model_config
from torch import Tensor, nn

from nmt.config import CellKind
from nmt.config.checks import problems_in
from nmt.data import EOS_ID, PAD_ID, pad_source
from nmt.models.embedding import Embedding
from nmt.models.encoders.recurrent import RecurrentEncoder, words_reversed
from nmt.models.interface import Encoded

EMBED, HIDDEN, VOCABULARY = 6, 8, 20
SENTENCES = [[5, 6, 7, 8, 9], [10], [], [11, 12, 13]]
GNMT: dict[str, Any] = {"encoder_layers": 4, "bidirectional_layers": 1, "residual_from": 3}
BLOCKS: dict[str, Any] = {
    **{"cell": CellKind.mlstm, "encoder_layers": 2, "bidirectional": False},
    **{"encoder_pre_norm": True, "encoder_residual_from": 1},
}
STACKS: list[dict[str, Any]] = [
    *({"cell": cell, "encoder_layers": 2} for cell in CellKind),
    *({"cell": cell, "encoder_layers": 2, "bidirectional": False} for cell in CellKind),
    GNMT,
    GNMT | {"direction_size": 8},
    {"encoder_layers": 3, "residual_from": None},
    {"encoder_layers": 2, "direction_size": 7},
    {"encoder_layers": 2, "encoder_transitions": 3, "cell": CellKind.gru},
    {"encoder_layers": 2, "encoder_feed_forward": 5},
    {"encoder_layers": 2, "bidirectional_layers": 1, "direction_size": 3, "residual_from": None},
    BLOCKS,
    {"reverse_source": True, "bidirectional": False},
    {"reverse_source": True, "encoder_feed_forward": 5, "zoneout_h": 0.2},
]
EVERY = pytest.mark.parametrize("settings", STACKS, ids=str)


def build(**settings: Any) -> RecurrentEncoder:
    torch.manual_seed(1)
    config = model_config(**{"embed_size": EMBED, "hidden_size": HIDDEN, "dropout": 0.0, **settings})
    assert list(config.problems()) == []
    encoder = RecurrentEncoder(config.encoder, config, Embedding(VOCABULARY, config.embed_size)).eval()
    for parameter in encoder.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    return encoder


def alone(encoder: RecurrentEncoder, sentence: list[int]) -> Encoded:
    result: Encoded = encoder(*pad_source([sentence]))
    return result


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)


@EVERY
def test_a_sentence_in_a_batch_is_encoded_as_if_alone_and_its_padding_is_zero(settings: dict[str, Any]) -> None:
    encoder = build(**settings)
    src, mask = pad_source(SENTENCES)
    encoded = encoder(torch.where(mask, src, 19), mask)
    assert encoded.memory.shape == (*src.shape, HIDDEN)
    for b, sentence in enumerate(SENTENCES):
        start = len(src) - len(sentence) - 1
        expected = alone(encoder, sentence)
        assert_close(encoded.memory[start:, b], expected.memory[:, 0])
        assert (encoded.memory[:start, b] == 0).all()
        for actual, part in zip(encoded.state, expected.state, strict=True):
            assert_close(actual[b], part[0])


@EVERY
def test_the_gradient_reaches_every_parameter(settings: dict[str, Any]) -> None:
    encoder = build(**settings).train()
    encoded = encoder(*pad_source(SENTENCES))
    torch.cat([encoded.memory.flatten(), *(part.flatten() for part in encoded.state)]).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def read(layer: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs of a layer over one sentence, (S, I) -> (S, W)."""
    outputs: Tensor = layer(x.unsqueeze(1))[0]
    return outputs.squeeze(1)


def both(encoder: RecurrentEncoder, depth: int, x: Tensor) -> Tensor:
    """Return the outputs of a bidirectional layer over one sentence."""
    return torch.cat([read(encoder.forwards[depth], x), read(encoder.backwards[depth], x.flip(0)).flip(0)], dim=-1)


def test_gnmt_reads_in_both_directions_below_and_adds_from_the_third_layer_on() -> None:
    """Compare with Wu et al. 2016, 3.1 and 3.2."""
    encoder = build(**GNMT, direction_size=HIDDEN)
    src, _ = pad_source([[5, 6, 7]])
    below = both(encoder, 0, encoder.embedding(src[:, 0]))
    assert below.shape == (4, 2 * HIDDEN)
    second = read(encoder.forwards[1], below)
    third = second + read(encoder.forwards[2], second)
    fourth = third + read(encoder.forwards[3], third)
    assert_close(alone(encoder, [5, 6, 7]).memory[:, 0], fourth)
    assert len(encoder.backwards) == 1


def test_without_residual_connections_a_layer_reads_the_one_below_alone() -> None:
    encoder = build(encoder_layers=2, residual_from=None)
    src, _ = pad_source([[5, 6, 7]])
    expected = both(encoder, 1, both(encoder, 0, encoder.embedding(src[:, 0])))
    assert_close(alone(encoder, [5, 6, 7]).memory[:, 0], expected)


@pytest.mark.parametrize("embed_size", [EMBED, HIDDEN])
def test_a_stack_of_blocks_adds_every_layer_to_the_embeddings(embed_size: int) -> None:
    """x + B1(x) + B2(x + B1(x)), where x are the embeddings, or W e where widths differ."""
    encoder = build(**BLOCKS, embed_size=embed_size)
    src, mask = pad_source([[5, 6, 7], [5]])
    x = encoder.embedding(src[:, 0])
    assert (encoder.embedding_projection is None) == (embed_size == HIDDEN)
    if encoder.embedding_projection is not None:
        x = x @ encoder.embedding_projection.weight.T
    first = x + read(encoder.forwards[0], x)
    assert_close(alone(encoder, [5, 6, 7]).memory[:, 0], first + read(encoder.forwards[1], first))
    encoder.embedding.weight.data[PAD_ID] = 1.0
    assert (encoder(src, mask).memory[~mask] == 0).all()
    assert build(encoder_layers=2).bound == 2.0
    assert build(encoder_layers=2, encoder_residual_from=1).bound == float("inf")


def test_wide_directions_are_projected_to_what_the_decoder_reads() -> None:
    encoder = build(direction_size=7)
    src, _ = pad_source([[5, 6, 7]])
    encoded = alone(encoder, [5, 6, 7])
    assert encoder.projection is not None
    expected = both(encoder, 0, encoder.embedding(src[:, 0])) @ encoder.projection.weight.T
    assert_close(encoded.memory[:, 0], expected)
    assert [part.shape for part in encoded.state] == [(1, 14), (1, 14)]


def test_a_feed_forward_block_is_added_to_what_it_reads() -> None:
    encoder = build(encoder_feed_forward=5, bidirectional=False)
    src, _ = pad_source([[5, 6, 7]])
    x = read(encoder.forwards[0], encoder.embedding(src[:, 0]))
    block = encoder.blocks[0]
    normed = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    inner = (normed * block.norm.weight + block.norm.bias) @ block.inner.weight.T + block.inner.bias
    expected = x + inner.clamp(min=0) @ block.outer.weight.T + block.outer.bias
    assert_close(alone(encoder, [5, 6, 7]).memory[:, 0], expected)


def test_a_reversed_source_is_the_words_turned_round_before_eos() -> None:
    src, mask = pad_source(SENTENCES)
    turned, _ = pad_source([sentence[::-1] for sentence in SENTENCES])
    assert torch.equal(src.gather(0, words_reversed(mask)), turned)
    assert turned[-1].tolist() == [EOS_ID] * 4
    assert (turned[~mask] == PAD_ID).all()


def test_outputs_of_a_reversed_source_stand_where_their_words_do() -> None:
    """Check that attention weights refer to the right pieces."""
    reverse, forward = build(reverse_source=True, bidirectional=False), build(bidirectional=False)
    actual, expected = alone(reverse, [5, 6, 7, 8]), alone(forward, [8, 7, 6, 5])
    assert_close(actual.memory[:4], expected.memory[:4].flip(0))
    assert_close(actual.memory[4], expected.memory[4])
    for part, other in zip(actual.state, expected.state, strict=True):
        assert_close(part, other)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_size": 7}, "hidden_size is 7; allowed: even numbers"),
        ({"bidirectional_layers": 2}, "encoder.bidirectional_layers is 2; allowed: from 1 to 1"),
        (
            {"bidirectional": False, "direction_size": 4},
            "encoder.direction_size is 4 but bidirectional is false; allowed: null",
        ),
        ({"residual_from": 0}, "encoder.residual_from is 0; allowed: at least 1"),
        ({"decoder": "bahdanau", "decoder_residual_from": 1}, "decoder.residual_from is 1; allowed: at least 2"),
        ({"encoder_transitions": 0}, "encoder.transitions is 0; allowed: from 1 to 100"),
        ({"encoder_feed_forward": 0}, "encoder.feed_forward is 0; allowed: from 1 to 65536"),
        (
            {"encoder_layers": 3, "bidirectional_layers": 1, "direction_size": 8},
            "encoder.residual_from is 2; allowed: null, or above 2, where layers of width 16 and 8 meet",
        ),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    config = model_config(**{"hidden_size": HIDDEN, **settings})
    assert any(problem.startswith(said) for problem in problems_in(config))
