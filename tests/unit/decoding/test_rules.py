"""N-gram blocking and forced prefixes compared with the enumeration of all sequences that satisfy them."""

import pytest
from toy_search import BOS, EOS, WORDS, Toy, assert_same, config, enumerated, plain_beam, request, tokens_of
from toy_search import run as run_plain

from nmt.config import LengthPenalty, SearchConfig, SearchKind
from nmt.decoding import Hypothesis, beam_search
from nmt.decoding.rules import BlockNgrams, ForcedPrefix

UNCONSTRAINED: list[list[int]] = []


def repeats(tokens: list[int], n: int) -> bool:
    ngrams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(ngrams)) < len(ngrams)


def fits(tokens: list[int], prefix: list[list[int]]) -> bool:
    return len(tokens) >= len(prefix) and all(word in words for word, words in zip(tokens, prefix, strict=False))


def automaton(prefix: list[list[int]]) -> list[dict[int, int]]:
    """Return the automaton of a prefix, given as the allowed words at each position."""
    return [dict.fromkeys(words, place + 1) for place, words in enumerate(prefix)]


def run(
    toy: Toy, most: list[int], config: SearchConfig, n: int, prefixes: list[list[list[int]]]
) -> list[list[Hypothesis]]:
    sentences = list(range(1, len(most) + 1))
    rules = [ForcedPrefix([automaton(prefix) for prefix in prefixes], [BlockNgrams(n)] if n else [])]
    return beam_search(request(toy, sentences, most, config, rules))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("penalty", [LengthPenalty.none, LengthPenalty.average])
def test_a_wide_beam_finds_the_best_without_repeated_ngrams(penalty: LengthPenalty, n: int, seed: int) -> None:
    toy = Toy(seed, end=-4.0)
    wide = config(beam=130, n_best=130, penalty=penalty)
    most = [4, 0, 3, 4]
    results = run(toy, most, wide, n, [UNCONSTRAINED] * 4)
    for sentence, (longest, hypotheses) in enumerate(zip(most, results, strict=True), start=1):
        everything = enumerated(toy, sentence, longest, wide)
        allowed = [hypothesis for hypothesis in everything if not repeats(hypothesis.tokens, n)]
        assert_same(hypotheses, allowed)
    assert len(allowed) < len(everything)


@pytest.mark.parametrize("beam", [1, 3])
def test_blocking_in_a_narrow_beam_takes_the_words_from_each_step(beam: int) -> None:
    """Compare with beam search over lists, for a model in which repetitions have no probability."""

    class Fresh(Toy):
        def log_probs(self, sentence: int, tokens: list[int]) -> list[float]:
            found = super().log_probs(sentence, tokens)
            return [
                float("-inf") if word in WORDS and repeats([*tokens, word], 2) else log_prob
                for word, log_prob in enumerate(found)
            ]

    toy = Fresh(2, end=-3.0)
    narrow = config(beam, n_best=beam)
    most = [12, 7, 9]
    for number, hypotheses in enumerate(run(toy, most, narrow, 2, [UNCONSTRAINED] * 3)):
        assert_same(hypotheses, plain_beam(toy, number + 1, most[number], narrow))


def test_what_is_blocked_may_always_end() -> None:
    toy = Toy(0, end=-20.0)
    [[hypothesis]] = run(toy, [9], config(1), 1, [UNCONSTRAINED])
    assert sorted(hypothesis.tokens) == WORDS  # each once, then only eos is left


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_that_begin_with_the_prefix(seed: int) -> None:
    toy = Toy(seed)
    wide = config(beam=130, n_best=130)
    prefixes = [[[4], [5]], UNCONSTRAINED, [[6]], [[5], [4, 6], [6]], [[4], [4, EOS]]]
    most = [4, 3, 2, 4, 3]
    results = run(toy, most, wide, 0, prefixes)
    for sentence, (longest, prefix, hypotheses) in enumerate(zip(most, prefixes, results, strict=True), start=1):
        everything = enumerated(toy, sentence, longest, wide)
        assert_same(hypotheses, [hypothesis for hypothesis in everything if fits([*hypothesis.tokens, EOS], prefix)])


def test_a_prefix_may_be_written_in_several_ways() -> None:
    toy = Toy(3)
    wide = config(beam=130, n_best=130)
    ways = [{4: 1, 5: 3}, {6: 2}, {4: 3, 6: 3}]  # 4 6 4, 4 6 6 or 5
    hypotheses = beam_search(request(toy, [1], [4], wide, [ForcedPrefix([ways])]))[0]
    begun = [
        each
        for each in enumerated(toy, 1, 4, wide)
        if each.tokens[:3] in ([4, 6, 4], [4, 6, 6]) or each.tokens[:1] == [5]
    ]
    assert_same(hypotheses, begun)


@pytest.mark.parametrize("kind", [SearchKind.greedy, SearchKind.beam])
def test_a_prefix_does_not_disturb_the_neighbours_and_leaves_with_its_sentence(kind: SearchKind) -> None:
    toy = Toy(1, end=1.0)
    narrow = config(3, kind=kind)
    prefixes = [[[4]] * 5, UNCONSTRAINED, [[6], [5]], UNCONSTRAINED]
    most = [6, 9, 2, 4]
    together = run(toy, most, narrow, 0, prefixes)
    plain = run_plain(toy, [1, 2, 3, 4], most, narrow)
    assert together[1::2] == plain[1::2]
    assert [hypotheses[0].tokens[:5] for hypotheses in together[::2]] == [[4] * 5, [6, 5]]
    alone = beam_search(request(toy, [3], [2], narrow, [ForcedPrefix([automaton(prefixes[2])])]))
    assert alone == [together[2]]


def test_nothing_of_a_prefix_is_blocked_and_all_that_follows_is() -> None:
    toy = Toy(0, end=-20.0)
    [[hypothesis]] = run(toy, [9], config(2), 1, [[[4], [4], [4]]])
    assert hypothesis.tokens[:3] == [4, 4, 4]
    assert sorted(hypothesis.tokens[3:]) == [5, 6]


def test_rules_change_nothing_where_they_have_nothing_to_say() -> None:
    toy = Toy(3)
    narrow = config(4, n_best=4)
    plain = run_plain(toy, [1, 2], [6, 6], narrow)
    assert run(toy, [6, 6], narrow, 7, [UNCONSTRAINED] * 2) == plain
    assert tokens_of(plain) != tokens_of(run(toy, [6, 6], narrow, 1, [UNCONSTRAINED] * 2))
    assert BOS not in WORDS
