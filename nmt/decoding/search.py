"""Greedy and beam search. They know no model: only a step function and a state that can be reordered.

B sentences, K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.config import LengthPenalty, SearchConfig, SearchKind


class State(Protocol):
    def select(self, rows: Tensor) -> Self:
        """The state of the hypotheses `rows`, (B', K'): indices of the B K old ones, a sentence a line."""


S = TypeVar("S", bound=State)
Step = Callable[[Tensor, S], tuple[Tensor, S]]
"""Last tokens (B K,) and state to log-probabilities of the next, (B K, V), and the next state."""


@dataclass(frozen=True)
class Symbols:
    bos_id: int
    eos_id: int
    banned: tuple[int, ...] = ()
    """Words that are never chosen: padding, bos, the unknown word."""


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
    step: Step[S], state: S, max_lengths: Tensor, symbols: Symbols, config: SearchConfig
) -> list[list[Hypothesis]]:
    """Beam search over a batch of B sentences; greedy search is a beam of one.

    Args:
        step: the model.
        state: before the first token, one hypothesis for each sentence.
        max_lengths: most tokens of each sentence's hypotheses, eos not counted, (B,).
        symbols: the special words.
        config: greedy or beam, its width, its length penalty.

    Returns:
        The `n_best` hypotheses of each sentence, best first; fewer where there are no more.

    Each step takes the 2 K best continuations of a sentence's K live hypotheses. Those among the first K that end in
    eos are finished; the K best that do not end live on. At its most tokens a sentence may only end. A sentence is
    done, and leaves the batch, when it has K finished hypotheses, or when no live one can still beat the worst of
    its n best: a log-probability only falls, so a live hypothesis is worth at most what it has now, over the
    largest divisor it can reach.
    """
    size = 1 if config.kind == SearchKind.greedy else config.beam_size  # K
    device = max_lengths.device
    finished: list[list[Hypothesis]] = [[] for _ in max_lengths]
    to_beat = torch.full((len(max_lengths),), float("-inf"), device=device)  # score of the worst of the n best
    largest_norm = length_norm(max_lengths + 1, config)
    lines = torch.arange(len(max_lengths), device=device)  # the sentences still searched, (B,)
    scores = torch.zeros(len(lines), 1, device=device)  # log-probabilities of the live hypotheses, (B, K)
    history = torch.full((len(lines), 1, 1), symbols.bos_id, device=device)  # their tokens, (B, K, t)
    length = 0
    while len(lines):
        length += 1
        log_probs, state = step(history[:, :, -1].flatten(), state)  # (B K, V)
        words = log_probs.size(-1)
        total = scores.unsqueeze(-1) + log_probs.view(*scores.shape, words)  # (B, K, V)
        total[:, :, list(symbols.banned)] = float("-inf")
        may_only_end = (max_lengths[lines] < length).view(-1, 1, 1)
        no_end = torch.arange(words, device=device) != symbols.eos_id
        total.masked_fill_(may_only_end & no_end, float("-inf"))
        best, flat = total.flatten(1).topk(min(2 * size, total[0].numel()), dim=1)  # (B, 2 K)
        parent, word = flat // words, flat % words
        ends = word == symbols.eos_id

        ended = (ends & best.isfinite())[:, :size].nonzero()  # pairs of line and rank
        line, rank = ended.unbind(1)
        endings = zip(
            lines[line].tolist(),
            history[line, parent[line, rank], 1:].tolist(),
            best[line, rank].tolist(),
            (best / length_norm(length, config).to(device))[line, rank].tolist(),
            strict=True,
        )
        for sentence, tokens, log_prob, score in endings:
            found = finished[sentence]
            found.append(Hypothesis(tokens, log_prob, score))
            found.sort(key=lambda hypothesis: -hypothesis.score)
            if len(found) >= config.n_best:
                to_beat[sentence] = float("inf") if len(found) >= size else found[config.n_best - 1].score

        alive = ends.int().argsort(dim=1, stable=True)[:, :size]  # the K best that do not end, (B, K)
        live_scores = best.masked_fill(ends, float("-inf")).gather(1, alive)
        hopes = live_scores.max(dim=1).values / largest_norm[lines]
        stay = (hopes > to_beat[lines]).nonzero().squeeze(1)  # lines of the sentences that are not done
        rows = stay.unsqueeze(1) * scores.size(1) + parent.gather(1, alive)[stay]  # (B', K)
        state = state.select(rows)
        history = torch.cat([history.flatten(0, 1)[rows], word.gather(1, alive)[stay].unsqueeze(-1)], dim=-1)
        lines, scores = lines[stay], live_scores[stay]
    return [found[: config.n_best] for found in finished]
