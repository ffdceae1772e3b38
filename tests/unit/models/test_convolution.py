"""The convolutional encoder-decoder compared with its equations, sentence by sentence and position by position."""

import itertools
import math

import pytest
import torch
from shapes import model_config
from torch import Tensor, nn

from nmt.data import pad_source
from nmt.models.decoders import ConvolutionalDecoder
from nmt.models.embedding import Embedding
from nmt.models.encoders.convolutional import ConvolutionalEncoder
from nmt.models.layers.convolution import Convolution

EMBED, HIDDEN, VOCABULARY = 6, 8, 20
SENTENCES = [[5, 6, 7, 8, 9], [10], [], [11, 12, 13]]
TARGET = torch.randint(4, VOCABULARY, (6, len(SENTENCES)), generator=torch.Generator().manual_seed(8))
VARIANTS = pytest.mark.parametrize(("kernel", "layers"), list(itertools.product([1, 3, 5], [1, 3])))


def build(kernel: int = 3, layers: int = 2, dropout: float = 0.0) -> tuple[ConvolutionalEncoder, ConvolutionalDecoder]:
    torch.manual_seed(kernel)
    config = model_config(
        kind="convolutional",
        embed_size=EMBED,
        hidden_size=HIDDEN,
        encoder_layers=layers,
        decoder_layers=layers,
        kernel_width=kernel,
        max_positions=5,
        dropout=dropout,
    )
    embedding = Embedding(VOCABULARY, EMBED, exponent=0.0)
    encoder = ConvolutionalEncoder(config.encoder, config, embedding)
    decoder = ConvolutionalDecoder(config.decoder, config, embedding, None)
    for module in (encoder, decoder):
        for name, parameter in module.named_parameters():
            if "bias" in name:
                nn.init.normal_(parameter)
    return encoder, decoder


def embedded(ids: list[int], part: ConvolutionalEncoder | ConvolutionalDecoder) -> list[Tensor]:
    table = part.positions.table.weight
    return [part.embedding.weight[word] + table[min(t, 4)] for t, word in enumerate(ids)]


def convolved(layer: Convolution, x: list[Tensor], t: int, first: int) -> Tensor:
    """Compute position t of the gated convolution with a window from `first`; zeros outside the sentence."""
    window = [x[i] if 0 <= i < len(x) else torch.zeros(HIDDEN) for i in range(first, first + layer.kernel)]
    both = layer.linear.weight @ torch.cat(window) + layer.linear.bias
    return both[:HIDDEN] * torch.sigmoid(both[HIDDEN:])


def half(x: Tensor) -> Tensor:
    return x * math.sqrt(0.5)


def encode_alone(encoder: ConvolutionalEncoder, ids: list[int]) -> tuple[list[Tensor], list[Tensor]]:
    """Compute keys and values of one sentence."""
    words = embedded(ids, encoder)
    x = [encoder.inward(word) for word in words]
    for layer in encoder.layers:
        x = [half(convolved(layer, x, t, t - layer.kernel // 2) + x[t]) for t in range(len(x))]
    keys = [encoder.outward(row) for row in x]
    return keys, [half(key + word) for key, word in zip(keys, words, strict=True)]


def decode_alone(decoder: ConvolutionalDecoder, ids: list[int], keys: list[Tensor], values: list[Tensor]) -> Tensor:
    """Compute the vectors (T, E) of one sentence."""
    words = embedded(ids, decoder)
    x = [decoder.inward(word) for word in words]
    for layer in decoder.layers:
        following = []
        for t, word in enumerate(words):
            h = convolved(layer.convolution, x, t, t - layer.convolution.kernel + 1)
            query = half(layer.query(h) + word)
            weights = torch.stack([query @ key for key in keys]).softmax(0)
            context = sum(w * value for w, value in zip(weights, values, strict=True)) * math.sqrt(len(keys))
            following.append(half(half(layer.output(context) + h) + x[t]))
        x = following
    return torch.stack([decoder.outward(row) for row in x])


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@VARIANTS
def test_a_padded_batch_is_the_equations_of_each_sentence_alone(kernel: int, layers: int) -> None:
    encoder, decoder = build(kernel, layers)
    src, mask = pad_source(SENTENCES)
    source = encoder(src, mask)
    vectors, _ = decoder(TARGET, decoder.start(source, mask))
    for b, sentence in enumerate(SENTENCES):
        keys, values = encode_alone(encoder, [*sentence, int(src[-1, b])])
        assert_close(source.memory[len(src) - len(keys) :, b], torch.stack(keys))
        assert_close(source.values[len(src) - len(keys) :, b], torch.stack(values))
        assert_close(vectors[:, b], decode_alone(decoder, TARGET[:, b].tolist(), keys, values))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_convolution_neither_swells_nor_fades_whatever_is_dropped(dropout: float) -> None:
    """Check the variance of both halves: four times that of the input before dropout. The paper assumes a gate of 1/2;
    a varying gate passes slightly more."""
    torch.manual_seed(1)
    layer = Convolution(256, 3, dropout)
    seen = nn.functional.dropout(torch.randn(400, 1, 256), dropout)
    gate = torch.sigmoid(2 * torch.randn(100_000))
    expected = 4 * gate.square().mean().item()
    assert 1.0 < expected < 1.5
    assert layer(seen).square().mean().item() == pytest.approx(expected, rel=0.1)
