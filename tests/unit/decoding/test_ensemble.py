"""Probabilities of an ensemble compared with the mean of its members', also after hypotheses were reordered."""

import math

import pytest
import torch
from torch import Tensor
from toy_translator import member, members

from nmt.config import SearchConfig
from nmt.data import BOS_ID, Tokenizer, make_batch
from nmt.decoding import Ensemble, Translator
from nmt.decoding.ensemble import EnsembleState
from nmt.models import Seq2Seq, StepOutput
from nmt.phrasebook import Pair

SRC = [[4, 5, 6, 7], [8, 9], [10, 11, 12]]


@torch.inference_mode()
def probabilities(model: Seq2Seq, src: list[int], given: list[int]) -> Tensor:
    """Return p(w | given) of one sentence under teacher forcing, (V,)."""
    batch = make_batch([src], [given], [0])
    return model(batch.src, batch.src_mask, batch.tgt_in)[-1, 0].double().softmax(-1)


@torch.inference_mode()
@pytest.mark.parametrize("count", [1, 2, 13])
def test_each_step_is_the_mean_of_the_members_probabilities(count: int) -> None:
    chosen = members()[:count]
    ensemble = Ensemble(chosen)
    batch = make_batch(SRC, SRC, range(3))
    state = ensemble.encode(batch.src, batch.src_mask)
    # Two hypotheses of each sentence, then those of the sentences 2 and 0 in another order.
    log_probs, state, _ = ensemble.step(torch.full((3,), BOS_ID), state)
    state = state.select(torch.tensor([[0, 0], [1, 1], [2, 2]]))
    log_probs, state, _ = ensemble.step(torch.tensor([4, 5, 6, 7, 8, 9]), state)
    state = state.select(torch.tensor([[5, 4], [1, 1]]))
    log_probs, *_ = ensemble.step(torch.tensor([10, 11, 12, 13]), state)
    for row, (sentence, given) in enumerate([(2, [9, 10]), (2, [8, 11]), (0, [5, 12]), (0, [5, 13])]):
        expected = sum(probabilities(model, SRC[sentence], given) for model in chosen) / count
        torch.testing.assert_close(log_probs[row].double().exp(), expected, atol=1e-5, rtol=1e-4)


def test_a_probability_that_underflows_in_one_member_is_the_others() -> None:
    class Fixed:
        def __init__(self, log_probs: list[float]) -> None:
            self.log_probs = torch.tensor([log_probs])

        def step(self, tokens: Tensor, state: None) -> StepOutput[None]:
            return StepOutput(self.log_probs, None)

    ensemble = Ensemble([Fixed([-300.0, 0.0]), Fixed([-200.0, -math.inf])])  # type: ignore[list-item]
    found, *_ = ensemble.step(torch.zeros(1), EnsembleState([None, None]))
    assert found[0].tolist() == pytest.approx([-200.0 - math.log(2), -math.log(2)])


def test_an_ensemble_of_twins_translates_as_one_of_them(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    search = SearchConfig(beam_size=3, n_best=3, max_length_ratio=0.0, max_length_offset=6)
    lines = [pair.en for pair in phrases[:4]]
    twin = member(1, tokenizer.size)
    alone = Translator(twin, tokenizer, tokenizer, search).translate(lines)
    together = Translator(Ensemble([twin, twin]), tokenizer, tokenizer, search).translate(lines)
    for mine, theirs in zip(together, alone, strict=True):
        assert [candidate.text for candidate in mine] == [candidate.text for candidate in theirs]
        assert [candidate.score for candidate in mine] == pytest.approx([candidate.score for candidate in theirs], 1e-4)


def test_members_of_any_architecture_translate_and_draw_attention_together(
    tokenizer: Tokenizer, phrases: list[Pair]
) -> None:
    search = SearchConfig(beam_size=2, max_length_ratio=0.0, max_length_offset=5)
    models = members(tokenizer.size)
    translator = Translator(Ensemble(models), tokenizer, tokenizer, search)
    lines = [pair.en for pair in phrases[:5]]
    whole = [best.text for best, *_ in translator.translate(lines)]
    assert whole == [translator.translate([line])[0][0].text for line in lines]
    found = translator.attention(lines[0], "text")
    maps = [Translator(model, tokenizer, tokenizer, search).attention(lines[0], "text") for model in models]
    assert maps[2] is None
    assert found is not None
    drawn = [torch.tensor(attention_map.weights) for attention_map in maps if attention_map is not None]
    assert len(drawn) == len(models) - 1
    torch.testing.assert_close(torch.tensor(found.weights), sum(drawn) / len(drawn))
    assert Translator(Ensemble(models[2:3]), tokenizer, tokenizer, search).attention(lines[0], "text") is None


def test_an_ensemble_is_switched_as_one() -> None:
    ensemble = Ensemble(members())
    ensemble.train()
    assert [model.training for model in ensemble.members] == [True] * len(members())
    assert ensemble.training
    ensemble.eval()
    assert [model.training for model in ensemble.members] == [False] * len(members())
    assert len(list(ensemble.parameters())) == sum(len(list(model.parameters())) for model in ensemble.members)
