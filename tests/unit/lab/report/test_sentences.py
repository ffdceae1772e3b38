"""Tests of the shown sentences and of the counted errors, against counts by hand."""

import numpy as np
import pytest
from toy_translator import build

from nmt.data import Tokenizer
from nmt.lab.report import sentences as module
from nmt.lab.report.mistakes import coverage
from nmt.lab.report.sentences import (
    ScoredSentence,
    choose_sentences,
    count_mistakes,
    coverages,
    score_sentences,
    show_sentences,
)
from nmt.phrasebook import Pair


def test_examples_are_the_best_the_median_the_worst_and_some_drawn() -> None:
    scores = [40, 10, 100, 90, 50, 100, 0, 70, 60]
    sentences = [ScoredSentence(at, "x" * at, "", "", score) for at, score in enumerate(scores, start=1)]
    chosen = choose_sentences([*sentences, ScoredSentence(10, " ", "", "", 100.0)], 2, 2, seed=3)
    assert [(why.split()[0], sentence.line) for why, sentence in chosen[:6]] == [
        ("best", 6),  # of two perfect scores the longer source
        ("best", 3),
        ("median", 8),
        ("median", 9),
        ("worst", 7),
        ("worst", 2),
    ]
    drawn = {sentence.line for _, sentence in chosen[6:]}
    assert len(drawn) == 2
    assert drawn <= {1, 4, 5}
    assert chosen == choose_sentences([*sentences], 2, 2, seed=3)
    assert len({tuple(each.line for _, each in choose_sentences(sentences, 2, 2, seed)) for seed in range(20)}) > 1
    assert [each.line for _, each in choose_sentences(sentences[:1], 2, 4, seed=1)] == [1]
    assert choose_sentences([], 2, 4, seed=1) == []


def test_each_kind_is_counted_in_both_directions_with_the_lowest_chrf_first() -> None:
    src = ["The tea is hot."] * 6
    good = "Der Tee ist heiß."
    own = [good, good + " Der Tee ist heiß.", "Der Tee ist ist heiß.", good, "Der Der Tee.", "Tee Tee"]
    references = [good, good, good, "Der Tee ist ist heiß.", good, good]
    mistakes = {mistake.kind.name: mistake for mistake in count_mistakes(score_sentences(src, own, references), None)}
    assert {"under-translation", "over-translation"}.isdisjoint(mistakes)
    repeated = mistakes["repetition"]
    assert (repeated.count, repeated.share, repeated.other_way) == (4, 4 / 6, 1)
    chrf = [sentence.chrf for sentence, _ in repeated.examples]
    assert chrf == sorted(chrf)
    assert [(sentence.line, error) for sentence, error in repeated.examples[:2]] == [(6, "tee"), (5, "der")]
    assert len(repeated.examples) == 3
    assert (mistakes["too long"].count, mistakes["too long"].other_way) == (1, 0)
    assert (mistakes["too short"].count, mistakes["too short"].other_way) == (0, 1)


def test_coverages_are_those_of_each_sentence_alone(
    tokenizer: Tokenizer, phrases: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 4)
    ready = build(tokenizer)
    src, tgt = [pair.en for pair in phrases[:9]], [pair.de for pair in phrases[:9]]
    src[3], tgt[5], src[7] = "", "", " ".join([src[7]] * 60)
    covered = coverages(ready, src, tgt)
    assert [row for row, coverage_of_row in enumerate(covered) if coverage_of_row is None] == [3, 5, 7]
    for row, coverage_of_row in enumerate(covered):
        if coverage_of_row is not None:
            alone = ready.attention(src[row], tgt[row])
            assert alone is not None
            np.testing.assert_allclose(coverage_of_row, coverage(src[row], alone), atol=1e-5)
    example, nothing = show_sentences(
        [("any", ScoredSentence(1, src[0], tgt[0], tgt[0], 100.0)), ("", ScoredSentence(2, "", "", "", 0.0))], ready
    )
    assert example.attention == ready.attention(src[0], tgt[0])
    assert nothing.attention is None


def test_a_model_without_attention_has_no_coverage(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    ready = build(tokenizer, attention=None)
    assert coverages(ready, [phrases[0].en], [phrases[0].de]) == [None]
