"""The coverage penalty compared with eq. 14 of Wu et al. 2016 written as a loop over all sequences."""

import math

import pytest
import torch
from torch import Tensor
from toy_search import EOS, SYMBOLS, VOCABULARY, WORDS
from toy_translator import member

from nmt.config import AttentionKind, LengthPenalty, SearchConfig
from nmt.data import make_batch
from nmt.decoding import Ensemble, SearchRequest, TranslationModel, beam_search
from nmt.decoding.coverage import LEAST, Covered, coverage_bonus, covered_step
from nmt.errors import UserError

SOURCES = [[4, 5, 6, 4, 5], [6], [5, 4]]
MOST = 3


def models() -> dict[str, TranslationModel]:
    additive, luong = member(1, VOCABULARY), member(2, VOCABULARY, attention=AttentionKind.general, input_feeding=True)
    blind = member(3, VOCABULARY, attention=None)
    others = [member(4, VOCABULARY, kind=kind) for kind in ("transformer", "convolutional")]
    mixed = Ensemble([additive, luong, blind, *others])  # type: ignore[list-item]
    return {"one": additive, "transformer": others[0], "convolution": others[1], "mixed": mixed}  # type: ignore[dict-item]


@torch.inference_mode()
def equation_14(
    model: TranslationModel, src: list[int], every: list[list[int]], config: SearchConfig
) -> dict[tuple[int, ...], float]:
    """Compute log P / lp + cp of translations of one sentence under teacher forcing."""
    batch = make_batch([src] * len(every), every, range(len(every)))
    members = model.members if isinstance(model, Ensemble) else [model]
    chances = [member(batch.src, batch.src_mask, batch.tgt_in).softmax(dim=-1) for member in members]  # type: ignore[operator]
    chance = sum(chances) / len(chances)
    weights = model.attention(batch.src, batch.src_mask, batch.tgt_in)
    assert weights is not None
    scores = {}
    for b, tokens in enumerate(every):
        log_prob = sum(math.log(chance[t, b, word]) for t, word in enumerate([*tokens, EOS]))
        looked = weights[b, : len(tokens) + 1, : len(src) + 1].sum(dim=0).tolist()
        penalty = sum(math.log(min(share, 1.0)) for share in looked)
        length = len(tokens) + 1
        norm = {"none": 1.0, "average": length**config.alpha, "gnmt": ((5 + length) / 6) ** config.alpha}
        scores[tuple(tokens)] = log_prob / norm[config.length_penalty.value] + config.coverage_penalty * penalty
    return scores


def sequences(most: int) -> list[list[int]]:
    return [[]] + [[*rest, word] for rest in (sequences(most - 1) if most else []) for word in WORDS]


@pytest.mark.parametrize(
    ("name", "penalty", "beta"),
    [
        ("one", LengthPenalty.none, 1.0),
        ("one", LengthPenalty.gnmt, 0.2),
        ("transformer", LengthPenalty.average, 0.2),
        ("convolution", LengthPenalty.average, 1.0),
        ("mixed", LengthPenalty.average, 0.2),
    ],
)
def test_a_wide_beam_ranks_by_equation_14(name: str, penalty: LengthPenalty, beta: float) -> None:
    model = models()[name]
    wide = SearchConfig(beam_size=40, n_best=40, coverage_penalty=beta, length_penalty=penalty)
    batch = make_batch(SOURCES, SOURCES, range(3))
    state = Covered(model.encode(batch.src, batch.src_mask), (~batch.src_mask).t().float())
    most = torch.tensor([MOST, MOST - 1, MOST])
    found = beam_search(SearchRequest(covered_step(model.step), state, most, SYMBOLS, wide, bonus=coverage_bonus(beta)))
    for src, longest, hypotheses in zip(SOURCES, most.tolist(), found, strict=True):
        expected = equation_14(model, src, sequences(longest), wide)
        assert {tuple(hypothesis.tokens) for hypothesis in hypotheses} == set(expected)
        for hypothesis in hypotheses:
            assert hypothesis.score == pytest.approx(expected[tuple(hypothesis.tokens)], abs=1e-4)
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


def test_what_was_never_looked_at_costs_a_lot_and_not_infinity() -> None:
    state = Covered[Tensor](torch.zeros(1), torch.tensor([[0.0, 0.5, 1.0, 3.0]]))  # type: ignore[type-var]
    assert coverage_bonus(0.5)(state).tolist() == pytest.approx([0.5 * (math.log(LEAST) + math.log(0.5))])


def test_a_model_without_attention_is_refused_by_name_of_the_key() -> None:
    model = member(3, VOCABULARY, attention=None)
    batch = make_batch(SOURCES, SOURCES, range(3))
    state = Covered(model.encode(batch.src, batch.src_mask), (~batch.src_mask).t().float())
    with pytest.raises(UserError, match=r"^search\.coverage_penalty is on, and this model has no attention"):
        covered_step(model.step)(torch.tensor([2, 2, 2]), state)
