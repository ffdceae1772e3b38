"""Which sentences are shown, and how often a kind of error is counted, against counting by hand."""

import numpy as np
import pytest
from toy_translator import build

from nmt.data import Tokenizer
from nmt.lab.report import sentences as module
from nmt.lab.report.mistakes import coverage
from nmt.lab.report.sentences import Sentence, choose, coverages, judge, sentences_of, show
from nmt.phrasebook import Pair


def test_examples_are_the_best_the_median_the_worst_and_some_drawn() -> None:
    scores = [40, 10, 100, 90, 50, 100, 0, 70, 60]
    sentences = [Sentence(at, "x" * at, "", "", score) for at, score in enumerate(scores, start=1)]
    chosen = choose([*sentences, Sentence(10, " ", "", "", 100.0)], 2, 2, seed=3)
    assert [(why.split()[0], sentence.line) for why, sentence in chosen[:6]] == [
        ("best", 6),  # of two that are right the longer one
        ("best", 3),
        ("median", 8),
        ("median", 9),
        ("worst", 7),
        ("worst", 2),
    ]
    drawn = {sentence.line for _, sentence in chosen[6:]}
    assert len(drawn) == 2
    assert drawn <= {1, 4, 5}
    assert chosen == choose([*sentences], 2, 2, seed=3)
    assert len({tuple(each.line for _, each in choose(sentences, 2, 2, seed)) for seed in range(20)}) > 1
    assert [each.line for _, each in choose(sentences[:1], 2, 4, seed=1)] == [1]
    assert choose([], 2, 4, seed=1) == []


def test_each_kind_is_counted_both_ways_and_shown_worst_first() -> None:
    src = ["The tea is hot."] * 6
    good = "Der Tee ist heiß."
    own = [good, good + " Der Tee ist heiß.", "Der Tee ist ist heiß.", good, "Der Der Tee.", "Tee Tee"]
    references = [good, good, good, "Der Tee ist ist heiß.", good, good]
    found = {mistake.kind.name: mistake for mistake in judge(sentences_of(src, own, references), None)}
    assert {"under-translation", "over-translation"}.isdisjoint(found)
    repeated = found["repetition"]
    assert (repeated.count, repeated.share, repeated.other_way) == (4, 4 / 6, 1)
    chrf = [sentence.chrf for sentence, _ in repeated.examples]
    assert chrf == sorted(chrf)
    assert [(sentence.line, what) for sentence, what in repeated.examples[:2]] == [(6, "tee"), (5, "der")]
    assert len(repeated.examples) == 3
    assert (found["too long"].count, found["too long"].other_way) == (1, 0)
    assert (found["too short"].count, found["too short"].other_way) == (0, 1)


def test_coverages_are_those_of_each_sentence_alone(
    tokenizer: Tokenizer, phrases: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_TOGETHER", 4)
    ready = build(tokenizer)
    src, tgt = [pair.en for pair in phrases[:9]], [pair.de for pair in phrases[:9]]
    src[3], tgt[5], src[7] = "", "", " ".join([src[7]] * 60)
    found = coverages(ready, src, tgt)
    assert [row for row, own in enumerate(found) if own is None] == [3, 5, 7]
    for row, own in enumerate(found):
        if own is not None:
            alone = ready.attention(src[row], tgt[row])
            assert alone is not None
            np.testing.assert_allclose(own, coverage(src[row], alone), atol=1e-5)
    example, nothing = show(
        [("any", Sentence(1, src[0], tgt[0], tgt[0], 100.0)), ("", Sentence(2, "", "", "", 0.0))], ready
    )
    assert example.attention == ready.attention(src[0], tgt[0])
    assert nothing.attention is None


def test_a_model_without_attention_covers_nothing(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    ready = build(tokenizer, attention=None)
    assert coverages(ready, [phrases[0].en], [phrases[0].de]) == [None]
