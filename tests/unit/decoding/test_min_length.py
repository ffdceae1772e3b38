"""The minimum length holds in every search, except for hypotheses at their maximum length."""

import pytest
import torch
from toy_translator import EVERY_SEARCH
from toy_translator import build_long as build

from nmt.config import SearchKind
from nmt.data import EOS_ID, Tokenizer
from nmt.decoding import ConstraintBuilder, Symbols
from nmt.decoding.rules import MinLength
from nmt.phrasebook import Pair


def test_the_end_is_forbidden_before_enough_is_written_and_before_the_limit() -> None:
    rule = MinLength(2, torch.tensor([3, 9]), Symbols(bos_id=2, eos_id=3, blank=(5,)))
    history = torch.tensor([[[2, 5, 6, 5], [2, 6, 6, 5]], [[2, 5, 6, 5], [2, 6, 7, 7]]])  # three tokens of each
    log_probs = torch.zeros(2, 2, 8)
    rule(log_probs, history, torch.tensor([0, 1]))
    expected = torch.zeros(2, 2, 8)
    expected[1, 0, 3] = float("-inf")  # it has one non-blank piece; the first sentence is at its limit
    assert torch.equal(log_probs, expected)


@EVERY_SEARCH
@pytest.mark.parametrize("least", [1, 4])
def test_every_search_keeps_to_it(
    tokenizer: Tokenizer, phrases: list[Pair], search: dict[str, object], least: int
) -> None:
    lines = [pair.en for pair in phrases[:6]]
    eager, patient = build(tokenizer, **search), build(tokenizer, **search, min_length=least)
    for ready in (eager, patient):
        with torch.no_grad():
            ready.model.output_bias[EOS_ID] += 50.0  # it would say nothing
    assert [candidates[0].text for candidates in eager.translate(lines)] == [""] * 6
    for candidates in patient.translate(lines):
        assert candidates[0].text
        assert len(candidates[0].pieces[0]) >= least


@pytest.mark.parametrize("kind", [SearchKind.sampling, SearchKind.mbr])
def test_samples_keep_to_it(tokenizer: Tokenizer, phrases: list[Pair], kind: SearchKind) -> None:
    ready = build(tokenizer, kind=kind, min_length=3, max_length_offset=5)
    with torch.no_grad():
        ready.model.output_bias[EOS_ID] += 50.0
    for candidates in ready.translate([pair.en for pair in phrases[:6]]):
        assert len(candidates[0].pieces[0]) >= 3


def test_more_than_the_greatest_length_is_the_greatest_length(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    ready = build(tokenizer, min_length=100, max_length_offset=6)
    [[candidate]] = ready.translate([phrases[0].en])
    assert len(candidate.pieces[0]) == 6
    demand = ConstraintBuilder(tokenizer).make("Der", ["Haus"])
    longer = build(tokenizer, min_length=100, max_length_offset=9)
    [[candidate]] = longer.translate([phrases[0].en], constraints=[demand])
    assert candidate.text.startswith("Der")
    assert "Haus" in candidate.text
