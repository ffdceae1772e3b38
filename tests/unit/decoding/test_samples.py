"""Samples compared with the exact probabilities of all sequences, computed over plain lists."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor
from toy_search import EOS, WORDS, Prefixes, Toy, request, scored

from nmt.config import LengthPenalty, SearchConfig, SearchKind
from nmt.decoding import sampling
from nmt.decoding.rules import BlockNgrams, ForcedPrefix
from nmt.decoding.sampling import draw, sample
from nmt.decoding.search import Hypothesis, LogitsProcessor
from nmt.models import StepOutput

NARROWED = pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [
        (1.0, None, 1.0),
        (0.5, None, 1.0),
        (3.0, None, 1.0),
        (1.0, 2, 1.0),
        (1.0, 99, 1.0),
        (1.0, None, 0.6),
        (1.0, None, 0.97),
        (2.0, 3, 0.8),
    ],
)


def config(temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0, **others: object) -> SearchConfig:
    return SearchConfig(kind=SearchKind.sampling, temperature=temperature, top_k=top_k, top_p=top_p, **others)


def run(
    toy: Toy,
    sentences: list[int],
    most: list[int],
    config: SearchConfig,
    count: int,
    rules: Sequence[LogitsProcessor] = (),
) -> list[list[Hypothesis]]:
    sources = [[sentence] for sentence in sentences]
    return sample(request(toy, sentences, most, config, rules), sources, count)


def narrowed(log_probs: list[float], config: SearchConfig) -> dict[int, float]:
    """Return the probability of each word that can be drawn."""
    weights = {word: math.exp(log_probs[word] / config.temperature) for word in [EOS, *WORDS]}
    ranked = sorted(weights, key=lambda word: -weights[word])[: config.top_k]
    whole = sum(weights[word] for word in ranked)
    nucleus: list[int] = []
    while sum(weights[word] for word in nucleus) < config.top_p * whole * (1 - 1e-9):
        nucleus.append(ranked[len(nucleus)])
    return {word: weights[word] / sum(weights[one] for one in nucleus) for word in nucleus}


def sequences(toy: Toy, sentence: int, most: int, config: SearchConfig) -> Iterator[tuple[list[int], float]]:
    """Yield every translation that can be drawn, with its probability."""

    def all_of(tokens: list[int], probability: float) -> Iterator[tuple[list[int], float]]:
        if len(tokens) == most:
            yield tokens, probability
            return
        for word, share in narrowed(toy.log_probs(sentence, tokens), config).items():
            if word == EOS:
                yield tokens, probability * share
            else:
                yield from all_of([*tokens, word], probability * share)

    yield from all_of([], 1.0)


@NARROWED
@pytest.mark.parametrize("first_look", [2, 64])
def test_translations_come_as_often_as_they_should(
    temperature: float, top_k: int | None, top_p: float, first_look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "FIRST_LOOK", first_look)
    toy, draws = Toy(3), 8000
    narrow = config(temperature, top_k, top_p)
    for sentence, most, found in zip([1, 2], [3, 2], run(toy, [1, 2], [3, 2], narrow, draws), strict=True):
        counts = Counter(tuple(hypothesis.tokens) for hypothesis in found)
        exact = {tuple(tokens): probability for tokens, probability in sequences(toy, sentence, most, narrow)}
        assert sum(exact.values()) == pytest.approx(1)
        assert set(counts) <= set(exact)
        for tokens, probability in exact.items():
            error = math.sqrt(probability * (1 - probability) / draws)
            assert abs(counts[tokens] / draws - probability) < 4.5 * error + 1 / draws, tokens


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_sample_has_the_log_probability_that_the_model_itself_gives_it(temperature: float) -> None:
    toy = Toy(1, end=-1.0)
    gnmt = config(temperature, top_k=3, length_penalty=LengthPenalty.gnmt, alpha=0.6)
    for sentence, found in zip([4, 5], run(toy, [4, 5], [6, 9], gnmt, 20), strict=True):
        for hypothesis in found:
            tokens = hypothesis.tokens
            spent = sum(toy.log_probs(sentence, tokens[:t])[word] for t, word in enumerate([*tokens, EOS]))
            expected = scored(tokens, spent, gnmt)
            assert hypothesis.log_prob == pytest.approx(expected.log_prob, rel=1e-5)
            assert hypothesis.score == pytest.approx(expected.score, rel=1e-5)


def test_samples_depend_on_the_seed_and_the_sentence_alone() -> None:
    toy = Toy(0, end=1.0)
    sentences, most = list(range(1, 11)), [6, 0, 9, 1, 3, 12, 6, 2, 20, 4]
    together = run(toy, sentences, most, config(), 7)
    assert together == [run(toy, [one], [limit], config(), 7)[0] for one, limit in zip(sentences, most, strict=True)]
    assert together == run(toy, sentences[::-1], most[::-1], config(), 7)[::-1]
    more = run(toy, sentences, most, config(), 12)
    assert [hypotheses[:7] for hypotheses in more] == together
    again = run(toy, [3, 9, 3], [9, 20, 9], config(), 7)
    assert again == [together[2], together[8], together[2]]
    assert run(toy, sentences, most, config(seed=2), 7) != together


def test_the_random_numbers_of_samples_words_and_sentences_are_different_ones() -> None:
    found = sampling.random_numbers(1, [[5], [5, 5], [6]], [9, 9, 4], 20)
    numbers = [number for number in found.flatten().tolist() if number]
    assert len(set(numbers)) == len(numbers) == 20 * (10 + 10 + 5)
    assert all(0 <= number < 1 for number in numbers)


@pytest.mark.parametrize("narrow", [config(top_k=1), config(temperature=0.01), config(top_p=0.001)])
def test_drawing_only_the_likeliest_word_is_greedy_search(narrow: SearchConfig) -> None:
    toy = Toy(0, end=-1.0)
    for sentence, found in zip([1, 2, 3], run(toy, [1, 2, 3], [9, 9, 2], narrow, 3), strict=True):
        tokens: list[int] = []
        while len(tokens) < (2 if sentence == 3 else 9):
            log_probs = toy.log_probs(sentence, tokens)
            word = max([EOS, *WORDS], key=log_probs.__getitem__)
            if word == EOS:
                break
            tokens.append(word)
        assert [hypothesis.tokens for hypothesis in found] == [tokens] * 3


def test_samples_that_have_ended_leave_the_batch() -> None:
    toy = Toy(0, end=-20.0)  # no sample ends before the limit
    run(toy, [1, 2, 3], [2, 6, 2], config(), 4)
    assert toy.rows_asked == [12, 12, 12, 4, 4, 4, 4]
    toy = Toy(0)
    [found] = run(toy, [1], [50], config(), 100)
    lengths = [len(hypothesis.tokens) for hypothesis in found]
    assert len(toy.rows_asked) == max(lengths) + 1
    for length, rows in enumerate(toy.rows_asked):
        left = sum(own_length >= length for own_length in lengths)
        assert left <= rows <= left / 0.9


@pytest.mark.parametrize("broken", [float("-inf"), float("nan")])
@pytest.mark.parametrize("narrow", [config(), config(top_k=2), config(top_p=0.5)])
def test_a_sentence_that_cannot_go_on_has_no_sample_and_disturbs_no_other(narrow: SearchConfig, broken: float) -> None:
    toy = Toy(0)

    def step(tokens: Tensor, state: Prefixes) -> StepOutput[Prefixes]:
        log_probs, following, _ = toy.step(tokens, state)
        log_probs[state.codes == 2] = broken  # the start of the second sentence
        return StepOutput(log_probs, following)

    sources = [[1], [2], [3]]
    samples = sample(request(toy, [1, 2, 3], [5, 5, 5], narrow, step=step), sources, 4)
    assert samples[1] == []
    assert [samples[0], samples[2]] == run(toy, [1, 3], [5, 5], narrow, 4)


def test_an_empty_batch_and_a_limit_of_no_tokens() -> None:
    assert run(Toy(0), [], [], config(), 3) == []
    assert [one.tokens for one in run(Toy(0), [1], [0], config(), 3)[0]] == [[], [], []]


@pytest.mark.parametrize("narrow", [config(), config(top_k=6), config(top_p=0.999)])
def test_the_ends_of_the_unit_interval_draw_words_that_have_a_probability(narrow: SearchConfig) -> None:
    log_probs = torch.tensor([[-math.inf, 0.25, -math.inf, 0.75, -math.inf]]).log_softmax(1).expand(2, -1)
    drawn = draw(log_probs, torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64), narrow)
    assert set(drawn.tolist()) == {1, 3}


def test_samples_keep_to_the_rules() -> None:
    toy, most = Toy(3, end=-3.0), [5, 4, 6]
    begin = WORDS[0]
    rules = [ForcedPrefix([[], [{begin: 1}], []], [BlockNgrams(1)])]
    results = run(toy, [1, 2, 3], most, config(), 40, rules)
    assert all(len(set(hypothesis.tokens)) == len(hypothesis.tokens) for samples in results for hypothesis in samples)
    assert all(hypothesis.tokens[0] == begin for hypothesis in results[1])
    assert {hypothesis.tokens[0] for hypothesis in results[0] if hypothesis.tokens} > {begin}
