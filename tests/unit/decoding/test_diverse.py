"""Diverse beam search compared with algorithm 1 of Vijayakumar et al. 2018 written over plain lists."""

import pytest
import torch
from toy_search import EOS, WORDS, Prefixes, Toy, assert_same, plain_beam, request, run, scored

from nmt.config import LengthPenalty, SearchConfig, SearchKind
from nmt.decoding import Hypothesis, beam_search
from nmt.decoding.diverse import diverse_search
from nmt.decoding.rules import BlockNgrams, ForcedPrefix


def config(beam: int, groups: int, diversity: float, **others: object) -> SearchConfig:
    shape: dict[str, object] = {"kind": SearchKind.diverse, "beam_size": beam, "n_best": beam, **others}
    return SearchConfig(groups=groups, diversity=diversity, **shape)  # type: ignore[arg-type]


def diverse(toy: Toy, sentences: list[int], most: list[int], config: SearchConfig) -> list[list[Hypothesis]]:
    return diverse_search(request(toy, sentences, most, config))


def algorithm_1(toy: Toy, sentence: int, most: int, config: SearchConfig) -> list[Hypothesis]:
    """Run algorithm 1 for one sentence; a live hypothesis is (tokens, penalised sum, log-probability)."""
    size = config.beam_size // config.groups
    live: list[list[tuple[list[int], float, float]]] = [[([], 0.0, 0.0)] for _ in range(config.groups)]
    finished: list[list[Hypothesis]] = [[] for _ in range(config.groups)]
    for length in range(most + 1):
        chosen: list[int] = []  # words that earlier groups chose in this step
        for group in range(config.groups):
            if len(finished[group]) >= size:
                continue
            longer = []
            for tokens, total, log_prob in live[group]:
                log_probs = toy.log_probs(sentence, tokens)
                for word in [EOS, *WORDS] if length < most else [EOS]:
                    theta = total + log_probs[word] - config.diversity * chosen.count(word)
                    longer.append(([*tokens, word], theta, log_prob + log_probs[word]))
            best = sorted(longer, key=lambda each: -each[1])[: 2 * size]
            for tokens, _, log_prob in best[:size]:
                if tokens[-1] == EOS:
                    chosen.append(EOS)
                    finished[group].append(scored(tokens[:-1], log_prob, config))
            live[group] = [each for each in best if each[0][-1] != EOS][:size]
            if len(finished[group]) < size:
                chosen += [tokens[-1] for tokens, *_ in live[group]]
    found = {tuple(hypothesis.tokens): hypothesis for hypotheses in finished for hypothesis in hypotheses}
    return sorted(found.values(), key=lambda hypothesis: -hypothesis.score)[: config.n_best]


@pytest.mark.parametrize(("penalty", "alpha", "seed"), [(LengthPenalty.none, 1.0, 0), (LengthPenalty.average, 1.0, 1)])
@pytest.mark.parametrize(("beam", "groups"), [(3, 3), (4, 2), (6, 3), (6, 1), (8, 2)])
@pytest.mark.parametrize("diversity", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("end", [-2.0, 1.0])
def test_the_groups_follow_algorithm_1(
    end: float, diversity: float, beam: int, groups: int, penalty: LengthPenalty, alpha: float, seed: int
) -> None:
    toy = Toy(seed, end)
    search = config(beam, groups, diversity, length_penalty=penalty, alpha=alpha)
    most = [7, 3, 0, 9]
    results = diverse(toy, [1, 2, 3, 4], most, search)
    for sentence, longest, hypotheses in zip([1, 2, 3, 4], most, results, strict=True):
        assert_same(hypotheses, algorithm_1(toy, sentence, longest, search))


@pytest.mark.parametrize("seed", range(3))
def test_one_group_is_the_plain_beam_and_no_diversity_is_its_first_group(seed: int) -> None:
    toy = Toy(seed)
    sentences, most = [1, 2, 3], [8, 5, 9]
    plain = SearchConfig(beam_size=4, n_best=4)
    for search in (config(4, 1, 5.0), config(8, 2, 0.0, n_best=4)):
        results = diverse(toy, sentences, most, search)
        for sentence, longest, hypotheses in zip(sentences, most, results, strict=True):
            assert_same(hypotheses, plain_beam(toy, sentence, longest, plain))


def test_groups_of_one_under_strong_diversity_take_a_different_first_word_each() -> None:
    toy = Toy(0)
    sentences, most = list(range(1, 21)), [8] * 20

    def first_words(found: list[list[Hypothesis]]) -> list[int]:
        return [len({tuple(each.tokens[:1]) for each in hypotheses}) for hypotheses in found]

    assert first_words(diverse(toy, sentences, most, config(4, 4, 50.0))) == [4] * 20  # three words and the end
    assert sum(first_words(run(toy, sentences, most, SearchConfig(beam_size=4, n_best=4)))) < 70


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_finds_what_each_sentence_finds_alone(seed: int) -> None:
    toy = Toy(seed, end=1.0)
    sentences, most = list(range(1, 11)), [6, 0, 9, 1, 3, 12, 6, 2, 20, 4]
    search = config(6, 3, 0.5)
    together = diverse(toy, sentences, most, search)
    assert together == [diverse(toy, [s], [longest], search)[0] for s, longest in zip(sentences, most, strict=True)]
    assert together[::-1] == diverse(toy, sentences[::-1], most[::-1], search)


def test_finished_sentences_leave_the_batch_and_an_empty_one_gives_nothing() -> None:
    toy = Toy(0, end=-20.0)  # no hypothesis ends before the limit
    diverse(toy, [1, 2, 3], [2, 5, 2], config(4, 2, 0.5))
    assert toy.rows_asked == [6, 12, 12, 4, 4, 4]
    assert diverse(toy, [], [], config(4, 2, 1)) == []


def test_a_model_that_never_ends_has_no_hypothesis() -> None:
    assert diverse(Toy(0, end=float("-inf")), [1, 2], [4, 0], config(4, 2, 0.5)) == [[], []]


def test_rules_and_the_bonus_hold_in_every_group() -> None:
    toy = Toy(0, end=-3.0)
    prefixes = [[{4: 1}, {5: 2}], []]
    rules = [ForcedPrefix(prefixes, [BlockNgrams(2)])]

    def bonus(state: Prefixes) -> torch.Tensor:
        return -(state.codes % 7).float()

    for search in (config(6, 3, 1.0), config(6, 1, 0.0)):
        both = request(toy, [1, 2], [9, 9], search, rules, bonus)
        results = diverse_search(both)
        for hypothesis in [each for hypotheses in results for each in hypotheses]:
            pairs = list(zip(hypothesis.tokens, hypothesis.tokens[1:], strict=False))
            assert len(set(pairs)) == len(pairs)
        assert all(hypothesis.tokens[:2] == [4, 5] for hypothesis in results[0])
        for sentence, hypotheses in zip([1, 2], results, strict=True):
            for hypothesis in hypotheses:
                code = sentence
                for token in [2, *hypothesis.tokens]:
                    code = (code * 7 + token) % 1009
                expected = scored(hypothesis.tokens, hypothesis.log_prob, search).score - code % 7
                assert hypothesis.score == pytest.approx(expected, abs=1e-5)
    assert [[h.tokens for h in hypotheses] for hypotheses in results] == [
        [h.tokens for h in hypotheses] for hypotheses in beam_search(both)
    ]
