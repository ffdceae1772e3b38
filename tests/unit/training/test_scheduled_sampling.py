"""Decay against the paper's formulas, and the decoder's input: true words and draws from the model."""

import math
from dataclasses import replace

import pytest
import torch
from test_objectives import TGT, WHOLE, WORDS, giving, gradients, tiny_model

from nmt.config import SamplingDecay, TrainConfig
from nmt.data import BOS_ID, Batch, make_batch
from nmt.models import Seq2Seq
from nmt.training.objectives.likelihood import cross_entropy
from nmt.training.objectives.scheduled_sampling import mix_in_samples, scheduled_sampling, teacher_forcing_probability

STEPS = [0, 1, 10, 1000, 10**7]


@pytest.mark.parametrize("step", STEPS)
def test_the_share_of_true_words_falls_by_the_formulas(step: int) -> None:
    def share(decay: SamplingDecay | None, k: float, c: float = 0.0, least: float = 0.0) -> float:
        config = TrainConfig(scheduled_sampling=decay, sampling_k=k, sampling_c=c, sampling_least=least)
        return teacher_forcing_probability(config, step)

    assert share(SamplingDecay.linear, 1.0, 1e-3, 0.25) == pytest.approx(max(0.25, 1 - 1e-3 * step))
    assert share(SamplingDecay.exponential, 0.999) == pytest.approx(0.999**step)
    assert share(SamplingDecay.exponential, 0.5, least=0.1) == pytest.approx(max(0.1, 0.5**step))
    sigmoid = 300 / (300 + math.exp(step / 300)) if step < 10**5 else 0.0
    assert share(SamplingDecay.inverse_sigmoid, 300.0) == pytest.approx(sigmoid, abs=1e-12)
    assert share(None, 1.0) == 1.0


def certain(words: list[list[int]]) -> object:
    """Return a stand-in for a model that is certain of these words, one list per sentence."""
    logits = torch.full((*WHOLE.tgt_out.shape, WORDS), -1e4)
    for column, line in enumerate(words):
        for t, word in enumerate(line):
            logits[t, column, word] = 0.0
    model = giving(logits)
    model.project = lambda vectors: vectors
    return model


def test_a_word_drawn_at_a_step_is_read_at_the_next() -> None:
    own = [[11, 10], [9, 8, 7, 6, 5], [], [4]]
    model = certain([[*line, 4, 4, 4, 4, 4, 4][:6] for line in own])
    actual = mix_in_samples(model, WHOLE, 0.0)
    for column, line in enumerate(own):
        assert actual[: len(TGT[column]) + 1, column].tolist() == [BOS_ID, *line]
    assert actual[~WHOLE.tgt_mask].equal(WHOLE.tgt_in[~WHOLE.tgt_mask])
    assert mix_in_samples(model, WHOLE, 1.0).equal(WHOLE.tgt_in)


def many(count: int) -> Batch:
    return make_batch([[4, 5]] * count, [[6, 7]] * count, range(count))


def test_true_words_are_kept_with_their_probability() -> None:
    batch = many(4000)
    logits = torch.full((*batch.tgt_out.shape, WORDS), -1e4)
    logits[:, :, 11] = 0.0
    model = giving(logits)
    model.project = lambda vectors: vectors
    torch.manual_seed(1)
    true = (mix_in_samples(model, batch, 0.3)[1:] != 11).float()
    assert true.mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7 / 8000))
    both = (true[0] * true[1]).mean().item()
    assert both == pytest.approx(0.09, abs=5 * math.sqrt(0.09 / 4000))


def test_words_are_drawn_from_the_models_distribution() -> None:
    batch, model = many(3000), tiny_model().eval()
    torch.manual_seed(1)
    drawn = mix_in_samples(model, batch, 0.0)
    probabilities = model(batch.src[:, :1], batch.src_mask[:, :1], batch.tgt_in[:, :1]).softmax(-1)
    for t in (1, 2):
        counts = drawn[t].bincount(minlength=WORDS) / 3000
        torch.testing.assert_close(counts, probabilities[t - 1, 0], atol=5 * 0.5 / math.sqrt(3000), rtol=0)


def test_the_objective_sees_the_mixture_and_the_true_words_to_predict() -> None:
    seen: list[Batch] = []
    usual = cross_entropy(0.1)

    def looking(model: Seq2Seq, batch: Batch) -> object:
        seen.append(batch)
        return usual(model, batch)

    model = tiny_model()
    shares = iter([1.0, 0.0])
    objective = scheduled_sampling(looking, lambda: next(shares))
    torch.testing.assert_close(objective(model, WHOLE).loss, usual(model, WHOLE).loss)
    loss = objective(model, WHOLE).loss
    assert not seen[1].tgt_in.equal(WHOLE.tgt_in)
    assert seen[1].tgt_out is WHOLE.tgt_out
    torch.testing.assert_close(loss, usual(model, replace(WHOLE, tgt_in=seen[1].tgt_in)).loss)
    assert loss.requires_grad


def test_a_batch_of_empty_targets_has_nothing_to_draw() -> None:
    batch = make_batch([[4]], [[]], [0])
    assert mix_in_samples(tiny_model(), batch, 0.0).equal(batch.tgt_in)


def test_a_pass_without_gradient_takes_none_from_the_next_in_bfloat16() -> None:
    """Check the cache of autocast: weights cast in the first pass must not be used in the second."""
    model = tiny_model()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = scheduled_sampling(cross_entropy(0.1), lambda: 1.0)(model, WHOLE).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = cross_entropy(0.1)(model, WHOLE).loss
    torch.testing.assert_close(gradients(model, actual), gradients(model, expected))
