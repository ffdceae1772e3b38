"""Greedy and beam search. They know no model: only a step function and a state that can be reordered.

B sentences, K hypotheses each, V words in the vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.config import LengthPenalty, SearchConfig


class LogitsProcessor(Protocol):
    """Something that forbids words."""

    def __call__(self, log_probs: Tensor, history: Tensor, sentences: Tensor) -> None:
        """Sets to -inf what may not come next.

        Args:
            log_probs: of the next words, (B, K, V), changed in place.
            history: the tokens so far, bos first, (B, K, t).
            sentences: which of the searched sentences these are, (B,).
        """


class State(Protocol):
    def select(self, rows: Tensor) -> Self:
        """The state of the hypotheses `rows`, (B', K'): indices of the B K old ones, a sentence a line."""


LEAVE_TOGETHER = 0.1
"""Share of a batch that must be done before it leaves."""
LARGEST_BLOCK = 64
"""Words whose best is found before any are sorted."""
S = TypeVar("S", bound=State)
Step = Callable[[Tensor, S], tuple[Tensor, S]]
"""Last tokens (B K,) and state to the next ones' log-probabilities (B K, V), which search overwrites, and state."""


@dataclass(frozen=True)
class Symbols:
    bos_id: int
    eos_id: int
    banned: tuple[int, ...] = ()
    """Words that are never chosen: padding, bos, the unknown word."""
    blank: tuple[int, ...] = ()
    """Words that write nothing but spaces."""


@dataclass(frozen=True)
class Hypothesis:
    """One translation."""

    tokens: list[int]
    """Without bos and eos."""
    log_prob: float
    """Sum of the log-probabilities, eos counted if it ended by one."""
    score: float
    """The log-probability after the length penalty: what hypotheses are ranked by."""


def length_norm(length: Tensor | int, config: SearchConfig) -> Tensor:
    """What a log-probability of so many tokens, eos counted, is divided by.

    average: length^alpha; gnmt: ((5 + length) / 6)^alpha (Wu et al. 2016, eq. 14).
    """
    length = torch.as_tensor(length, dtype=torch.float32)
    match config.length_penalty:
        case LengthPenalty.none:
            return torch.ones_like(length)
        case LengthPenalty.average:
            return length**config.alpha
        case LengthPenalty.gnmt:
            return ((5 + length) / 6) ** config.alpha


@torch.inference_mode()
def search(
    step: Step[S],
    state: S,
    max_lengths: Tensor,
    symbols: Symbols,
    config: SearchConfig,
    rules: Sequence[LogitsProcessor] = (),
    bonus: Callable[[S], Tensor] | None = None,
) -> list[list[Hypothesis]]:
    """Beam search over a batch of B sentences; greedy search is a beam of one.

    Args:
        step: the model.
        state: before the first token, one hypothesis for each sentence.
        max_lengths: most tokens of each sentence's hypotheses, eos not counted, (B,).
        symbols: the special words.
        config: greedy or beam, its width, its length penalty.
        rules: what else forbids words.
        bonus: what is added to the scores of hypotheses that end, (B K,), from the state after the step; at most 0.

    Returns:
        The `n_best` hypotheses of each sentence, best first; fewer where there are no more.

    Each step takes the 2 K best continuations of a sentence's K live hypotheses. Those among the first K that end in
    eos are finished; the K best that do not end live on. At its most tokens a sentence may only end. A sentence is
    done when it has K finished hypotheses, or when no live one can still beat the worst of its n best: a
    log-probability only falls, so a live hypothesis is worth at most what it has now, over the largest divisor it can
    reach. Sentences that are done leave the batch, several at once, because what stays is copied.
    """
    size = config.width  # K
    device = max_lengths.device
    finished: list[list[Hypothesis]] = [[] for _ in max_lengths]
    banned = torch.tensor(symbols.banned, dtype=torch.long, device=device)
    live = ActiveBeams(
        lines=torch.arange(len(max_lengths), device=device),
        limits=max_lengths,
        norms=length_norm(max_lengths + 1, config).to(device),
        to_beat=torch.full((len(max_lengths),), float("-inf"), device=device),
        open=torch.ones(len(max_lengths), dtype=torch.bool, device=device),
    )
    shortest = int(max_lengths.min()) if len(max_lengths) else 0
    scores = torch.zeros(len(max_lengths), 1, device=device)  # log-probabilities of the live hypotheses, (B, K)
    history = torch.full((len(max_lengths), 1, 1), symbols.bos_id, device=device)  # their tokens, (B, K, t)
    length = 0
    while len(live.lines):
        length += 1
        log_probs, state = step(history[:, :, -1].flatten(), state)
        log_probs = log_probs.view(*scores.shape, -1)  # (B, K, V)
        log_probs.index_fill_(2, banned, float("-inf"))
        if length > shortest:
            force_eos(log_probs, (live.limits < length) & live.open, symbols.eos_id)
        for rule in rules:
            rule(log_probs, history, live.lines)
        best, parent, word = best_continuations(scores, log_probs, 2 * size)  # (B, 2 K)
        ends = word == symbols.eos_id

        ended = (ends & best.isfinite() & live.open.unsqueeze(1))[:, :size].nonzero()  # pairs of line and rank
        if len(ended):
            line, rank = ended.unbind(1)
            rated = best / length_norm(length, config).to(device)
            if bonus is not None:
                rated = rated + bonus(state).view(scores.shape).gather(1, parent)
            hypotheses = finished_hypotheses(history[line, parent[line, rank]], best[line, rank], rated[line, rank])
            for at, sentence, hypothesis in zip(line.tolist(), live.lines[line].tolist(), hypotheses, strict=True):
                found = finished[sentence]
                found.append(hypothesis)
                found.sort(key=lambda hypothesis: -hypothesis.score)
                if len(found) >= config.n_best:
                    live.to_beat[at] = float("inf") if len(found) >= size else found[config.n_best - 1].score

        next_scores, alive = best.masked_fill(ends, float("-inf")).topk(min(size, best.size(1)), dim=1)  # (B, K)
        live.open &= next_scores[:, 0] / live.norms > live.to_beat
        rows = parent.gather(1, alive) + scores.size(1) * torch.arange(len(scores), device=device).unsqueeze(1)
        words = word.gather(1, alive).unsqueeze(2)
        if live.open.sum() <= (1 - LEAVE_TOGETHER) * len(scores):
            stay = live.open
            live, next_scores, rows, words = live.keep(stay), next_scores[stay], rows[stay], words[stay]
        state = state.select(rows)
        history = torch.cat([history.flatten(0, 1)[rows], words], dim=2)
        scores = next_scores
    return [found[: config.n_best] for found in finished]


@dataclass
class ActiveBeams:
    """The sentences in the batch, all (B,)."""

    lines: Tensor
    """Which sentences these are."""
    limits: Tensor
    """Most tokens of their hypotheses."""
    norms: Tensor
    """The largest divisor that the length penalty can reach."""
    to_beat: Tensor
    """The score of the worst of the n best; infinite where all places are taken."""
    open: Tensor
    """False for the sentences that are done and have not left yet."""

    def keep(self, which: Tensor) -> "ActiveBeams":
        return ActiveBeams(
            self.lines[which], self.limits[which], self.norms[which], self.to_beat[which], self.open[which]
        )


def finished_hypotheses(history: Tensor, log_probs: Tensor, scores: Tensor) -> Iterator[Hypothesis]:
    """Hypotheses that ended, N of them: their tokens, bos first, (N, t), log-probabilities and scores, each (N,)."""
    for tokens, log_prob, score in zip(history[:, 1:].tolist(), log_probs.tolist(), scores.tolist(), strict=True):
        yield Hypothesis(tokens, log_prob, score)


def force_eos(log_probs: Tensor, which: Tensor, eos_id: int) -> None:
    """Leaves nothing but eos to the sentences `which`, (B,) bool, in `log_probs`, (B, K, V)."""
    for line in which.nonzero().flatten().tolist():
        end = log_probs[line, :, eos_id].clone()
        log_probs[line] = float("-inf")
        log_probs[line, :, eos_id] = end


def best_continuations(scores: Tensor, log_probs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best of a sentence's K V continuations, best first.

    Args:
        scores: log-probabilities of the hypotheses, (B, K).
        log_probs: of each next word, (B, K, V).
        count: how many, C; fewer come back where there are fewer.

    Returns:
        Log-probabilities of the longer hypotheses, the hypothesis that each continues (from 0 to K - 1) and its new
        word, each (B, C).

    Equal to `(scores.unsqueeze(2) + log_probs).flatten(1).topk(count)`, which sorts its way through K V numbers. Here
    the vocabulary is cut into blocks: a maximum is found at the speed of memory, the C best words are in the C blocks
    with the best maxima, and only these are sorted.
    """
    sentences, hypotheses, words = log_probs.shape
    width = math.gcd(words, LARGEST_BLOCK)  # a power of two, as the processor's registers like it
    maxima = scores.unsqueeze(2) + log_probs.view(sentences, hypotheses, -1, width).amax(dim=3)  # (B, K, V / width)
    blocks = maxima.flatten(1)
    promising = blocks.topk(min(count, blocks.size(1)), dim=1).indices  # (B, C)
    parents = promising.div(words // width, rounding_mode="floor")  # of each promising block, (B, C)
    candidates = log_probs.view(sentences, -1, width)[
        torch.arange(sentences, device=scores.device).unsqueeze(1), promising
    ]  # (B, C, width)
    totals = (scores.gather(1, parents).unsqueeze(2) + candidates).flatten(1)
    best, flat = totals.topk(min(count, totals.size(1)), dim=1)  # (B, C)
    block = flat.div(width, rounding_mode="floor")
    word = promising.gather(1, block) % (words // width) * width + flat % width
    return best, parents.gather(1, block), word
