"""The Transformer compared with PyTorch's layers of the same weights, and with its equations in a loop."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from shapes import model_config
from torch import Tensor, nn

from nmt.config import ModelConfig, PositionKind
from nmt.data import pad_source
from nmt.models.decoders.transformer import TransformerDecoder, TransformerDecoderLayer
from nmt.models.embedding import Embedding, Positions
from nmt.models.encoders.transformer import TransformerEncoder, TransformerEncoderLayer
from nmt.models.layers.recurrent import Dropout
from nmt.models.layers.transformer import MultiHead, Residual, fused_attention

WIDTH, HEADS, INNER, VOCABULARY, ROWS = 8, 2, 12, 20, 4
SENTENCES = [[5, 6, 7, 8, 9], [10], [], [11, 12, 13]]
TARGET = torch.randint(4, VOCABULARY, (6, len(SENTENCES)), generator=torch.Generator().manual_seed(8))
WANTED = {"need_weights": True}
VARIANTS = pytest.mark.parametrize(
    ("pre_norm", "positions"), list(itertools.product([True, False], [PositionKind.sinusoidal, PositionKind.learned]))
)


def config(pre_norm: bool = False, positions: PositionKind = PositionKind.sinusoidal, **settings: float) -> ModelConfig:
    return model_config(
        kind="transformer",
        embed_size=WIDTH,
        heads=HEADS,
        feed_forward_size=INNER,
        encoder_layers=2,
        decoder_layers=2,
        pre_norm=pre_norm,
        positions=positions,
        max_positions=ROWS,
        **{"dropout": 0.0, **settings},
    )


def build(shape: ModelConfig) -> tuple[TransformerEncoder, TransformerDecoder]:
    """Initialise every parameter randomly, those of the norms too."""
    torch.manual_seed(2)
    embedding = Embedding(VOCABULARY, WIDTH, exponent=0.5)
    encoder = TransformerEncoder(shape.encoder, shape, embedding)
    decoder = TransformerDecoder(shape.decoder, shape, embedding, None)
    for module in (encoder, decoder):
        for name, parameter in module.named_parameters():
            if "bias" in name or "norm" in name:
                nn.init.normal_(parameter)
    return encoder, decoder


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def vector_of(position: int, positions: Positions) -> Tensor:
    """Return the encoding of a position: Vaswani et al. 2017, 3.5, or the row of the learned table."""
    if positions.table is not None:
        return positions.table.weight[min(position, ROWS - 1)]
    angles = [position / 10_000 ** (2 * i / WIDTH) for i in range(WIDTH // 2)]
    return torch.tensor([math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles])


def embedded(ids: list[int], embedding: Embedding, positions: Positions) -> Tensor:
    """Return the embeddings of one sentence, (T, 1, E)."""
    rows = [embedding.weight[word] * WIDTH**0.5 + vector_of(t, positions) for t, word in enumerate(ids)]
    return torch.stack(rows).unsqueeze(1)


def copy_attention(theirs: nn.MultiheadAttention, ours: MultiHead) -> None:
    theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, torch.zeros(WIDTH), ours.value.bias]))
    theirs.out_proj.weight.copy_(ours.output.weight)
    theirs.out_proj.bias.copy_(ours.output.bias)


def copy_feed_forward(
    theirs: nn.Module, ours: TransformerEncoderLayer | TransformerDecoderLayer, arounds: list[Residual]
) -> None:
    for linear, own in (("linear1", ours.feed_forward.inner), ("linear2", ours.feed_forward.outer)):
        getattr(theirs, linear).load_state_dict(own.state_dict())
    for number, around in enumerate(arounds, 1):
        getattr(theirs, f"norm{number}").load_state_dict(around.norm.state_dict())


@torch.no_grad()
def torch_encoder_layer(ours: TransformerEncoderLayer) -> nn.TransformerEncoderLayer:
    pre_norm = ours.around_attention.pre_norm
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, norm_first=pre_norm)
    copy_attention(theirs.self_attn, ours.attention)
    copy_feed_forward(theirs, ours, [ours.around_attention, ours.around_feed_forward])
    return theirs


@torch.no_grad()
def torch_decoder_layer(ours: TransformerDecoderLayer) -> nn.TransformerDecoderLayer:
    pre_norm = ours.around_attention.pre_norm
    theirs = nn.TransformerDecoderLayer(WIDTH, HEADS, INNER, 0.0, norm_first=pre_norm)
    copy_attention(theirs.self_attn, ours.attention)
    copy_attention(theirs.multihead_attn, ours.source_attention)
    copy_feed_forward(theirs, ours, [ours.around_attention, ours.around_source_attention, ours.around_feed_forward])
    return theirs


def encode_alone(encoder: TransformerEncoder, ids: list[int]) -> Tensor:
    """Encode one sentence without padding by PyTorch's layers, (S, 1, E)."""
    x = embedded(ids, encoder.embedding, encoder.positions)
    for layer in encoder.layers:
        x = torch_encoder_layer(layer)(x)
    return encoder.norm(x)


@VARIANTS
def test_a_padded_batch_is_encoded_as_by_torchs_layers_each_sentence_alone(
    pre_norm: bool, positions: PositionKind
) -> None:
    encoder, _ = build(config(pre_norm, positions))
    src, mask = pad_source(SENTENCES)
    encoded = encoder(src, mask).memory
    for b, sentence in enumerate(SENTENCES):
        alone = encode_alone(encoder, [*sentence, int(src[-1, b])])
        assert_close(encoded[len(src) - len(alone) :, b : b + 1], alone)


@VARIANTS
def test_a_padded_batch_is_decoded_as_by_torchs_layers_each_sentence_alone(
    pre_norm: bool, positions: PositionKind
) -> None:
    encoder, decoder = build(config(pre_norm, positions))
    src, mask = pad_source(SENTENCES)
    vectors, weights = decoder(TARGET, decoder.start(encoder(src, mask), mask))
    steps = len(TARGET)
    for b, sentence in enumerate(SENTENCES):
        memory = encode_alone(encoder, [*sentence, int(src[-1, b])])
        x = embedded(TARGET[:, b].tolist(), decoder.embedding, decoder.positions)
        for layer in decoder.layers:
            theirs = torch_decoder_layer(layer)
            attention, drawn = theirs.multihead_attn, []
            attention.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, **WANTED}), with_kwargs=True)
            attention.register_forward_hook(lambda _, args, result, drawn=drawn: drawn.append(result[1]))
            x = theirs(x, memory, tgt_mask=nn.Transformer.generate_square_subsequent_mask(steps))
        assert_close(vectors[:, b : b + 1], decoder.norm(x))
        assert_close(weights[b, :, len(src) - len(memory) :], drawn[0][0])


def test_fused_attention_is_the_plain_equation() -> None:
    torch.manual_seed(1)
    attention = MultiHead(WIDTH, HEADS)
    x, source = torch.randn(3, 2, WIDTH), torch.randn(5, 2, WIDTH)
    mask = torch.tensor([[False, False, True, True, True], [True] * 5])
    keys_values = attention.keys_values(source)
    fused = attention(x, keys_values, mask[:, None, None])
    plain, weights = attention.with_weights(x, keys_values, mask[:, None, None])
    assert_close(fused, plain)
    size = WIDTH // HEADS
    for b in range(2):
        for t in range(3):
            query, joined, mean = attention.query(x[t, b]), [], torch.zeros(5)
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                exps = torch.zeros(5)
                for s in range(5):
                    if mask[b, s]:
                        exps[s] = (query[part] @ attention.key(source[s, b])[part] / math.sqrt(size)).exp()
                weight = exps / exps.sum()
                mean += weight / HEADS
                joined.append(sum(weight[s] * attention.value(source[s, b])[part] for s in range(5)))
            assert_close(fused[t, b], attention.output(torch.cat(joined)))
            assert_close(weights[b, t], mean)


def test_learned_positions_beyond_the_table_are_its_last_row() -> None:
    positions = Positions(PositionKind.learned, ROWS, WIDTH)
    encoded = positions(torch.zeros(4, WIDTH), torch.tensor([0, ROWS - 1, ROWS, 100 * ROWS]))
    assert positions.table is not None
    assert torch.equal(encoded, positions.table.weight[[0, ROWS - 1, ROWS - 1, ROWS - 1]])


@pytest.mark.parametrize("fixed_masks", [True, False])
def test_dropout_stands_on_the_embedding_and_on_each_sublayers_output(
    fixed_masks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = config(dropout=0.5)
    shape.fixed_masks = fixed_masks
    encoder, decoder = build(shape)
    drawn: list[Tensor] = []

    def recorded(self: Dropout, *parts: Tensor) -> tuple[Tensor, ...]:
        dropped = together(self, *parts)
        drawn.append(dropped[0] / parts[0])
        return dropped

    together = Dropout.together
    monkeypatch.setattr(Dropout, "together", recorded)
    src, mask = pad_source(SENTENCES)
    decoder(TARGET, decoder.start(encoder(src, mask), mask))
    assert len(drawn) == 1 + 2 * 2 + 1 + 3 * 2
    for share in drawn:
        assert set(share[share.isfinite()].unique().tolist()) == {0.0, 2.0}
        kept = share == share[:1]
        assert bool((kept | share.isnan()).all()) == fixed_masks


def test_projections_start_as_torchs_and_fairseqs_attention_does() -> None:
    """Check that queries, keys and values are uniform within sqrt(6 / (E + 3E)), the output within sqrt(6 / 2E)."""
    encoder, decoder = build(replace(config(), embed_size=128))
    theirs = nn.MultiheadAttention(128, HEADS)
    expected = theirs.in_proj_weight.detach().abs().max().item()
    assert expected == pytest.approx(math.sqrt(6 / (4 * 128)), rel=0.01)
    layer = decoder.layers[0]
    for attention in (encoder.layers[0].attention, layer.attention, layer.source_attention):
        for projection in (attention.query, attention.key, attention.value):
            assert projection.weight.abs().max().item() == pytest.approx(expected, rel=0.01)
        assert attention.output.weight.abs().max().item() == pytest.approx(math.sqrt(6 / (2 * 128)), rel=0.01)


def test_attention_under_autocast_is_computed_in_float32() -> None:
    torch.manual_seed(4)
    query, keys, values = (torch.randn(2, 3, 5, 8).bfloat16().requires_grad_() for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        contexts = fused_attention(query, keys, values, None)
    weights = (query.float() @ keys.float().transpose(2, 3) / math.sqrt(8)).softmax(dim=-1)
    assert contexts.dtype == torch.bfloat16
    torch.testing.assert_close(contexts.float(), weights @ values.float(), rtol=2**-8, atol=1e-6)
    actual = torch.autograd.grad(contexts.sum(), [query, keys, values])
    expected = torch.autograd.grad((weights @ values.float()).sum(), [query, keys, values])
    torch.testing.assert_close(actual, expected, rtol=2**-7, atol=2**-8)
