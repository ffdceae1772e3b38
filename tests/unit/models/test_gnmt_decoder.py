"""The GNMT decoder: whole sequence, single steps and equations compared with one another; states in search."""

import itertools
from dataclasses import replace

import pytest
import torch
from shapes import model_config
from torch import Tensor, nn

from nmt.config import AttentionKind
from nmt.models.attention import AttentionHistory
from nmt.models.decoders import GnmtDecoder
from nmt.models.decoders.base import DecoderState
from nmt.models.embedding import Embedding
from nmt.models.interface import Encoded

EMBED, HIDDEN, VOCABULARY = 5, 6, 20
LENGTHS = [2, 4, 1]  # of the source sentences
BATCH, SOURCE = len(LENGTHS), max(LENGTHS)
MASK = torch.tensor([[s >= SOURCE - length for length in LENGTHS] for s in range(SOURCE)])  # (S, B)
VARIANTS = pytest.mark.parametrize(
    ("attention", "input_feeding", "layers"),
    [
        *itertools.product([AttentionKind.additive, AttentionKind.general], [True, False], [1, 2, 3]),
        *itertools.product([None], [False], [1, 2, 3]),
        *itertools.product([kind for kind in AttentionKind if kind not in ("additive", "general")], [True, False], [2]),
    ],
)


def build(
    attention: AttentionKind | None = AttentionKind.additive,
    input_feeding: bool = False,
    layers: int = 2,
    dropout: float = 0.0,
    fixed_masks: bool = True,
    residual_from: int = 2,
) -> GnmtDecoder:
    torch.manual_seed(layers)
    config = model_config(
        embed_size=EMBED,
        hidden_size=HIDDEN,
        decoder_layers=layers,
        attention=attention,
        heads=3,
        attention_window=1,
        max_positions=3,
        input_feeding=input_feeding,
        dropout=dropout,
        fixed_masks=fixed_masks,
        decoder_residual_from=residual_from,
    )
    decoder = GnmtDecoder(config.decoder, config, Embedding(VOCABULARY, EMBED), HIDDEN)
    for name, weight in decoder.named_parameters():
        if "bias" in name:
            nn.init.normal_(weight)
    return decoder


def encoded() -> Encoded:
    random = torch.Generator().manual_seed(7)
    outputs = torch.randn(SOURCE, BATCH, HIDDEN, generator=random) * MASK.unsqueeze(-1)
    h, c = torch.randn(2, BATCH, HIDDEN, generator=random)
    return Encoded(outputs, torch.randn(SOURCE, BATCH, EMBED, generator=random), (h, c))


def one_sentence(b: int) -> tuple[Encoded, Tensor]:
    """Return the encoder's output for sentence b alone, without padding, and its mask."""
    whole = encoded()
    start = SOURCE - LENGTHS[b]
    state = (whole.state[0][b : b + 1], whole.state[1][b : b + 1])
    return Encoded(whole.memory[start:, b : b + 1], whole.words[start:, b : b + 1], state), MASK[start:, b : b + 1]


def targets(steps: int = 6) -> Tensor:
    return torch.randint(4, VOCABULARY, (steps, BATCH), generator=torch.Generator().manual_seed(8))


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def cell(layer: nn.Module, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the LSTM equations for one step of one sentence."""
    w, u = layer.get_parameter("weight_ih_l0"), layer.get_parameter("weight_hh_l0")
    i, f, g, o = (w @ x + u @ h + layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")).view(4, HIDDEN)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def by_hand(decoder: GnmtDecoder, b: int, tokens: Tensor, masks: list[Tensor] | None = None) -> Tensor:
    """Compute the attentional vectors (T, E) of sentence b alone, step by step, without padding or batch.

    masks: dropout on the embedding, after each layer, on the context, on the vector, each (T, B, F).
    """
    source, _ = one_sentence(b)
    values, layers = source.memory.transpose(0, 1), len(decoder.layers)
    h = list(torch.tanh(decoder.bridge.h(source.state[0]))[0].view(layers, HIDDEN))
    c = list(decoder.bridge.c(source.state[1])[0].view(layers, HIDDEN))
    vector, vectors = torch.zeros(EMBED), []
    coverage = torch.zeros(1, 1, LENGTHS[b])
    for t, token in enumerate(tokens):
        on_word, *on_layers, on_context, on_vector = [m[t, b] for m in masks] if masks else [1.0] * (layers + 3)
        x = decoder.embedding.weight[token] * EMBED**0.25 * on_word
        word: Tensor | float = 0.0
        if decoder.residual_from == 1:
            x = word = decoder.embedding_projection.weight @ x
        x = torch.cat([x, vector]) if decoder.input_feeding else x
        h[0], c[0] = cell(decoder.layers[0], x, h[0], c[0])
        context = torch.empty(0)
        if decoder.attention is not None:
            mask = torch.ones(1, LENGTHS[b], dtype=torch.bool)
            keys, summed = decoder.attention.project_keys(values), decoder.attention.project_values(values)
            past = AttentionHistory(torch.tensor([t]), coverage)
            context, weights = decoder.attention((word + h[0]).view(1, 1, HIDDEN), keys, summed, mask, past)
            context, coverage = context.flatten() * on_context, coverage + weights
        top = word + h[0] * on_layers[0]
        for depth in range(1, layers):
            h[depth], c[depth] = cell(decoder.layers[depth], torch.cat([top, context]), h[depth], c[depth])
            top = top + h[depth] * on_layers[depth]
        vector = torch.tanh(decoder.readout(torch.cat([top, context]))) * on_vector
        vectors.append(vector)
    return torch.stack(vectors)


@VARIANTS
def test_the_whole_sequence_is_the_steps_in_a_row(
    attention: AttentionKind | None, input_feeding: bool, layers: int
) -> None:
    decoder = build(attention, input_feeding, layers)
    state = decoder.start(encoded(), MASK)
    tokens = targets()
    vectors, _ = decoder(tokens, state)
    for t in range(len(tokens)):
        vector, state, _ = decoder.step(tokens[t], state)
        assert_close(vector, vectors[t])


@VARIANTS
def test_a_batch_is_the_equations_of_each_sentence_alone(
    attention: AttentionKind | None, input_feeding: bool, layers: int
) -> None:
    decoder = build(attention, input_feeding, layers)
    tokens = targets()
    vectors, weights = decoder(tokens, decoder.start(encoded(), MASK))
    for b in range(BATCH):
        assert_close(vectors[:, b], by_hand(decoder, b, tokens[:, b]))
    if weights is None:
        assert attention is None
    else:
        if attention != AttentionKind.local_p:
            assert_close(weights.sum(dim=-1), torch.ones(BATCH, len(tokens)))
        assert (weights[~MASK.t().unsqueeze(1).expand_as(weights)] == 0).all()


@pytest.mark.parametrize("input_feeding", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_bottom_layer_is_added_to_the_projected_words(layers: int, input_feeding: bool) -> None:
    decoder, tokens = build(AttentionKind.general, input_feeding, layers, residual_from=1), targets()
    vectors, _ = decoder(tokens, decoder.start(encoded(), MASK))
    for b in range(BATCH):
        assert_close(vectors[:, b], by_hand(decoder, b, tokens[:, b]))


def test_the_weights_of_a_step_are_those_of_its_own_query() -> None:
    tokens = targets()
    for input_feeding in (True, False):
        decoder = build(AttentionKind.general, input_feeding)
        _, weights = decoder(tokens, decoder.start(encoded(), MASK))
        for t in range(len(tokens)):
            _, shorter = decoder(tokens[: t + 1], decoder.start(encoded(), MASK))
            assert_close(weights[:, t], shorter[:, -1])


@pytest.mark.parametrize("fixed_masks", [True, False])
@pytest.mark.parametrize("input_feeding", [True, False])
@pytest.mark.parametrize("residual_from", [1, 2])
def test_dropout_stands_where_the_equations_have_it(
    monkeypatch: pytest.MonkeyPatch, residual_from: int, input_feeding: bool, fixed_masks: bool
) -> None:
    decoder = build(AttentionKind.general, input_feeding, 2, 0.4, fixed_masks, residual_from)
    masks: list[Tensor] = []
    draw = decoder.dropout.mask

    def recorded(like: Tensor) -> Tensor | None:
        mask = draw(like)
        assert mask is not None
        masks.append(mask.expand(like.shape))
        return mask

    monkeypatch.setattr(decoder.dropout, "mask", recorded)
    tokens = targets()
    vectors, _ = decoder(tokens, decoder.start(encoded(), MASK))
    assert [mask.size(-1) for mask in masks] == [EMBED, HIDDEN, HIDDEN, HIDDEN, EMBED]
    for b in range(BATCH):
        assert_close(vectors[:, b], by_hand(decoder, b, tokens[:, b], masks))


def test_fixed_masks_hold_over_the_steps_of_an_input_feeding_model() -> None:
    tokens = targets(steps=12)
    for fixed_masks in (True, False):
        decoder = build(AttentionKind.dot, input_feeding=True, dropout=0.5, fixed_masks=fixed_masks)
        vectors, _ = decoder(tokens, decoder.start(encoded(), MASK))
        kept = vectors != 0  # (T, B, E)
        assert torch.equal(kept, kept[:1].expand_as(kept)) == fixed_masks
        assert len({tuple(kept[0, b].tolist()) for b in range(BATCH)}) > 1


def test_nothing_is_dropped_in_a_step_of_search() -> None:
    decoder = build(dropout=0.5)
    assert torch.equal(
        decoder.step(targets()[0], decoder.start(encoded(), MASK))[0],
        decoder.step(targets()[0], decoder.start(encoded(), MASK))[0],
    )


@pytest.mark.parametrize("input_feeding", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_no_vector_depends_on_a_later_token(layers: int, input_feeding: bool) -> None:
    decoder = build(AttentionKind.additive, input_feeding, layers)
    tokens = targets()
    changed = tokens.clone()
    changed[3] = (tokens[3] - 3) % (VOCABULARY - 4) + 4
    vectors, _ = decoder(tokens, decoder.start(encoded(), MASK))
    others, _ = decoder(changed, decoder.start(encoded(), MASK))
    assert torch.equal(vectors[:3], others[:3])
    assert (vectors[3:] != others[3:]).any(dim=-1).all()


def follow(decoder: GnmtDecoder, state: DecoderState, tokens: Tensor) -> tuple[Tensor, DecoderState]:
    """Return the last vectors and the state after tokens (T, B K)."""
    for step in tokens:
        vectors, state, _ = decoder.step(step, state)
    return vectors, state


@VARIANTS
def test_hypotheses_side_by_side_are_as_single_ones(
    attention: AttentionKind | None, input_feeding: bool, layers: int
) -> None:
    decoder = build(attention, input_feeding, layers)
    beam, steps = 3, 4
    rows = torch.arange(BATCH).unsqueeze(1).expand(BATCH, beam)
    tokens = torch.randint(4, VOCABULARY, (steps, BATCH * beam), generator=torch.Generator().manual_seed(9))
    vectors, _ = follow(decoder, decoder.start(encoded(), MASK).select(rows), tokens)
    for row in range(BATCH * beam):
        alone, _ = follow(decoder, decoder.start(*one_sentence(row // beam)), tokens[:, row : row + 1])
        assert_close(vectors[row], alone[0])


@VARIANTS
@pytest.mark.parametrize(
    "selected",
    [
        pytest.param([[2, 0, 0], [3, 4, 5], [8, 8, 8]], id="reordered"),
        pytest.param([[1, 1, 0], [8, 6, 7]], id="a sentence dropped"),
        pytest.param([[5, 3, 4]], id="one left"),
        pytest.param([[6, 7], [1, 0], [4, 4]], id="sentences in another order, fewer hypotheses"),
    ],
)
def test_a_selected_state_is_as_if_it_had_always_been_so(
    attention: AttentionKind | None, input_feeding: bool, layers: int, selected: list[list[int]]
) -> None:
    decoder = build(attention, input_feeding, layers)
    beam = 3
    random = torch.Generator().manual_seed(9)
    tokens = torch.randint(4, VOCABULARY, (2, BATCH * beam), generator=random)
    start = decoder.start(encoded(), MASK).select(torch.arange(BATCH).unsqueeze(1).expand(BATCH, beam))
    _, state = follow(decoder, start, tokens)
    state = state.select(torch.tensor(selected))

    flat = [row for line in selected for row in line]
    later = torch.randint(4, VOCABULARY, (2, len(flat)), generator=random)
    vectors, _ = follow(decoder, state, later)
    for i, row in enumerate(flat):
        history = torch.cat([tokens[:, row], later[:, i]]).unsqueeze(1)
        alone, _ = follow(decoder, decoder.start(*one_sentence(row // beam)), history)
        assert_close(vectors[i], alone[0])


def test_selecting_leaves_the_old_state_as_it_was() -> None:
    decoder = build(input_feeding=True)
    _, state, _ = decoder.step(targets()[0], decoder.start(encoded(), MASK))
    before = replace(state, hidden=[(h.clone(), c.clone()) for h, c in state.hidden], feed=state.feed.clone())
    decoder.step(targets()[1], state.select(torch.tensor([[2], [1], [0]])))
    assert torch.equal(state.feed, before.feed)
    for (h, c), (old_h, old_c) in zip(state.hidden, before.hidden, strict=True):
        assert torch.equal(h, old_h)
        assert torch.equal(c, old_c)


def test_attention_none_keeps_no_memory_of_the_source() -> None:
    state = build(attention=None).start(encoded(), MASK)
    assert state.keys is None
    assert state.values is None
    assert state.coverage is None
    assert state.mask is None
