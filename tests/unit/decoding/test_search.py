"""Beam search compared with the enumeration of all sequences, and with the same algorithm over plain lists."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_search import (
    BOS,
    EOS,
    PAD,
    UNK,
    WORDS,
    Prefixes,
    Toy,
    assert_same,
    config,
    enumerated,
    plain_beam,
    request,
    run,
    tokens_of,
)

from nmt.config import LengthPenalty, SearchKind
from nmt.decoding import Symbols, beam_search
from nmt.models import StepOutput

PENALTIES = pytest.mark.parametrize(
    ("penalty", "alpha"),
    [
        (LengthPenalty.none, 1.0),
        (LengthPenalty.average, 0.5),
        (LengthPenalty.average, 1.0),
        (LengthPenalty.average, 3.0),
        (LengthPenalty.gnmt, 0.6),
        (LengthPenalty.gnmt, 2.0),
    ],
)
SEEDS = pytest.mark.parametrize("seed", range(3))


@SEEDS
@PENALTIES
@pytest.mark.parametrize("n_best", [1, 4, 40])
def test_a_beam_as_wide_as_the_space_finds_what_enumeration_finds(
    n_best: int, penalty: LengthPenalty, alpha: float, seed: int
) -> None:
    toy = Toy(seed)
    wide = config(beam=40, n_best=n_best, penalty=penalty, alpha=alpha)  # 1 + 3 + 9 + 27 sequences
    most = [3, 0, 2, 1, 3]
    found = run(toy, [1, 2, 3, 4, 5], most, wide)
    for sentence, longest, hypotheses in zip([1, 2, 3, 4, 5], most, found, strict=True):
        assert_same(hypotheses, enumerated(toy, sentence, longest, wide)[:n_best])


@SEEDS
@PENALTIES
@pytest.mark.parametrize(("beam", "n_best"), [(1, 1), (2, 2), (3, 1), (5, 4)])
@pytest.mark.parametrize("end", [0.0, 2.0])
def test_a_narrow_beam_follows_the_rule(
    end: float, beam: int, n_best: int, penalty: LengthPenalty, alpha: float, seed: int
) -> None:
    toy = Toy(seed, end)
    narrow = config(beam, n_best, penalty, alpha)
    most = [8, 3, 0, 12, 5]
    found = run(toy, [1, 2, 3, 4, 5], most, narrow)
    for sentence, longest, hypotheses in zip([1, 2, 3, 4, 5], most, found, strict=True):
        assert_same(hypotheses, plain_beam(toy, sentence, longest, narrow))


@SEEDS
@pytest.mark.parametrize("kind", [SearchKind.greedy, SearchKind.beam])
def test_greedy_and_a_beam_of_one_take_the_likeliest_word_each_time(kind: SearchKind, seed: int) -> None:
    toy = Toy(seed, end=-1.0)
    greedy = config(1 if kind == SearchKind.beam else 5, kind=kind)
    hypotheses = run(toy, [1, 2, 3], [10, 10, 2], greedy)
    for sentence, most, [hypothesis] in zip([1, 2, 3], [10, 10, 2], hypotheses, strict=True):
        tokens: list[int] = []
        while len(tokens) < most:
            log_probs = toy.log_probs(sentence, tokens)
            word = max([EOS, *WORDS], key=log_probs.__getitem__)
            if word == EOS:
                break
            tokens.append(word)
        assert hypothesis.tokens == tokens


@SEEDS
def test_a_batch_finds_what_each_sentence_finds_alone(seed: int) -> None:
    toy = Toy(seed, end=1.0)
    sentences, most = list(range(1, 11)), [6, 0, 9, 1, 3, 12, 6, 2, 20, 4]
    for narrow in (config(4, n_best=1), config(4, n_best=4)):
        together = run(toy, sentences, most, narrow)
        alone = [run(toy, [sentence], [longest], narrow)[0] for sentence, longest in zip(sentences, most, strict=True)]
        assert together == alone
        backwards = run(toy, sentences[::-1], most[::-1], narrow)
        assert backwards[::-1] == alone


@SEEDS
def test_banned_words_never_appear_and_no_limit_is_passed(seed: int) -> None:
    for end in (-20.0, 0.0):
        most = [0, 1, 4, 9]
        found = run(Toy(seed, end), [1, 2, 3, 4], most, config(3, n_best=3))
        for longest, hypotheses in zip(most, found, strict=True):
            for hypothesis in hypotheses:
                assert len(hypothesis.tokens) <= longest
                assert set(hypothesis.tokens) <= set(WORDS)


def test_without_banned_words_all_words_may_appear() -> None:
    plain = replace(request(Toy(0), [1], [5], config(1)), symbols=Symbols(BOS, EOS))
    [[hypothesis]] = beam_search(plain)
    assert set(hypothesis.tokens) <= {PAD, UNK, BOS}  # the words with the highest logits
    assert len(hypothesis.tokens) == 5


def test_a_hypothesis_that_reaches_the_limit_pays_for_its_end() -> None:
    toy = Toy(0, end=-20.0)
    [[hypothesis]] = run(toy, [1], [4], config(1))
    assert len(hypothesis.tokens) == 4
    spent = [toy.log_probs(1, hypothesis.tokens[:t])[word] for t, word in enumerate([*hypothesis.tokens, EOS])]
    assert hypothesis.log_prob == pytest.approx(sum(spent), rel=1e-5)
    assert hypothesis.score == pytest.approx(sum(spent) / 5, rel=1e-5)


def test_a_limit_of_no_tokens_gives_the_empty_translation() -> None:
    hypotheses = run(Toy(0), [1, 2], [0, 0], config(5, n_best=5))
    assert tokens_of(hypotheses) == [[[]], [[]]]


def test_an_empty_batch_gives_nothing() -> None:
    assert run(Toy(0), [], [], config(3)) == []


@pytest.mark.parametrize("penalty", [LengthPenalty.average, LengthPenalty.gnmt])
def test_alpha_zero_is_no_penalty(penalty: LengthPenalty) -> None:
    sentences, most = [1, 2, 3, 4], [8, 8, 8, 8]
    expected = run(Toy(1), sentences, most, config(4, 4, LengthPenalty.none))
    assert run(Toy(1), sentences, most, config(4, 4, penalty, alpha=0.0)) == expected


def test_finished_sentences_leave_the_batch() -> None:
    toy = Toy(0, end=-20.0)  # no hypothesis ends before the limit
    run(toy, [1, 2, 3], [2, 6, 2], config(2))
    assert toy.rows_asked == [3, 6, 6, 2, 2, 2, 2]


def test_search_ends_as_soon_as_nothing_better_can_come() -> None:
    toy = Toy(0, end=20.0)  # every hypothesis ends at once
    [[hypothesis]] = run(toy, [1], [50], config(5))
    assert hypothesis.tokens == []
    assert len(toy.rows_asked) == 1


@pytest.mark.parametrize("broken", [float("-inf"), float("nan")])
def test_a_sentence_that_cannot_go_on_has_no_hypothesis_and_disturbs_no_other(broken: float) -> None:
    toy = Toy(0)

    def step(tokens: Tensor, state: Prefixes) -> StepOutput[Prefixes]:
        log_probs, following, _ = toy.step(tokens, state)
        log_probs[state.codes == 2] = broken  # the start of the second sentence
        return StepOutput(log_probs, following)

    hypotheses = beam_search(request(toy, [1, 2, 3], [5, 5, 5], config(3), step=step))
    assert hypotheses[1] == []
    assert [hypotheses[0], hypotheses[2]] == run(toy, [1, 3], [5, 5], config(3))


def test_a_model_that_never_ends_has_no_hypothesis() -> None:
    assert run(Toy(0, end=float("-inf")), [1, 2], [4, 0], config(3)) == [[], []]


class Unordered(Prefixes):
    """State with a fault: `select` returns the right number of rows, but not the selected ones."""

    def select(self, rows: Tensor) -> "Unordered":
        return Unordered(self.codes[rows.sort(dim=1).values.flatten()])


def test_these_tests_would_notice_a_state_in_the_wrong_order() -> None:
    toy = Toy(0)

    def step(tokens: Tensor, state: Prefixes) -> StepOutput[Prefixes]:
        log_probs, state, _ = toy.step(tokens, state)
        return StepOutput(log_probs, Unordered(state.codes))

    narrow = config(4, n_best=4)
    unordered = replace(request(toy, [1, 2, 3], [8, 8, 8], narrow, step=step), state=Unordered(torch.tensor([1, 2, 3])))
    wrong = beam_search(unordered)
    assert tokens_of(wrong) != tokens_of(run(toy, [1, 2, 3], [8, 8, 8], narrow))


def test_golden_outputs_of_a_seeded_toy() -> None:
    hypotheses = run(Toy(7, end=-1.0), [1, 2, 3], [8, 8, 8], config(4, n_best=2))
    assert tokens_of(hypotheses) == [
        [[6, 6, 4, 6], [6, 5, 4, 4, 6, 5, 4]],
        [[4, 5], [6, 6, 4, 5, 5, 6]],
        [[4, 5, 4, 6, 4, 6, 6], [6, 4, 4, 6, 4, 4, 4]],
    ]
