"""The decoding loop that all searches share. It calls `step` and `state.select`, and depends on no model class.

B sentences with K hypotheses each, V words in the vocabulary, t tokens decoded so far, bos counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.config import LengthPenalty, SearchConfig
from nmt.decoding.hypothesis import Hypothesis, Symbols
from nmt.models import StepOutput, WordSubsets

LEAVE_TOGETHER = 0.1
"""Share of a batch that must be finished before its rows are removed; each removal copies the rows that stay."""


class LogitsProcessor(Protocol):
    """Rule that forbids words."""

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        """Set the log-probabilities of forbidden words to -inf.

        Args:
            log_probs: log-probabilities of the next words, (B, K, V), changed in place.
            history: tokens so far, bos first, (B, K, t).
            sentences: indices of the batch's sentences in the search request, (B,).
        """


class State(Protocol):
    """Decoder state of a batch of hypotheses."""

    def select(self, rows: Tensor) -> Self:
        """Return the state of the hypotheses `rows`, (B', K'): indices of the B K rows, one sentence per line."""


S = TypeVar("S", bound=State)
Step = Callable[[Tensor, S], StepOutput[S]]
"""Model step: last tokens (B K,) and state to the next log-probabilities, which search overwrites, and state."""


@dataclass(frozen=True)
class SearchRequest(Generic[S]):
    """Inputs of one search over a batch of B sentences."""

    step: Step[S]
    """Model step."""
    state: S
    """State before the first token, one hypothesis per sentence."""
    max_lengths: Tensor
    """Maximum number of tokens of each sentence's hypotheses, eos not counted, (B,)."""
    symbols: Symbols
    """Special tokens."""
    config: SearchConfig
    """Search configuration."""
    processors: Sequence[LogitsProcessor] = ()
    """Rules that forbid words."""
    bonus: Callable[[S], Tensor] | None = None
    """Bonus (B K,), at most 0, added to the scores of hypotheses that end, from the state after the step."""
    subsets: WordSubsets | None = None
    """Words that the sentences may use; `step` then returns the log-probabilities of these, (B K, N). None: all."""

    @property
    def selects_places(self) -> bool:
        """True if strategies that can select places in the subsets do so; rules need word ids."""
        return self.subsets is not None and not self.processors

    def scores(self, log_probs: Tensor, parents: Tensor, length: int, bonus: Tensor | None) -> Tensor:
        """Return the ranking scores of C hypotheses per sentence that end with `length` tokens, eos counted, (B, C).

        Args:
            log_probs: their log-probabilities, (B, C).
            parents: the hypothesis that each of them continues, from 0 to K - 1, (B, C).
            length: number of tokens.
            bonus: bonus of each continued hypothesis, (B, K), or None.
        """
        scores = log_probs / length_norm(length, self.config).to(log_probs.device)
        return scores if bonus is None else scores + bonus.gather(1, parents)


def length_norm(length: Tensor | int, config: SearchConfig) -> Tensor:
    """Return the length-penalty divisor of a hypothesis with `length` tokens, eos counted.

    none: 1; average: length^alpha; gnmt: ((5 + length) / 6)^alpha (Wu et al. 2016, eq. 14).
    """
    length = torch.as_tensor(length, dtype=torch.float32)
    match config.length_penalty:
        case LengthPenalty.none:
            return torch.ones_like(length)
        case LengthPenalty.average:
            return length**config.alpha
        case LengthPenalty.gnmt:
            return ((5 + length) / 6) ** config.alpha


@dataclass
class ActiveBeams:
    """The sentences that are being searched, and their hypotheses."""

    sentences: Tensor
    """Indices of the sentences in the search request, (B,)."""
    limits: Tensor
    """Maximum number of tokens of their hypotheses, (B,)."""
    open: Tensor
    """False for sentences that are finished but still in the batch, (B,)."""
    history: Tensor
    """Tokens so far, bos first, (B, K, t)."""

    @property
    def length(self) -> int:
        """Number of tokens of a hypothesis that ends in this step, eos counted: t."""
        return self.history.size(2)

    def rows(self, parents: Tensor) -> Tensor:
        """Return the indices into the B K rows of hypotheses numbered from 0 to K - 1 per sentence, (B, C)."""
        sentences, hypotheses, _ = self.history.shape
        return parents + hypotheses * torch.arange(sentences, device=parents.device).unsqueeze(1)

    def remaining(self) -> Tensor | None:
        """Return the mask (B,) of sentences that stay in the batch, or None if all stay."""
        return self.open if self.open.sum() <= (1 - LEAVE_TOGETHER) * len(self.open) else None

    def extend(self, chosen: "Continuation") -> "ActiveBeams":
        """Return the beams after a step."""
        sentences, limits, is_open = self.sentences, self.limits, self.open
        if chosen.stay is not None:
            sentences, limits, is_open = sentences[chosen.stay], limits[chosen.stay], is_open[chosen.stay]
        history = self.history
        if chosen.rows is not None:
            history = history.flatten(0, 1).index_select(0, chosen.rows.flatten()).view(*chosen.rows.shape, self.length)
        return ActiveBeams(sentences, limits, is_open, torch.cat([history, chosen.words.unsqueeze(2)], dim=2))


class Continuation(NamedTuple):
    """Hypotheses that continue after a step, K' for each of the B' sentences that stay."""

    words: Tensor
    """The new word of each hypothesis, (B', K')."""
    rows: Tensor | None
    """Index of the continued hypothesis among the B K rows, (B', K'); None if all continue in place."""
    stay: Tensor | None
    """Mask of the sentences that stay in the batch, (B,); None if all stay."""


class Selection(ABC, Generic[S]):
    """Strategy that selects continuations: beam, diverse beam, constrained beam or sampling."""

    hypotheses = 1
    """Number of hypotheses per sentence at the first step."""
    selects_places = False
    """True for a strategy that reads no words except eos: it can select places in the subsets of the vocabulary."""

    def __init__(self, request: SearchRequest[S]) -> None:
        self.request = request
        self.config = request.config
        self.eos_id = request.symbols.eos_id

    @abstractmethod
    def select(self, beams: ActiveBeams, log_probs: Tensor, state: S) -> Continuation:
        """Select the continuations of a step, and record the hypotheses that end.

        Clear `beams.open` for sentences that are finished. A finished sentence stays until the strategy removes it.

        Args:
            beams: the sentences and their hypotheses.
            log_probs: log-probabilities of the next words, -inf for forbidden ones, (B, K, V).
            state: state after the step.
        """

    @abstractmethod
    def results(self) -> list[list[Hypothesis]]:
        """Return the hypotheses of each sentence of the request."""

    def bonus(self, state: S, hypotheses: int) -> Tensor | None:
        """Return the bonus of each hypothesis if it ended now, (B, K), or None without a bonus."""
        return None if self.request.bonus is None else self.request.bonus(state).view(-1, hypotheses)


@torch.inference_mode()
def decode(request: SearchRequest[S], selection: Selection[S]) -> list[list[Hypothesis]]:
    """Run the decoding loop.

    At each step the model scores the next words of all hypotheses, forbidden words are removed, and the selection
    chooses the continuations. A sentence that has reached its maximum length can only end.

    With subsets of the vocabulary, a strategy sees the words of the subsets at their places, which are the ids for
    special tokens. If a rule or the strategy needs word ids, it sees all words instead.

    Returns:
        The hypotheses of each sentence.
    """
    limits, symbols, state = request.max_lengths, request.symbols, request.state
    device = limits.device
    shortest = int(limits.min()) if len(limits) else 0
    banned = torch.tensor(symbols.banned, dtype=torch.long, device=device)
    beams = ActiveBeams(
        sentences=torch.arange(len(limits), device=device),
        limits=limits,
        open=torch.ones(len(limits), dtype=torch.bool, device=device),
        history=torch.full((len(limits), selection.hypotheses, 1), symbols.bos_id, device=device),
    )
    subsets = request.subsets
    places = selection.selects_places and request.selects_places
    if selection.hypotheses > 1:
        state = state.select(beams.sentences.unsqueeze(1).expand(-1, selection.hypotheses))
    while len(beams.sentences):
        log_probs, state, _ = request.step(beams.history[:, :, -1].flatten(), state)
        log_probs = log_probs.view(*beams.history.shape[:2], -1)  # (B, K, V)
        log_probs.index_fill_(2, banned, float("-inf"))
        if subsets is not None and not places:
            log_probs = subsets.spread(log_probs, beams.sentences)
        if beams.length > shortest:
            force_eos(log_probs, (beams.limits < beams.length) & beams.open, symbols.eos_id)
        for process in request.processors:
            process(log_probs, beams.history, beams.sentences)
        chosen = selection.select(beams, log_probs, state)
        if subsets is not None and places:
            sentences = beams.sentences if chosen.stay is None else beams.sentences[chosen.stay]
            chosen = chosen._replace(words=subsets.full_ids(chosen.words, sentences))
        beams = beams.extend(chosen)
        if chosen.rows is not None and len(beams.sentences):
            state = state.select(chosen.rows)
    return selection.results()


def force_eos(log_probs: Tensor, sentences: Tensor, eos_id: int) -> None:
    """Forbid everything except eos in `log_probs` (B, K, V) for the sentences of a mask (B,), in place."""
    for line in sentences.nonzero().flatten().tolist():
        end = log_probs[line, :, eos_id].clone()
        log_probs[line] = float("-inf")
        log_probs[line, :, eos_id] = end


def finished_hypotheses(history: Tensor, log_probs: Tensor, scores: Tensor) -> Iterator[Hypothesis]:
    """Yield N ended hypotheses from their tokens, bos first, (N, t), log-probabilities and scores, each (N,)."""
    for tokens, log_prob, score in zip(history[:, 1:].tolist(), log_probs.tolist(), scores.tolist(), strict=True):
        yield Hypothesis(tokens, log_prob, score)
