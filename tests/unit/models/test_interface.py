"""Properties that search, training and attention maps rely on, tested for every kind of model."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from family import MEMBERS
from shapes import model_config
from torch import Tensor, nn

from nmt.config import (
    ENCODERS,
    AttentionKind,
    BridgeKind,
    CellKind,
    PositionKind,
    Precision,
    SearchConfig,
    SearchKind,
)
from nmt.config.side import MATRIX_MEMORY_CELLS
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, make_batch
from nmt.decoding import Translator
from nmt.models import AnyState, Seq2Seq, Vocabulary, build_model
from nmt.phrasebook import Pair

SRC = [[5, 6, 7, 8, 9], [10], [], [5, 14, 6]]
TGT = [[6, 5, 11, 8], [9, 8, 7, 6, 12], [10], [11, 12, 13]]
BEAM = 3
TRANSFORMER, CONVOLUTIONAL = {"kind": "transformer"}, {"kind": "convolutional"}
PAIRS = [  # of different widths, so that the memory is projected
    (encoder, decoder)
    for encoder, decoder in itertools.product(ENCODERS, ("gnmt", "transformer", "convolutional"))
    if encoder != decoder and (encoder, decoder) != ("recurrent", "gnmt")
]
MODELS: list[dict[str, Any]] = [
    *({"attention": attention} for attention in (None, *AttentionKind)),
    *({"attention": attention, "input_feeding": True} for attention in (AttentionKind.local_m, AttentionKind.coverage)),
    *(
        {**TRANSFORMER, "pre_norm": pre_norm, "positions": positions}
        for pre_norm, positions in itertools.product((True, False), PositionKind)
    ),
    CONVOLUTIONAL,
    {**CONVOLUTIONAL, "kernel_width": 1},
    *({"encoder": encoder, "decoder": decoder} for encoder, decoder in PAIRS),
    {"encoder": "transformer", "pre_norm": True, "cell": CellKind.gru, "lexicon": True, "input_feeding": True},
    {"encoder": "convolutional", "decoder": "luong", "bridge": BridgeKind.zero, "attention": AttentionKind.coverage},
    {"encoder": "transformer", "decoder": "bahdanau", "attention": AttentionKind.multi_head_dot},
    {"encoder_cell": CellKind.gru, "decoder_cell": CellKind.ssru, "decoder": "conditional"},
    {"encoder_cell": CellKind.slstm, "decoder_cell": CellKind.rg_lru},
    {"encoder_cell": CellKind.rg_lru, "decoder_cell": CellKind.slstm, "decoder": "luong", "input_feeding": True},
    *({"cell": cell} for cell in CellKind if cell not in MATRIX_MEMORY_CELLS),
    *({"cell": cell, "hidden_size": 24} for cell in MATRIX_MEMORY_CELLS),
    {"encoder_cell": CellKind.lstm, "decoder_cell": CellKind.mlstm, "decoder": "bahdanau"},
    {"encoder": "transformer", "cell": CellKind.gated_delta, "decoder": "luong"},
]
EVERY_MODEL = pytest.mark.parametrize("settings", MODELS, ids=lambda settings: ", ".join(map(str, settings.values())))


def build(settings: dict[str, Any], size: int = 20, std: float = 0.4) -> Seq2Seq:
    """Build a model with weights so large that the output depends on every input."""
    torch.manual_seed(4)
    usual = {"embed_size": 8, "hidden_size": 12, "encoder_layers": 2, "decoder_layers": 2, "heads": 2}
    small = {"feed_forward_size": 16, "attention_window": 1, "max_positions": 4}
    model = build_model(model_config(**{**usual, **small, **settings}), Vocabulary(size, size))
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter, std=std)
    return model.eval()


def logits(model: Seq2Seq, src: list[list[int]], tgt: list[list[int]]) -> Tensor:
    batch = make_batch(src, tgt, range(len(src)))
    result: Tensor = model(batch.src, batch.src_mask, batch.tgt_in)
    return result


def start(model: Seq2Seq, src: list[list[int]]) -> AnyState:
    batch = make_batch(src, [[]] * len(src), range(len(src)))
    return model.encode(batch.src, batch.src_mask)


def follow(model: Seq2Seq, state: AnyState, tokens: Tensor) -> tuple[Tensor, AnyState]:
    """Return the last log-probabilities and the state after tokens (T, B K)."""
    for step in tokens:
        log_probs, state, _ = model.step(step, state)
    return log_probs, state


def assert_close(actual: Tensor, expected: Tensor, settings: dict[str, Any]) -> None:
    """Compare in float32. The norm behind a matrix memory divides small outputs, and their rounding, by their size."""
    torch.testing.assert_close(actual, expected, atol=2e-4 if has_matrix_memory(settings) else 2e-5, rtol=1e-5)


def has_matrix_memory(settings: dict[str, Any]) -> bool:
    return bool({*MATRIX_MEMORY_CELLS} & {value for value in settings.values() if isinstance(value, str)})


@EVERY_MODEL
@torch.no_grad()
def test_the_whole_sequence_is_the_steps_in_a_row(settings: dict[str, Any]) -> None:
    model = build(settings)
    expected = logits(model, SRC, TGT).log_softmax(dim=-1)
    state = start(model, SRC)
    for t, tokens in enumerate(make_batch(SRC, TGT, range(4)).tgt_in):
        log_probs, state, _ = model.step(tokens, state)
        assert_close(log_probs, expected[t], settings)


@EVERY_MODEL
@torch.no_grad()
def test_a_sentence_has_the_same_logits_alone_and_beside_longer_ones(settings: dict[str, Any]) -> None:
    model = build(settings)
    together = logits(model, SRC, TGT)
    for b, (src, tgt) in enumerate(zip(SRC, TGT, strict=True)):
        assert_close(together[: len(tgt) + 1, b : b + 1], logits(model, [src], [tgt]), settings)


@EVERY_MODEL
@torch.no_grad()
def test_several_targets_of_a_sentence_are_read_as_each_with_the_sentence_of_its_own(settings: dict[str, Any]) -> None:
    model = build(settings)
    sources, targets = [SRC[b] for b in (0, 0, 0, 1, 1, 1)], [*TGT[:3], TGT[3], TGT[0], []]
    rows = torch.tensor([[0, 0, 0], [1, 1, 1]])
    vectors = model.decode(make_batch(sources, targets, range(6)).tgt_in, start(model, SRC[:2]).select(rows))
    assert_close(model.project(vectors), logits(model, sources, targets), settings)


@EVERY_MODEL
@torch.no_grad()
def test_what_stands_on_padding_changes_nothing(settings: dict[str, Any]) -> None:
    model = build(settings)
    batch = make_batch(SRC, TGT, range(4))
    other = batch.src.masked_fill(~batch.src_mask, 13)
    assert_close(model(other, batch.src_mask, batch.tgt_in), model(batch.src, batch.src_mask, batch.tgt_in), settings)


@EVERY_MODEL
@torch.no_grad()
def test_no_logits_depend_on_a_later_word_and_all_on_the_earlier(settings: dict[str, Any]) -> None:
    model = build(settings)
    expected = logits(model, SRC[:1], TGT[:1])
    for changed in range(len(TGT[0])):
        other = logits(model, SRC[:1], [[15 if t == changed else word for t, word in enumerate(TGT[0])]])
        same = (other == expected).all(dim=-1).squeeze(1)
        assert same.tolist()[: changed + 1] == [True] * (changed + 1)
        assert not same[changed + 1]


@EVERY_MODEL
@pytest.mark.parametrize(
    "selected",
    [
        pytest.param([[2, 0, 0], [3, 4, 5], [8, 8, 8], [11, 9, 11]], id="reordered"),
        pytest.param([[1, 1, 0], [11, 10, 9]], id="sentences dropped"),
        pytest.param([[6, 7], [1, 0]], id="in another order, fewer hypotheses"),
    ],
)
@torch.no_grad()
def test_a_selected_state_is_as_if_it_had_always_been_so(settings: dict[str, Any], selected: list[list[int]]) -> None:
    model = build(settings)
    random = torch.Generator().manual_seed(9)
    tokens = torch.randint(4, 20, (3, len(SRC) * BEAM), generator=random)
    beams = start(model, SRC).select(torch.arange(len(SRC)).unsqueeze(1).expand(-1, BEAM))
    _, state = follow(model, beams, tokens)
    state = state.select(torch.tensor(selected))
    flat = [row for line in selected for row in line]
    later = torch.randint(4, 20, (2, len(flat)), generator=random)
    log_probs, _ = follow(model, state, later)
    for i, row in enumerate(flat):
        history = torch.cat([tokens[:, row], later[:, i]]).unsqueeze(1)
        alone, _ = follow(model, start(model, [SRC[row // BEAM]]), history)
        assert_close(log_probs[i], alone[0], settings)


@EVERY_MODEL
@torch.no_grad()
def test_several_targets_of_a_sentence_are_read_at_once_as_each_alone(settings: dict[str, Any]) -> None:
    model = build(settings)
    tokens = torch.randint(4, 20, (5, len(SRC) * BEAM), generator=torch.Generator().manual_seed(9))
    rows = torch.arange(len(SRC)).unsqueeze(1).expand(-1, BEAM)
    vectors, _ = model.decoder(tokens, start(model, SRC).select(rows))
    for row in range(len(SRC) * BEAM):
        alone, _ = model.decoder(tokens[:, row : row + 1], start(model, [SRC[row // BEAM]]))
        assert_close(vectors[:, row : row + 1], alone, settings)


@EVERY_MODEL
def test_weights_are_zero_on_padding_and_sum_to_one(settings: dict[str, Any]) -> None:
    model = build(settings)
    batch = make_batch(SRC, TGT, range(4))
    weights = model.attention(batch.src, batch.src_mask, batch.tgt_in)
    if settings.get("attention", "") is None:
        assert weights is None
        return
    assert weights is not None
    assert not weights.requires_grad
    assert weights.shape == (4, len(batch.tgt_in), len(batch.src))
    assert (weights.masked_select(~batch.src_mask.t().unsqueeze(1)) == 0).all()
    sums = weights.sum(dim=-1)
    if settings.get("attention") == AttentionKind.local_p:
        assert ((sums > 0) & (sums <= 1)).all()
    else:
        torch.testing.assert_close(sums, torch.ones_like(sums))


@EVERY_MODEL
def test_every_parameter_learns(settings: dict[str, Any]) -> None:
    model = build({**settings, "dropout": 0.2, "word_dropout": 0.1}).train()
    logits(model, SRC, TGT).log_softmax(dim=-1)[..., 5].sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@EVERY_MODEL
def test_bfloat16_is_nearly_the_same(settings: dict[str, Any]) -> None:
    model = build(settings, std=0.2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = logits(model, SRC, TGT).float().log_softmax(dim=-1)
    exact = logits(model, SRC, TGT).log_softmax(dim=-1)
    assert 0 < (narrow - exact).abs().max() < rounding(settings)
    narrow.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("settings", [*MODELS, *(member for member in MEMBERS if member not in MODELS)], ids=str)
@torch.inference_mode()
def test_weights_in_bfloat16_say_nearly_the_same(settings: dict[str, Any]) -> None:
    model, tokens = build(settings, std=0.2), torch.tensor([[BOS_ID] * 4, [5, 6, 7, 8]])
    exact, _ = follow(model, start(model, SRC), tokens)
    model.prepare_search(Precision.bfloat16)
    narrow, _ = follow(model, start(model, SRC), tokens)
    assert narrow.dtype == torch.float32
    assert 0 < (narrow - exact).abs().max() < rounding(settings)


@pytest.mark.parametrize("settings", [*MODELS, *(member for member in MEMBERS if member not in MODELS)], ids=str)
def test_packed_weights_say_the_same_and_leave_parameters_and_gradients_as_they_are(settings: dict[str, Any]) -> None:
    model, tokens = build(settings), torch.tensor([[BOS_ID] * 4, [5, 6, 7, 8]])
    names = [name for name, _ in model.named_parameters()]
    with torch.inference_mode():
        exact, _ = follow(model, start(model, SRC), tokens)
    expected = gradients(model)
    model.prepare_search(Precision.float32)
    with torch.inference_mode():
        packed, _ = follow(model, start(model, SRC), tokens)
    torch.testing.assert_close(packed, exact, atol=2e-4, rtol=1e-4)
    assert [name for name, _ in model.named_parameters()] == names
    torch.testing.assert_close(gradients(model), expected)


def gradients(model: Seq2Seq) -> list[Tensor]:
    """Return the gradient of the sum of squared logits with respect to every parameter."""
    model.zero_grad(set_to_none=False)
    logits(model, SRC, TGT).square().sum().backward()  # type: ignore[no-untyped-call]
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


def rounding(settings: dict[str, Any]) -> float:
    """Return the largest effect of bfloat16 on log-probabilities.

    A matrix memory returns (q . k) v after its first step, whose norm has the sign of q . k however small that is.
    """
    return 0.3 if has_matrix_memory(settings) else 0.1


def searches() -> Iterator[SearchConfig]:
    for kind in SearchKind:
        best = 1 if kind == SearchKind.greedy else BEAM
        shape: dict[str, Any] = {"max_length_ratio": 0.0, "max_length_offset": 7, "groups": BEAM}
        yield SearchConfig(kind=kind, beam_size=BEAM, n_best=best, **shape)


@EVERY_MODEL
def test_search_finds_translations_with_the_probability_the_model_gives_them(
    settings: dict[str, Any], tokenizer: Tokenizer, phrases: list[Pair]
) -> None:
    model = build(settings, tokenizer.size)
    sources = tokenizer.encode([phrases[0].en, phrases[1].en, ""])
    for search in searches():
        found = Translator(model, tokenizer, tokenizer, search).search(sources, lambda lines: None)
        for source, hypotheses in zip(sources, found, strict=True):
            # A hypothesis of two groups of a diverse beam is returned once.
            assert len(hypotheses) == search.n_best or (search.kind == SearchKind.diverse and hypotheses)
            for hypothesis in hypotheses:
                assert not {PAD_ID, UNK_ID, BOS_ID, EOS_ID} & set(hypothesis.tokens)
                batch = make_batch([source], [hypothesis.tokens], [0])
                with torch.no_grad():
                    log_probs = model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)
                log_prob = log_probs.gather(-1, batch.tgt_out.unsqueeze(-1)).sum().item()
                assert hypothesis.log_prob == pytest.approx(log_prob, rel=1e-4)


@EVERY_MODEL
def test_attention_is_drawn_with_a_line_for_each_target_piece(
    settings: dict[str, Any], tokenizer: Tokenizer, phrases: list[Pair]
) -> None:
    translator = Translator(build(settings, tokenizer.size), tokenizer, tokenizer, SearchConfig())
    found = translator.attention(phrases[0].en, phrases[0].de)
    if settings.get("attention", "") is None:
        assert found is None
        return
    assert found is not None
    assert [len(row) for row in found.weights] == [len(found.src)] * len(found.tgt)
