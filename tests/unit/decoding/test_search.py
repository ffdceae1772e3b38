"""Search against the enumeration of all sequences, and against the same rule written over plain lists."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nmt.config import LengthPenalty, SearchConfig, SearchKind
from nmt.decoding.search import Hypothesis, Symbols, search

PAD, UNK, BOS, EOS, *WORDS = range(7)
SYMBOLS = Symbols(BOS, EOS, banned=(PAD, UNK, BOS))
VOCABULARY = 7
TABLE_SIZE = 1009
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


@dataclass
class Prefixes:
    """A state: the whole prefix of each hypothesis, as one number."""

    codes: Tensor
    """(B K,)"""

    def select(self, rows: Tensor) -> "Prefixes":
        return Prefixes(self.codes[rows.flatten()])


class Toy:
    """A model whose next word depends on the sentence and on every word before. Banned words are its favourites."""

    def __init__(self, seed: int, end: float = 0.0) -> None:
        """
        Args:
            end: is added to the logit of eos.
        """
        numbers = random.Random(seed)
        logits = torch.tensor([[4 * numbers.random() for _ in range(VOCABULARY)] for _ in range(TABLE_SIZE)])
        logits[:, EOS] += end
        logits[:, list(SYMBOLS.banned)] = 5.0
        self.table = logits.double().log_softmax(dim=-1)
        self.lists: list[list[float]] = self.table.tolist()
        self.rows_asked: list[int] = []

    def start(self, sentences: list[int]) -> Prefixes:
        return Prefixes(torch.tensor(sentences))

    def step(self, tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        assert tokens.shape == state.codes.shape
        self.rows_asked.append(len(tokens))
        codes = (state.codes * VOCABULARY + tokens) % TABLE_SIZE
        return self.table[codes].float(), Prefixes(codes)

    def log_probs(self, sentence: int, tokens: list[int]) -> list[float]:
        """Of the next word after these."""
        code = sentence
        for token in [BOS, *tokens]:
            code = (code * VOCABULARY + token) % TABLE_SIZE
        return self.lists[code]


def config(
    beam: int,
    n_best: int = 1,
    penalty: LengthPenalty = LengthPenalty.average,
    alpha: float = 1.0,
    kind: SearchKind = SearchKind.beam,
) -> SearchConfig:
    return SearchConfig(kind=kind, beam_size=beam, n_best=n_best, length_penalty=penalty, alpha=alpha)


def run(toy: Toy, sentences: list[int], most: list[int], config: SearchConfig) -> list[list[Hypothesis]]:
    return search(toy.step, toy.start(sentences), torch.tensor(most), SYMBOLS, config)


def tokens_of(found: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in found]


def scored(tokens: list[int], log_prob: float, config: SearchConfig) -> Hypothesis:
    length = len(tokens) + 1
    norms = {"none": 1.0, "average": length**config.alpha, "gnmt": ((5 + length) / 6) ** config.alpha}
    return Hypothesis(tokens, log_prob, log_prob / norms[config.length_penalty.value])


def enumerated(toy: Toy, sentence: int, most: int, config: SearchConfig) -> list[Hypothesis]:
    """Every hypothesis there is, best first."""

    def all_of(tokens: list[int], log_prob: float) -> Iterator[Hypothesis]:
        log_probs = toy.log_probs(sentence, tokens)
        yield scored(tokens, log_prob + log_probs[EOS], config)
        if len(tokens) < most:
            for word in WORDS:
                yield from all_of([*tokens, word], log_prob + log_probs[word])

    return sorted(all_of([], 0.0), key=lambda hypothesis: -hypothesis.score)


def plain_beam(toy: Toy, sentence: int, most: int, config: SearchConfig) -> list[Hypothesis]:
    """The rule of `search` for one sentence, over lists, without leaving early when no better one can come."""
    live: list[tuple[list[int], float]] = [([], 0.0)]
    finished: list[Hypothesis] = []
    size = config.beam_size
    for length in range(most + 1):
        allowed = [EOS, *WORDS] if length < most else [EOS]
        longer = [
            ([*tokens, word], log_prob + toy.log_probs(sentence, tokens)[word])
            for tokens, log_prob in live
            for word in allowed
        ]
        best = sorted(longer, key=lambda pair: -pair[1])[: 2 * size]
        finished += [scored(tokens[:-1], log_prob, config) for tokens, log_prob in best[:size] if tokens[-1] == EOS]
        live = [pair for pair in best if pair[0][-1] != EOS][:size]
        if len(finished) >= size:
            break
    return sorted(finished, key=lambda hypothesis: -hypothesis.score)[: config.n_best]


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-5)
        assert one.score == pytest.approx(other.score, abs=1e-5)


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
    found = run(toy, [1, 2, 3], [10, 10, 2], greedy)
    for sentence, most, [hypothesis] in zip([1, 2, 3], [10, 10, 2], found, strict=True):
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
    [[hypothesis]] = search(Toy(0).step, Toy(0).start([1]), torch.tensor([5]), Symbols(BOS, EOS), config(1))
    assert set(hypothesis.tokens) <= {PAD, UNK, BOS}  # the favourites
    assert len(hypothesis.tokens) == 5


def test_a_hypothesis_that_reaches_the_limit_pays_for_its_end() -> None:
    toy = Toy(0, end=-20.0)
    [[hypothesis]] = run(toy, [1], [4], config(1))
    assert len(hypothesis.tokens) == 4
    spent = [toy.log_probs(1, hypothesis.tokens[:t])[word] for t, word in enumerate([*hypothesis.tokens, EOS])]
    assert hypothesis.log_prob == pytest.approx(sum(spent), rel=1e-5)
    assert hypothesis.score == pytest.approx(sum(spent) / 5, rel=1e-5)


def test_a_limit_of_no_tokens_gives_the_empty_translation() -> None:
    found = run(Toy(0), [1, 2], [0, 0], config(5, n_best=5))
    assert tokens_of(found) == [[[]], [[]]]


def test_an_empty_batch_gives_nothing() -> None:
    assert search(Toy(0).step, Prefixes(torch.empty(0).long()), torch.empty(0).long(), SYMBOLS, config(3)) == []


@pytest.mark.parametrize("penalty", [LengthPenalty.average, LengthPenalty.gnmt])
def test_alpha_zero_is_no_penalty(penalty: LengthPenalty) -> None:
    sentences, most = [1, 2, 3, 4], [8, 8, 8, 8]
    expected = run(Toy(1), sentences, most, config(4, 4, LengthPenalty.none))
    assert run(Toy(1), sentences, most, config(4, 4, penalty, alpha=0.0)) == expected


def test_finished_sentences_leave_the_batch() -> None:
    toy = Toy(0, end=-20.0)  # nobody ends before the limit
    run(toy, [1, 2, 3], [2, 6, 2], config(2))
    assert toy.rows_asked == [3, 6, 6, 2, 2, 2, 2]


def test_search_ends_as_soon_as_nothing_better_can_come() -> None:
    toy = Toy(0, end=20.0)  # everybody ends at once
    [[hypothesis]] = run(toy, [1], [50], config(5))
    assert hypothesis.tokens == []
    assert len(toy.rows_asked) == 1


@pytest.mark.parametrize("broken", [float("-inf"), float("nan")])
def test_a_sentence_that_cannot_go_on_has_no_hypothesis_and_disturbs_no_other(broken: float) -> None:
    toy = Toy(0)

    def step(tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        log_probs, following = toy.step(tokens, state)
        log_probs[state.codes == 2] = broken  # the start of the second sentence
        return log_probs, following

    found = search(step, toy.start([1, 2, 3]), torch.tensor([5, 5, 5]), SYMBOLS, config(3))
    assert found[1] == []
    assert [found[0], found[2]] == run(toy, [1, 3], [5, 5], config(3))


def test_a_model_that_never_ends_has_no_hypothesis() -> None:
    assert run(Toy(0, end=float("-inf")), [1, 2], [4, 0], config(3)) == [[], []]


class Unordered(Prefixes):
    """A state with a mistake: it keeps as many rows as it must, but not the chosen ones."""

    def select(self, rows: Tensor) -> "Unordered":
        return Unordered(self.codes[rows.sort(dim=1).values.flatten()])


def test_these_tests_would_notice_a_state_in_the_wrong_order() -> None:
    toy = Toy(0)

    def step(tokens: Tensor, state: Unordered) -> tuple[Tensor, Unordered]:
        log_probs, state = toy.step(tokens, state)
        return log_probs, Unordered(state.codes)

    narrow = config(4, n_best=4)
    wrong = search(step, Unordered(torch.tensor([1, 2, 3])), torch.tensor([8, 8, 8]), SYMBOLS, narrow)
    assert tokens_of(wrong) != tokens_of(run(toy, [1, 2, 3], [8, 8, 8], narrow))


def test_golden_outputs_of_a_seeded_toy() -> None:
    found = run(Toy(7, end=-1.0), [1, 2, 3], [8, 8, 8], config(4, n_best=2))
    assert tokens_of(found) == [
        [[6, 6, 4, 6], [6, 5, 4, 4, 6, 5, 4]],
        [[4, 5], [6, 6, 4, 5, 5, 6]],
        [[4, 5, 4, 6, 4, 6, 6], [6, 4, 4, 6, 4, 4, 4]],
    ]
