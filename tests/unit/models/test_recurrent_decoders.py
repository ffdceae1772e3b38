"""The recurrent decoders compared with their equations, step by step, and with themselves in a batch."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from shapes import RECURRENT_DECODERS, model_config
from torch import Tensor, nn

from nmt.config import AttentionKind, BridgeKind, CellKind, GnmtDecoderConfig
from nmt.config.checks import problems_in
from nmt.models.bridge import build_bridge
from nmt.models.decoders import (
    DECODERS,
    BahdanauDecoder,
    ConditionalDecoder,
    GnmtDecoder,
    LuongDecoder,
    RecurrentDecoder,
)
from nmt.models.decoders.base import DecoderState
from nmt.models.embedding import Embedding
from nmt.models.interface import Encoded

EMBED, HIDDEN, VOCABULARY = 5, 6, 20
LENGTHS = [2, 4, 1]  # of the source sentences
BATCH, SOURCE = len(LENGTHS), max(LENGTHS)
MASK = torch.tensor([[s >= SOURCE - length for length in LENGTHS] for s in range(SOURCE)])  # (S, B)
KINDS: list[dict[str, Any]] = [
    {"decoder": "luong"},
    {"decoder": "luong", "input_feeding": True},
    {"decoder": "bahdanau"},
    {"decoder": "conditional"},
    {"decoder": "luong", "decoder_residual_from": 1},
    {"decoder": "luong", "decoder_residual_from": 1, "input_feeding": True},
]
PAST = (AttentionKind.coverage, AttentionKind.local_m)
"""Attentions that depend on the steps before, or on their number."""
FAMILY: list[dict[str, Any]] = [
    *(kind | {"decoder_layers": layers} for kind, layers in itertools.product(KINDS, (1, 3))),
    *(kind | {"cell": cell, "decoder_layers": 2} for kind, cell in itertools.product(KINDS, CellKind)),
    *({"cell": cell, "decoder_layers": 2} for cell in CellKind),
    *({"cell": cell, "decoder_layers": 2, "input_feeding": True} for cell in CellKind),
    {"attention": None, "cell": CellKind.gru, "decoder_layers": 2},
    *({"decoder": decoder, "lexicon": True} for decoder in RECURRENT_DECODERS),
    *(kind | {"attention": attention, "attention_window": 1} for kind, attention in itertools.product(KINDS, PAST)),
    {"decoder_layers": 3, "residual_from": None, "zoneout_h": 0.2, "zoneout_c": 0.1},
    {"decoder": "luong", "decoder_layers": 3, "residual_from": 3, "input_feeding": True},
]
EVERY = pytest.mark.parametrize("settings", FAMILY, ids=str)


def build(**settings: Any) -> RecurrentDecoder:
    torch.manual_seed(1)
    usual = {"embed_size": EMBED, "hidden_size": HIDDEN, "dropout": 0.0, "attention": AttentionKind.additive}
    config = model_config(**{**usual, **settings})
    assert list(config.problems()) == []
    decoder = DECODERS[config.decoder.kind](config.decoder, config, Embedding(VOCABULARY, EMBED), HIDDEN).eval()
    for parameter in decoder.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    return decoder


def encoded(decoder: RecurrentDecoder) -> Encoded:
    random = torch.Generator().manual_seed(7)
    outputs = torch.randn(SOURCE, BATCH, HIDDEN, generator=random) * MASK.unsqueeze(-1)
    states = 1 if decoder.bridge.c is None else 2
    state = tuple(torch.randn(BATCH, HIDDEN, generator=random) for _ in range(states))
    return Encoded(outputs, torch.randn(SOURCE, BATCH, EMBED, generator=random), state)


def alone(decoder: RecurrentDecoder, b: int) -> DecoderState:
    """Return the start state of sentence b without batch and padding."""
    whole = encoded(decoder)
    start = SOURCE - LENGTHS[b]
    own = (each[start:, b : b + 1] for each in (whole.memory, whole.words))
    one = Encoded(next(own), next(own), tuple(part[b : b + 1] for part in whole.state))
    return decoder.start(one, MASK[start:, b : b + 1])


def targets(steps: int = 6, rows: int = BATCH) -> Tensor:
    return torch.randint(4, VOCABULARY, (steps, rows), generator=torch.Generator().manual_seed(8))


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@EVERY
def test_the_whole_sequence_is_the_steps_in_a_row(settings: dict[str, Any]) -> None:
    decoder, tokens = build(**settings), targets()
    state = decoder.start(encoded(decoder), MASK)
    vectors, _ = decoder(tokens, state)
    for t in range(len(tokens)):
        vector, state, _ = decoder.step(tokens[t], state)
        assert_close(vector, vectors[t])


@EVERY
def test_a_sentence_in_a_batch_is_decoded_as_if_alone(settings: dict[str, Any]) -> None:
    decoder, tokens = build(**settings), targets()
    vectors, weights = decoder(tokens, decoder.start(encoded(decoder), MASK))
    for b, length in enumerate(LENGTHS):
        expected, own = decoder(tokens[:, b : b + 1], alone(decoder, b))
        assert_close(vectors[:, b], expected[:, 0])
        if weights is not None:
            assert_close(weights[b, :, SOURCE - length :], own[0])
            assert (weights[b, :, : SOURCE - length] == 0).all()
    assert (weights is None) == (decoder.attention is None)


@pytest.mark.parametrize("kind", [{"decoder": "gnmt"}, *KINDS], ids=str)
def test_a_lexicon_is_its_equations(kind: dict[str, Any]) -> None:
    """Compare the difference to the vectors of the same decoder without lexicon."""
    decoder, tokens = build(**kind, lexicon=True), targets()
    vectors, weights = decoder(tokens, decoder.start(encoded(decoder), MASK))
    words, w, u = encoded(decoder).words, decoder.lexicon.hidden.weight, decoder.lexicon.out.weight
    decoder.lexicon = None
    plain, _ = decoder(tokens, decoder.start(encoded(decoder), MASK))
    for b, t in itertools.product(range(BATCH), range(len(tokens))):
        f = sum(weights[b, t, s] * words[s, b] for s in range(SOURCE)).tanh()
        assert_close(vectors[t, b], plain[t, b] + (u @ ((w @ f).tanh() + f)).tanh())


@EVERY
def test_hypotheses_that_a_search_reorders_are_as_single_ones(settings: dict[str, Any]) -> None:
    decoder, beam = build(**settings), 3
    tokens = targets(4, BATCH * beam)
    state = decoder.start(encoded(decoder), MASK).select(torch.arange(BATCH).unsqueeze(1).expand(BATCH, beam))
    for step in tokens:
        _, state, _ = decoder.step(step, state)
    rows = torch.tensor([[8, 6, 7], [1, 1, 0]])  # of the last sentence and the first
    later = targets(2, rows.numel())
    state = state.select(rows)
    for step in later:
        vectors, state, _ = decoder.step(step, state)
    for i, row in enumerate(rows.flatten().tolist()):
        expected, _ = decoder(torch.cat([tokens[:, row], later[:, i]]).unsqueeze(1), alone(decoder, row // beam))
        assert_close(vectors[i], expected[-1, 0])


@pytest.mark.parametrize("cell", [CellKind.ssru, CellKind.rg_lru, CellKind.lstm])
def test_the_first_query_of_bahdanau_depends_on_the_source(cell: CellKind) -> None:
    """The query is h before the step, also of a cell that does not read h: tanh of a product with the encoder's h."""
    decoder = build(decoder="bahdanau", cell=cell)
    given = encoded(decoder)
    assert given.state is not None
    assert_close(decoder.start(given, MASK).hidden[0][0], decoder.bridge.h(given.state[0]).tanh())


@EVERY
def test_no_vector_depends_on_a_later_token(settings: dict[str, Any]) -> None:
    decoder, tokens = build(**settings), targets()
    changed = tokens.clone()
    changed[3] = (tokens[3] - 3) % (VOCABULARY - 4) + 4
    vectors, _ = decoder(tokens, decoder.start(encoded(decoder), MASK))
    others, _ = decoder(changed, decoder.start(encoded(decoder), MASK))
    assert torch.equal(vectors[:3], others[:3])
    assert (vectors[3:] != others[3:]).any(dim=-1).all()


@EVERY
def test_the_gradient_reaches_every_parameter(settings: dict[str, Any]) -> None:
    decoder = build(**settings).train()
    vectors, _ = decoder(targets(), decoder.start(encoded(decoder), MASK))
    (vectors * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


Draw = Callable[[int, int], Tensor | float]
"""Dropout factor of step t on: 0 the word, 1 to L the layers, L + 1 the context, L + 2 the vector."""


def ask(decoder: RecurrentDecoder, query: Tensor, values: Tensor) -> Tensor:
    """Compute the context of one sentence, (H,), for a query (H,) over values (S, H): Bahdanau et al. 2015, A.1.2."""
    parts = dict(decoder.attention.named_parameters())
    energy = torch.stack(
        [
            (parts["query.weight"] @ query + parts["query.bias"] + parts["key.weight"] @ value).tanh()
            @ parts["energy.weight"][0]
            for value in values
        ]
    )
    weights = energy.exp() / energy.exp().sum()
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def by_hand(decoder: RecurrentDecoder, b: int, tokens: Tensor, drop: Draw) -> Tensor:
    """Compute the vectors (T, E) of sentence b from the equations in the classes' docstrings."""
    start, layers = alone(decoder, b), len(decoder.layers)
    values, states = start.values[0], list(start.hidden)
    feed, vectors = torch.zeros(EMBED), []
    w, bias = decoder.readout.weight, decoder.readout.bias

    def move(layer: Any, depth: int, x: Tensor) -> Tensor:
        states[depth] = layer.step(x[None], states[depth])
        return states[depth][0][0]

    for t, token in enumerate(tokens):
        word = decoder.embedding.weight[token] * EMBED**0.25 * drop(t, 0)
        if isinstance(decoder, LuongDecoder):
            if decoder.embedding_projection is not None:
                word = decoder.embedding_projection.weight @ word
            x = torch.cat([word, feed]) if decoder.input_feeding else word
            top = move(decoder.layers[0], 0, x) * drop(t, 1)
            if decoder.residual_from == 1:
                top = word + top
            for depth in range(1, layers):
                top = top + move(decoder.layers[depth], depth, top) * drop(t, depth + 1)
            context = ask(decoder, top, values) * drop(t, layers + 1)
            feed = (w @ torch.cat([top, context]) + bias).tanh() * drop(t, layers + 2)
            vectors.append(feed)
            continue
        if isinstance(decoder, BahdanauDecoder):
            context = ask(decoder, states[0][0][0], values) * drop(t, layers + 1)
            top = move(decoder.layers[0], 0, torch.cat([word, context])) * drop(t, 1)
        else:
            assert isinstance(decoder, ConditionalDecoder)
            context = ask(decoder, move(decoder.layers[0], 0, word), values) * drop(t, layers + 1)
            top = move(decoder.second, 0, context) * drop(t, 1)
        for depth in range(1, layers):
            top = top + move(decoder.layers[depth], depth, torch.cat([top, context])) * drop(t, depth + 1)
        read = w @ torch.cat([top, context, word]) + bias
        if isinstance(decoder, BahdanauDecoder):
            read = torch.stack([torch.maximum(read[2 * unit], read[2 * unit + 1]) for unit in range(EMBED)])
        else:
            read = read.tanh()
        vectors.append(read * drop(t, layers + 2))
    return torch.stack(vectors)


@pytest.mark.parametrize("cell", [CellKind.lstm, CellKind.gru, CellKind.layer_norm_lstm])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_decoder_is_its_equations(kind: dict[str, Any], layers: int, cell: CellKind) -> None:
    decoder, tokens = build(**kind, decoder_layers=layers, cell=cell), targets()
    vectors, _ = decoder(tokens, decoder.start(encoded(decoder), MASK))
    for b in range(BATCH):
        assert_close(vectors[:, b], by_hand(decoder, b, tokens[:, b], lambda t, place: 1.0))


@pytest.mark.parametrize("fixed_masks", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_dropout_stands_where_the_equations_have_it(
    monkeypatch: pytest.MonkeyPatch, kind: dict[str, Any], fixed_masks: bool
) -> None:
    decoder = build(**kind, decoder_layers=2, dropout=0.4, fixed_masks=fixed_masks).train()
    masks: list[Tensor] = []
    draw = decoder.dropout.mask

    def recorded(like: Tensor) -> Tensor | None:
        mask = draw(like)
        assert mask is not None
        masks.append(mask.expand(like.shape))
        return mask

    monkeypatch.setattr(decoder.dropout, "mask", recorded)
    tokens = targets()
    vectors, _ = decoder(tokens, decoder.start(encoded(decoder), MASK))
    assert [mask.size(-1) for mask in masks] == [EMBED, HIDDEN, HIDDEN, HIDDEN, EMBED]
    for b in range(BATCH):
        expected = by_hand(decoder, b, tokens[:, b], lambda t, place, b=b: masks[place][t, b])
        assert_close(vectors[:, b], expected)


@pytest.mark.parametrize("kind", [{"decoder": "gnmt"}, *KINDS], ids=str)
def test_coverage_is_the_sum_of_the_weights_and_time_the_number_of_steps(kind: dict[str, Any]) -> None:
    decoder, tokens = build(**kind, attention=AttentionKind.coverage), targets()
    _, weights = decoder(tokens, decoder.start(encoded(decoder), MASK))
    state = decoder.start(encoded(decoder), MASK)
    for t in range(len(tokens)):
        assert state.time == t
        assert_close(state.coverage, weights[:, :t].sum(dim=1))
        _, state, _ = decoder.step(tokens[t], state)


@pytest.mark.parametrize("cell", [CellKind.lstm, CellKind.gru])
def test_a_zero_bridge_starts_from_zeros(cell: CellKind) -> None:
    bridge = build_bridge(GnmtDecoderConfig(bridge=BridgeKind.zero, cell=cell, layers=3), HIDDEN, 5)
    encoded = Encoded(torch.randn(SOURCE, BATCH, 7), torch.randn(SOURCE, BATCH, EMBED), (torch.randn(BATCH, 5),) * 2)
    start = bridge(encoded, MASK)
    assert list(bridge.parameters()) == []
    assert len(start) == 3
    for layer in start:
        assert len(layer) == (2 if cell == CellKind.lstm else 1)
        assert all(torch.equal(part, torch.zeros(BATCH, HIDDEN)) for part in layer)


def test_every_decoder_is_built_as_itself() -> None:
    assert {kind: type(build(decoder=kind)) for kind in RECURRENT_DECODERS} == {
        "gnmt": GnmtDecoder,
        "luong": LuongDecoder,
        "bahdanau": BahdanauDecoder,
        "conditional": ConditionalDecoder,
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"decoder": "luong", "attention": None}, "decoder.attention is null but decoder is luong; choose"),
        (
            {"cell": CellKind.gru, "zoneout_c": 0.1},
            "encoder.zoneout_c is 0.1 but the cell gru has no c to hold; allowed: 0",
        ),
        (
            {"lexicon": True, "attention": None},
            "decoder.lexicon is true but attention is null; a lexicon needs attention weights",
        ),
        (
            {"bridge": "zero", "attention": None},
            "decoder.bridge is zero and attention is null, so that the decoder has no access",
        ),
        ({"weight_drop": 1.0}, "encoder.weight_drop is 1.0; allowed: from 0 to 0.95"),
        ({"zoneout_h": -0.1}, "decoder.zoneout_h is -0.1; allowed: from 0 to 0.95"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    assert any(problem.startswith(said) for problem in problems_in(model_config(**settings)))
