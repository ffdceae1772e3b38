"""Default encoder on a padded batch, against PyTorch's LSTM on each sentence alone without padding."""

from typing import Any

import pytest
import torch
from shapes import model_config
from torch import Tensor, nn

from nmt.data import pad_source
from nmt.models import Vocabulary, build_model
from nmt.models.embedding import Embedding
from nmt.models.encoders.recurrent import RecurrentEncoder
from nmt.models.layers.fused import MaskedLayer

EMBED, HIDDEN, VOCABULARY = 6, 8, 20
SENTENCES = [[5, 6, 7, 8, 9], [10], [], [11, 12, 13]]


def build(layers: int, bidirectional: bool, **settings: Any) -> RecurrentEncoder:
    torch.manual_seed(layers)
    config = model_config(
        embed_size=EMBED,
        hidden_size=HIDDEN,
        encoder_layers=layers,
        bidirectional=bidirectional,
        **{"dropout": 0.0, **settings},
    )
    encoder = RecurrentEncoder(config.encoder, config, Embedding(VOCABULARY, EMBED))
    for name, parameter in encoder.named_parameters():
        if name.startswith(("forwards", "backwards")):
            nn.init.uniform_(parameter, -0.7, 0.7)  # a different bias in each direction
    return encoder


def torch_layer(size: int, directions: list[MaskedLayer]) -> nn.LSTM:
    """Return PyTorch's LSTM with the same weights, bidirectional if the layer is."""
    width = HIDDEN // len(directions)
    layer = nn.LSTM(size, width, bidirectional=len(directions) == 2)
    with torch.no_grad():
        for direction, suffix in zip(directions, ("", "_reverse"), strict=False):
            layer.get_parameter(f"weight_ih_l0{suffix}").copy_(direction.lstm.weight_ih_l0[:, :-1])
            layer.get_parameter(f"weight_hh_l0{suffix}").copy_(direction.lstm.weight_hh_l0)
            layer.get_parameter(f"bias_ih_l0{suffix}").copy_(direction.lstm.weight_ih_l0[:, -1])
            layer.get_parameter(f"bias_hh_l0{suffix}").zero_()
    return layer


def alone(encoder: RecurrentEncoder, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs (S, H) and last state, h and c of (H,), of one sentence."""
    x = encoder.embedding(ids)
    backwards = list(encoder.backwards) or [None] * len(encoder.forwards)
    for depth, pair in enumerate(zip(encoder.forwards, backwards, strict=True)):
        layer = torch_layer(x.size(-1), [direction for direction in pair if direction is not None])
        outputs, (h, c) = layer(x)
        x = outputs if depth == 0 else x + outputs
    return x, h.flatten(), c.flatten()


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_padded_batch_is_encoded_as_each_sentence_alone(layers: int, bidirectional: bool) -> None:
    encoder = build(layers, bidirectional)
    src, mask = pad_source(SENTENCES)
    encoded = encoder(src, mask)
    for b, sentence in enumerate(SENTENCES):
        start = len(src) - len(sentence) - 1
        outputs, h, c = alone(encoder, src[start:, b])
        torch.testing.assert_close(encoded.memory[start:, b], outputs, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(encoded.state[0][b], h, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(encoded.state[1][b], c, atol=1e-6, rtol=1e-5)
        assert (encoded.memory[:start, b] == 0).all()


def test_a_bidirectional_word_sees_both_sides_and_a_unidirectional_one_only_the_left() -> None:
    src, mask = pad_source([[5, 6, 7]])
    changed = src.clone()
    changed[2] = 9
    for bidirectional, seen in ((True, [True, True, True, True]), (False, [False, False, True, True])):
        encoder = build(1, bidirectional)
        difference = encoder(src, mask).memory - encoder(changed, mask).memory
        assert (difference != 0).any(dim=-1).flatten().tolist() == seen


def test_the_gradient_reaches_every_parameter_and_no_padding() -> None:
    encoder = build(2, bidirectional=True)
    src, mask = pad_source(SENTENCES)
    encoded = encoder(src, mask)
    h, c = encoded.state
    (encoded.memory.square().sum() + h.sum() + c.sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert encoder.embedding.weight.grad is not None
    used = {*src[mask].tolist()}
    touched = encoder.embedding.weight.grad.any(dim=-1).nonzero().flatten().tolist()
    assert set(touched) == used  # without the embedding of the padding


def test_dropout_and_word_dropout_work_in_training_alone() -> None:
    src, mask = pad_source(SENTENCES)
    for settings in ({"dropout": 0.5}, {"word_dropout": 0.5}):
        encoder = build(2, True, **settings)
        assert not torch.equal(encoder(src, mask).memory, encoder(src, mask).memory)
        encoder.eval()
        assert torch.equal(encoder(src, mask).memory, build(2, True)(src, mask).memory)


def test_fixed_masks_drop_the_same_units_of_a_sentence_at_all_steps() -> None:
    src, mask = pad_source([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
    kept = build(1, True, dropout=0.5)(src, mask).memory != 0  # (S, B, H)
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert not torch.equal(kept[0, 0], kept[0, 1])


@pytest.mark.parametrize("kind", ["recurrent", "transformer", "convolutional"])
def test_the_lexicon_reads_embeddings_of_one_scale_with_the_dropout_of_the_input(kind: str) -> None:
    torch.manual_seed(0)
    size, probability = 16, 0.25
    config = model_config(encoder=kind, embed_size=size, hidden_size=16, heads=2, dropout=probability)
    encoder = build_model(config, Vocabulary(30, 30)).encoder
    src = torch.randint(4, 30, (50, 40))
    mask = torch.ones(50, 40, dtype=torch.bool)
    expected = size**0.25 * encoder.embedding.weight[src]
    torch.testing.assert_close(encoder.eval()(src, mask).words, expected)
    words = encoder.train()(src, mask).words
    kept = words != 0
    torch.testing.assert_close(words[kept], expected[kept] / (1 - probability))
    assert (~kept).double().mean() == pytest.approx(probability, abs=0.05)
