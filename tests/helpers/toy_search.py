"""Toy model for tests of search, enumeration of its sequences, and beam search over plain lists."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nmt.config import LengthPenalty, SearchConfig, SearchKind
from nmt.decoding import Hypothesis, SearchRequest, Symbols, beam_search
from nmt.decoding.search import LogitsProcessor
from nmt.models import StepOutput

PAD, UNK, BOS, EOS, *WORDS = range(7)
SYMBOLS = Symbols(BOS, EOS, banned=(PAD, UNK, BOS))
VOCABULARY = 7
TABLE_SIZE = 1009


@dataclass
class Prefixes:
    """State that stores the whole prefix of each hypothesis as one number, (B K,)."""

    codes: Tensor

    def select(self, rows: Tensor) -> "Prefixes":
        return Prefixes(self.codes[rows.flatten()])


class Toy:
    """Model whose next word depends on the sentence and on every word before. Banned words have the highest logits."""

    def __init__(self, seed: int, end: float = 0.0) -> None:
        """
        Args:
            seed: seed of the logits.
            end: added to the logit of eos.
        """
        numbers = random.Random(seed)
        logits = torch.tensor([[4 * numbers.random() for _ in range(VOCABULARY)] for _ in range(TABLE_SIZE)])
        logits[:, EOS] += end
        logits[:, list(SYMBOLS.banned)] = 5.0
        self.table = logits.double().log_softmax(dim=-1)
        self.lists: list[list[float]] = self.table.tolist()
        self.rows_asked: list[int] = []

    def start(self, sentences: list[int]) -> Prefixes:
        return Prefixes(torch.tensor(sentences, dtype=torch.long))

    def step(self, tokens: Tensor, state: Prefixes) -> StepOutput[Prefixes]:
        assert tokens.shape == state.codes.shape
        self.rows_asked.append(len(tokens))
        codes = (state.codes * VOCABULARY + tokens) % TABLE_SIZE
        return StepOutput(self.table[codes].float(), Prefixes(codes))

    def log_probs(self, sentence: int, tokens: list[int]) -> list[float]:
        """Return the log-probabilities of the next word after these."""
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


def request(
    toy: Toy,
    sentences: list[int],
    most: list[int],
    config: SearchConfig,
    processors: Sequence[LogitsProcessor] = (),
    bonus: Callable[[Prefixes], Tensor] | None = None,
    step: Callable[[Tensor, Prefixes], StepOutput[Prefixes]] | None = None,
) -> SearchRequest[Prefixes]:
    limits = torch.tensor(most, dtype=torch.long)
    return SearchRequest(step or toy.step, toy.start(sentences), limits, SYMBOLS, config, processors, bonus)


def run(toy: Toy, sentences: list[int], most: list[int], config: SearchConfig) -> list[list[Hypothesis]]:
    return beam_search(request(toy, sentences, most, config))


def tokens_of(found: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in found]


def scored(tokens: list[int], log_prob: float, config: SearchConfig) -> Hypothesis:
    length = len(tokens) + 1
    norms = {"none": 1.0, "average": length**config.alpha, "gnmt": ((5 + length) / 6) ** config.alpha}
    return Hypothesis(tokens, log_prob, log_prob / norms[config.length_penalty.value])


def enumerated(toy: Toy, sentence: int, most: int, config: SearchConfig) -> list[Hypothesis]:
    """Return all hypotheses, best first."""

    def all_of(tokens: list[int], log_prob: float) -> Iterator[Hypothesis]:
        log_probs = toy.log_probs(sentence, tokens)
        yield scored(tokens, log_prob + log_probs[EOS], config)
        if len(tokens) < most:
            for word in WORDS:
                yield from all_of([*tokens, word], log_prob + log_probs[word])

    return sorted(all_of([], 0.0), key=lambda hypothesis: -hypothesis.score)


def plain_beam(toy: Toy, sentence: int, most: int, config: SearchConfig) -> list[Hypothesis]:
    """Run beam search for one sentence over lists, without the early end when no better hypothesis can follow."""
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
