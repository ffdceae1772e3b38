"""Minimum risk training against its equations on known candidates, and its samples against exact probabilities."""

import itertools
import math
from collections import Counter
from typing import Any

import pytest
import sacrebleu
import torch
from shapes import model_config
from test_objectives import gradients, tiny_model
from torch import Tensor

from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, make_batch
from nmt.metrics import sentence_scores
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.training.objectives import risk as module
from nmt.training.objectives.risk import risk, sample, sequence_log_probs

SRC = [[4, 5, 6], [7]]
TGT = [[8, 9], [10]]
BATCH = make_batch(SRC, TGT, range(2))
DRAWN = [[[8, 9], [8], [], [8, 8, 8]], [[11], [10, 4], [11], [11]]]


def log_prob(model: Seq2Seq, src: list[int], tgt: list[int]) -> Tensor:
    """Compute log P(tgt | src) of a single sentence word by word."""
    batch = make_batch([src], [tgt], [0])
    log_probs = model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(-1)
    return sum(log_probs[t, 0, word] for t, word in enumerate([*tgt, EOS_ID]))


def differences(hypotheses: list[list[int]], references: list[list[int]]) -> list[float]:
    """Return the number of words in the wrong place, plus 10 for the wrong length."""
    return [
        sum(a != b for a, b in zip(one, other, strict=False)) + 10.0 * (len(one) != len(other))
        for one, other in zip(hypotheses, references, strict=True)
    ]


def test_log_probabilities_of_candidates_are_those_of_each_pair_alone() -> None:
    model = tiny_model()
    candidates = [DRAWN[0], [[11], [10, 4]]]
    actual = sequence_log_probs(model, BATCH, candidates)
    assert list(map(len, actual)) == [4, 2]
    alone = [log_prob(model, src, ids) for src, drawn in zip(SRC, candidates, strict=True) for ids in drawn]
    torch.testing.assert_close(torch.cat(actual), torch.stack(alone))


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.5},
        {"dropout": 0.5, "fixed_masks": False},
        {"word_dropout": 0.5},
        {"zoneout_h": 0.5},
        {"recurrent_dropout": 0.5},
        {"dropout": 0.5, "input_feeding": True, "decoder": "luong"},
        {"dropout": 0.5, "decoder": "conditional"},
        {"dropout": 0.5, "kind": "transformer", "fixed_masks": False},
        {"dropout": 0.5, "kind": "convolutional"},
    ],
    ids=str,
)
def test_candidates_are_scored_with_one_dropout_in_encoder_and_decoder(settings: dict[str, Any]) -> None:
    """Compare equal candidates within a pass, which have equal probabilities, and between passes, which do not."""
    torch.manual_seed(1)
    config = model_config(embed_size=8, hidden_size=8, decoder_layers=2, **{"dropout": 0.0, **settings})
    model = build_model(config, Vocabulary(12, 12)).train()
    candidates = [[[8, 9], [8, 9], [8, 4, 9], [8, 9]], [[10], [10]]]
    first, second = sequence_log_probs(model, BATCH, candidates)
    assert first[0].item() == pytest.approx(first[1].item(), rel=1e-5)
    assert first[0].item() == pytest.approx(first[3].item(), rel=1e-5)
    assert second[0].item() == pytest.approx(second[1].item(), rel=1e-5)
    assert first[0].item() != pytest.approx(sequence_log_probs(model, BATCH, candidates)[0][0].item(), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 5e-3, 0.5, 1.0])
def test_loss_and_gradient_follow_the_equation(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    monkeypatch.setattr(module, "sample", lambda *given: DRAWN)
    output = risk(differences, 4, alpha, 1.0, with_reference=True)(model, BATCH)
    expected = torch.zeros(())
    for src, tgt, drawn in zip(SRC, TGT, DRAWN, strict=True):
        space = [list(ids) for ids in {tuple(ids) for ids in [tgt, *drawn]}]
        weights = [(alpha * log_prob(model, src, ids)).exp() for ids in space]
        costs = differences(space, [tgt] * len(space))
        expected = expected + sum(w * cost for w, cost in zip(weights, costs, strict=True)) / sum(weights)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(gradients(model, output.loss), gradients(model, expected), atol=1e-5, rtol=1e-4)
    likelihood = sum(log_prob(model, *pair) for pair in zip(SRC, TGT, strict=True))
    torch.testing.assert_close(output.nll, -likelihood.detach())


def test_without_the_reference_it_counts_where_it_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use samples that contain the reference of the first sentence and not of the second."""
    model = tiny_model()
    monkeypatch.setattr(module, "sample", lambda *given: DRAWN)
    output = risk(differences, 4, 0.5, 1.0, with_reference=False)(model, BATCH)
    expected = torch.zeros(())
    for src, tgt, drawn in zip(SRC, TGT, DRAWN, strict=True):
        space = [list(ids) for ids in {tuple(ids) for ids in drawn}]
        weights = [(0.5 * log_prob(model, src, ids)).exp() for ids in space]
        costs = differences(space, [tgt] * len(space))
        expected = expected + sum(w * cost for w, cost in zip(weights, costs, strict=True)) / sum(weights)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(gradients(model, output.loss), gradients(model, expected), atol=1e-5, rtol=1e-4)
    likelihood = sum(log_prob(model, *pair) for pair in zip(SRC, TGT, strict=True))
    torch.testing.assert_close(output.nll, -likelihood.detach())


def test_a_step_against_the_gradient_lowers_the_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    monkeypatch.setattr(module, "sample", lambda *given: DRAWN)
    objective = risk(differences, 4, 1.0, 1.0, with_reference=True)
    before = objective(model, BATCH).loss
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.05 * parameter.grad
    assert objective(model, BATCH).loss < before


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_samples_are_drawn_from_the_model(temperature: float) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.output_bias[EOS_ID] = 2.0
        model.output_bias[10:] = -1e9
    torch.manual_seed(1)
    (actual,) = sample(model, make_batch([[4, 5]], [[6]], [0]), 6000, temperature)
    assert len(actual) == 6000
    banned = [PAD_ID, UNK_ID, BOS_ID]
    counts = Counter(map(tuple, actual))

    def exact(ids: list[int]) -> float:
        batch = make_batch([[4, 5]], [ids], [0])
        logits = model(batch.src, batch.src_mask, batch.tgt_in)
        logits[:, :, banned] = -math.inf
        logits /= temperature
        return math.exp(sum(logits.log_softmax(-1)[t, 0, w].item() for t, w in enumerate([*ids, EOS_ID])))

    for ids in ([], *([word] for word in range(4, 10)), *map(list, itertools.product([4, 5], repeat=2))):
        probability = exact(ids)
        assert abs(counts[tuple(ids)] / 6000 - probability) < 5 * math.sqrt(probability / 6000) + 1e-3, ids
    assert not {word for ids in counts for word in ids} & {*banned, EOS_ID}
    assert max(map(len, counts)) <= module.LENGTH_RATIO * 2


def test_every_sentence_has_its_own_samples_without_dropout() -> None:
    model = tiny_model().train()
    for part in (model.encoder, model.decoder):
        part.dropout.probability = 0.9
    with torch.no_grad():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        model.output_weight.mul_(50)  # logits so large that sampling is greedy search
        model.output_bias[EOS_ID] = -1e9
    actual = sample(model, BATCH, 3, 1.0)
    assert model.training
    for source, drawn in zip(SRC, actual, strict=True):
        alone = make_batch([source], [[8, 9]], [0])
        assert drawn == sample(model, alone, 1, 1.0)[0] * 3
    assert actual[0] != actual[1]


def test_the_mode_is_given_back_when_sampling_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model().train()
    monkeypatch.setattr(model, "step", lambda tokens, state: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sample(model, BATCH, 2, 1.0)
    assert model.training


def test_scores_of_sentences_are_sacrebleus() -> None:
    hypotheses = ["the house is red", "a dog", "", "the same words here"]
    references = ["the house was red", "a cat sleeps", "nothing", "the same words here"]
    pairs = list(zip(hypotheses, references, strict=True))
    assert sentence_scores(hypotheses, references, "bleu", "13a") == pytest.approx(
        [sacrebleu.sentence_bleu(one, [other]).score for one, other in pairs]
    )
    assert sentence_scores(hypotheses, references, "chrf", "13a") == pytest.approx(
        [sacrebleu.sentence_chrf(one, [other]).score for one, other in pairs]
    )
    assert sentence_scores(["a b"], ["a b"], "bleu", "none") == pytest.approx([100.0])
