"""Lexical constraints compared with the enumeration of all sequences that contain them."""

import itertools
import random

import pytest
from toy_search import WORDS, Toy, assert_same, config, enumerated, request, run

from nmt.config import SearchConfig
from nmt.decoding.constrained import Choice, allocate, constrained_search
from nmt.decoding.phrases import EXACT, Phrases
from nmt.decoding.rules import BlockNgrams, ForcedPrefix
from nmt.decoding.search import Hypothesis

NONE: frozenset[int] = frozenset()
CONTINUES = frozenset({6})
GIVEN = [[], [[4]], [[4, 5], [4, 6]], [[5, 5]], [[4, 5], [5, 4]], [[6], [4, 4], [5]]]


def stands(tokens: list[int], phrase: list[int], continues: frozenset[int]) -> bool:
    places = [i for i in range(len(tokens)) if tokens[i : i + len(phrase)] == phrase]
    return any(tokens[i + len(phrase) : i + len(phrase) + 1] not in [[word] for word in continues] for i in places)


def all_stand(tokens: list[int], phrases: list[list[int]], continues: frozenset[int] = NONE) -> bool:
    return all(stands(tokens, phrase, continues) for phrase in phrases)


def constrained(
    toy: Toy, given: list[list[list[int]]], most: list[int], config: SearchConfig, continues: frozenset[int] = NONE
) -> list[list[Hypothesis]]:
    sentences = list(range(1, len(given) + 1))
    phrases = [Phrases(each, continues) for each in given]
    return constrained_search(request(toy, sentences, most, config), phrases)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("continues", [NONE, CONTINUES])
@pytest.mark.parametrize("most", [2, 3, 4])
def test_a_wide_beam_finds_the_best_that_hold_all(most: int, continues: frozenset[int], seed: int) -> None:
    toy = Toy(seed)
    wide = config(beam=125, n_best=125)
    results = constrained(toy, GIVEN, [most] * len(GIVEN), wide, continues)
    for sentence, (given, hypotheses) in enumerate(zip(GIVEN, results, strict=True), start=1):
        everything = enumerated(toy, sentence, most, wide)
        assert_same(
            hypotheses, [hypothesis for hypothesis in everything if all_stand(hypothesis.tokens, given, continues)]
        )


def some_phrases(numbers: random.Random, most: int) -> list[list[int]]:
    return [[numbers.choice(WORDS) for _ in range(numbers.randint(1, 3))] for _ in range(numbers.randint(1, most))]


def shortest(phrases: list[list[int]], begun: list[int], continues: frozenset[int]) -> int:
    """Return the minimum number of further tokens, by trying all sequences."""
    return next(
        more
        for more in itertools.count()
        if any(all_stand([*begun, *rest], phrases, continues) for rest in itertools.product(WORDS, repeat=more))
    )


@pytest.mark.parametrize("continues", [NONE, CONTINUES, frozenset({5, 6})])
def test_the_room_that_is_needed_is_that_of_the_shortest_text(continues: frozenset[int]) -> None:
    numbers = random.Random(1)
    for _ in range(60):
        given = [phrase for phrase in some_phrases(numbers, 3) if phrase[0] not in continues]
        phrases = Phrases(given, continues)
        begun = [numbers.choice(WORDS) for _ in range(numbers.randint(0, 4))]
        state = phrases.start
        for word in begun:
            state = phrases.after(state, word)
        assert (not phrases.missing(state)) == all_stand(begun, given, continues)
        assert phrases.need(state) == shortest(given, begun, continues), (given, begun)


@pytest.mark.parametrize("continues", [NONE, CONTINUES])
@pytest.mark.parametrize("beam", [1, 2, 5])
def test_however_narrow_the_beam_all_hypotheses_hold_all_as_soon_as_they_fit(
    beam: int, continues: frozenset[int]
) -> None:
    numbers = random.Random(beam)
    for seed in range(4):
        given = [[each for each in some_phrases(numbers, 4) if each[0] not in continues] for _ in range(12)]
        most = [Phrases(each, continues).need(Phrases.start) + numbers.randint(0, 2) for each in given]
        most[0] = max(0, most[0] - 3)  # one for which they do not fit
        toy = Toy(seed, end=numbers.choice([-3.0, 0.0, 3.0]))
        results = constrained(toy, given, most, config(beam, n_best=beam), continues)
        for each, longest, hypotheses in zip(given, most, results, strict=True):
            assert bool(hypotheses) == (Phrases(each, continues).need(Phrases.start) <= longest)
            for hypothesis in hypotheses:
                assert all_stand(hypothesis.tokens, each, continues)
                assert len(hypothesis.tokens) <= longest


def test_more_phrases_than_are_set_exactly_still_fit_a_row_of_them() -> None:
    numbers = random.Random(5)
    toy = Toy(1, end=2.0)
    words = list(range(4, 7))
    for _ in range(5):
        given = [list(each) for each in numbers.sample(list(itertools.product(words, repeat=3)), EXACT + 3)]
        phrases = Phrases(given)
        most = phrases.need(Phrases.start)
        assert most <= 3 * len(given)
        [hypotheses] = constrained(toy, [given], [most], config(3, n_best=3))
        assert hypotheses
        assert all(all_stand(hypothesis.tokens, given) for hypothesis in hypotheses)


@pytest.mark.parametrize("seed", range(3))
def test_a_sentence_without_constraints_has_the_result_of_the_plain_beam(seed: int) -> None:
    toy = Toy(seed)
    narrow = config(4, n_best=4)
    most = [6, 0, 9, 12]
    results = constrained(toy, [[], [], [[4, 4]], []], most, narrow)
    plain = run(toy, [1, 2, 3, 4], most, narrow)
    assert results[:2] + results[3:] == plain[:2] + plain[3:]


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_finds_what_each_sentence_finds_alone(seed: int) -> None:
    toy = Toy(seed, end=1.0)
    most, narrow = [6, 5, 9, 7, 8, 12], config(5, n_best=2)
    together = constrained(toy, GIVEN, most, narrow)
    for number, (given, longest) in enumerate(zip(GIVEN, most, strict=True)):
        alone = constrained_search(request(toy, [number + 1], [longest], narrow), [Phrases(given)])
        assert alone == [together[number]]


def test_finished_sentences_leave_the_batch_and_an_empty_one_gives_nothing() -> None:
    toy = Toy(0, end=-20.0)  # no hypothesis ends before the limit
    constrained(toy, [[[4]], [[5]], []], [2, 5, 2], config(2))
    assert toy.rows_asked == [3, 6, 6, 2, 2, 2]
    assert constrained(toy, [], [], config(2)) == []


def test_what_is_held_and_what_is_begun_count_as_progress() -> None:
    phrases = Phrases([[4, 5, 6], [4, 6], [5]])  # the first contains the last
    expected = {
        (): 0,
        (4,): 1,
        (4, 5): 2,
        (4, 5, 6): 3,
        (4, 5, 6, 4): 4,
        (4, 5, 6, 4, 6): 5,
        (4, 4): 1,
        (6,): 0,
        (4, 6): 2,
    }
    for tokens, progress in expected.items():
        state = phrases.start
        for word in tokens:
            state = phrases.after(state, word)
        assert phrases.progress(state) == progress, tokens


def test_places_are_shared_and_what_a_bank_does_not_fill_goes_to_the_last() -> None:
    def kept(counts: list[int], size: int) -> list[int]:
        choices = [
            Choice(-float(n), 0, 0, Phrases.start, bank) for bank, count in enumerate(counts) for n in range(count)
        ]
        chosen = allocate(sorted(choices, key=lambda choice: -choice.log_prob), size, len(counts) - 1)
        assert [choice.log_prob for choice in chosen] == sorted((c.log_prob for c in chosen), reverse=True)
        return [sum(choice.bank == bank for choice in chosen) for bank in range(len(counts))]

    assert kept([9, 9, 9], 6) == [2, 2, 2]
    assert kept([9, 9, 9], 8) == [2, 2, 4]
    assert kept([9, 9, 1], 6) == [2, 3, 1]
    assert kept([9, 1, 0, 0], 6) == [5, 1, 0, 0]
    assert kept([9, 0, 9, 0, 0], 4) == [0, 0, 4, 0, 0]
    assert kept([1, 1], 6) == [1, 1]


def test_constraints_go_with_a_prefix_and_with_blocking_where_they_can() -> None:
    toy = Toy(0)
    narrow = config(4, n_best=4)
    phrases = [Phrases([[4, 5], [6]])]
    rules = [ForcedPrefix([[{5: 1}, {5: 2}]], [BlockNgrams(2)])]
    [hypotheses] = constrained_search(request(toy, [1], [9], narrow, rules), phrases)
    assert len(hypotheses) == 4
    for hypothesis in hypotheses:
        assert hypothesis.tokens[:2] == [5, 5]
        assert all_stand(hypothesis.tokens, [[4, 5], [6]])
        pairs = list(zip(hypothesis.tokens, hypothesis.tokens[1:], strict=False))
        assert len(set(pairs)) == len(pairs)
