"""Properties of every member of the recurrent family, tested on whole models."""

from typing import Any

import pytest
import torch
from family import MEMBERS, assert_gradients_are_finite_differences, loss
from shapes import model_config
from torch import Tensor, nn

from nmt.config import AttentionKind, CellKind, SearchConfig, SearchKind
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, make_batch, pad_source
from nmt.decoding import SearchRequest, Symbols, beam_search
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.layers.cells import ReferenceLSTM
from nmt.models.layers.fused import MaskedLayer

SRC = [[5, 6, 7, 8, 9], [10], [11, 12, 13], [5, 14]]
TGT = [[6, 5], [9, 8, 7, 6], [10], [11, 12, 13]]
SYMBOLS = Symbols(BOS_ID, EOS_ID, banned=(PAD_ID, UNK_ID, BOS_ID))
EVERY = pytest.mark.parametrize("settings", MEMBERS, ids=str)


def build(settings: dict[str, Any], **more: Any) -> Seq2Seq:
    torch.manual_seed(0)
    config = model_config(
        **{"embed_size": 8, "hidden_size": 8, "dropout": 0.0, "decoder_layers": 2, **settings, **more}
    )
    assert list(config.problems()) == []
    model = build_model(config, Vocabulary(20, 20)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))  # biases that start at zero, and gains at one, too
    return model


@EVERY
@torch.no_grad()
def test_a_sentence_in_a_batch_is_read_as_if_alone_without_padding(settings: dict[str, Any]) -> None:
    model, batch = build(settings), make_batch(SRC, TGT, range(4))
    together = model(batch.src, batch.src_mask, batch.tgt_in)
    for b, (src, tgt) in enumerate(zip(SRC, TGT, strict=True)):
        one = make_batch([src], [tgt], [0])
        alone = model(one.src, one.src_mask, one.tgt_in)
        torch.testing.assert_close(together[: len(tgt) + 1, b : b + 1], alone, atol=1e-5, rtol=1e-5)


@EVERY
@torch.no_grad()
def test_the_whole_sequence_is_the_steps_in_a_row(settings: dict[str, Any]) -> None:
    model, batch = build(settings), make_batch(SRC, TGT, range(4))
    expected = model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)
    state = model.encode(batch.src, batch.src_mask)
    for t in range(len(batch.tgt_in)):
        log_probs, state, _ = model.step(batch.tgt_in[t], state)
        torch.testing.assert_close(log_probs, expected[t], atol=1e-5, rtol=1e-5)


@EVERY
@torch.no_grad()
def test_every_source_word_matters(settings: dict[str, Any]) -> None:
    model = build(settings)

    def logits(src: list[int]) -> Tensor:
        batch = make_batch([src], [[8, 9]], [0])
        result: Tensor = model(batch.src, batch.src_mask, batch.tgt_in)
        return result

    for changed in ([15, 6, 7], [5, 15, 7], [5, 6, 15], [5, 6]):
        assert not torch.allclose(logits(changed), logits([5, 6, 7]))


@EVERY
@torch.no_grad()
def test_greedy_and_beam_search_score_what_they_find_as_the_model_does(settings: dict[str, Any]) -> None:
    model = build(settings)
    src, mask = pad_source(SRC)
    for config in (SearchConfig(kind=SearchKind.greedy, beam_size=1), SearchConfig(beam_size=3)):
        hypotheses = beam_search(
            SearchRequest(model.step, model.encode(src, mask), mask.sum(dim=0) + 3, SYMBOLS, config)
        )
        for source, (best, *_) in zip(SRC, hypotheses, strict=True):
            one = make_batch([source], [best.tokens], [0])
            log_probs = model(one.src, one.src_mask, one.tgt_in).log_softmax(dim=-1)
            expected = log_probs.gather(2, one.tgt_out.unsqueeze(2)).sum().item()
            assert best.log_prob == pytest.approx(expected, abs=1e-4)


@EVERY
def test_attention_is_drawn_over_the_source_tokens_or_there_is_none(settings: dict[str, Any]) -> None:
    model, batch = build(settings), make_batch(SRC, TGT, range(4))
    weights = model.attention(batch.src, batch.src_mask, batch.tgt_in)
    assert (weights is None) == ("attention" in settings and settings["attention"] is None)
    if weights is not None:
        assert weights.shape == (4, len(batch.tgt_in), len(batch.src))
        assert (weights[~batch.src_mask.t().unsqueeze(1).expand_as(weights)] == 0).all()
        if settings.get("attention") != AttentionKind.local_p:  # whose Gaussian comes after the softmax
            torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:2]))


@EVERY
def test_the_gradient_is_that_of_finite_differences(settings: dict[str, Any]) -> None:
    """Check each parameter along a random direction, in float64; zoneout is a mean in evaluation."""
    model, batch = build(settings).double(), make_batch([[5, 6, 7], [8]], [[6], [9, 8]], range(2))
    assert_gradients_are_finite_differences(model, batch)


@pytest.mark.parametrize(
    "settings",
    [{"weight_drop": 0.5}, {"zoneout_h": 0.5}, {"zoneout_c": 0.5}, {"recurrent_dropout": 0.5}],
    ids=str,
)
def test_noise_on_the_recurrence_reaches_both_sides_in_training_alone(settings: dict[str, Any]) -> None:
    model, batch = build(settings), make_batch(SRC, TGT, range(4))
    for part in (model.encoder, model.decoder):
        assert loss(model, batch) == loss(model, batch)
        part.train()
        assert loss(model, batch) != loss(model, batch)
        part.eval()


def test_the_gates_of_a_model_with_fused_cells_are_seen_through_the_reference() -> None:
    model, reference = build({}), build({"cell": CellKind.reference_lstm})
    reference.load_weights({name: parameter.detach() for name, parameter in model.named_parameters()})
    batch = make_batch(SRC, TGT, range(4))
    below = reference.encoder.forwards[0]
    assert isinstance(below, MaskedLayer)
    assert isinstance(below.layer, ReferenceLSTM)
    gates = below.layer.record(lambda: reference.encode(batch.src, batch.src_mask))
    above = reference.decoder.layers[1]
    assert isinstance(above, ReferenceLSTM)
    others = above.record(lambda: reference(batch.src, batch.src_mask, batch.tgt_in))
    assert {gate.shape for gate in gates} == {(*batch.src.shape, 4)}
    assert {gate.shape for gate in others} == {(*batch.tgt_in.shape, 8)}
    c = torch.zeros(4, 4)
    for t in range(len(batch.src)):
        c = gates.forget[t] * c + gates.input[t] * gates.candidate[t]
    expected = model.encoder(batch.src, batch.src_mask).state[1][:, :4]
    torch.testing.assert_close(c, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.commands
@EVERY
def test_a_member_learns_two_pairs_by_heart(settings: dict[str, Any]) -> None:
    model = build(settings, hidden_size=16, direction_size=None).train()
    batch = make_batch(SRC[1:3], TGT[1:3], range(2))
    # At 0.02 some members diverge; which ones depends on the processor.
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    first = loss(model, batch).item()
    for _ in range(80):
        optimizer.zero_grad()
        loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert loss(model.eval(), batch).item() < 0.4 * first
