"""Greedy and beam search.

B sentences with K hypotheses each, V words in the vocabulary.
"""

import math

import torch
from torch import Tensor

from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.search import (
    ActiveBeams,
    Continuation,
    S,
    SearchRequest,
    Selection,
    decode,
    finished_hypotheses,
    length_norm,
)

LARGEST_BLOCK = 64
"""Maximum width of the vocabulary blocks whose maxima are found before words are sorted."""


def beam_search(request: SearchRequest[S]) -> list[list[Hypothesis]]:
    """Run beam search. Greedy search is a beam of width one.

    Returns:
        The `n_best` hypotheses of each sentence, best first; fewer if the search finished fewer.
    """
    return decode(request, BeamSelection(request))


class BeamSelection(Selection[S]):
    """The K best continuations of a sentence.

    Each step takes the 2 K best continuations of a sentence's K live hypotheses. Those among the first K that end in
    eos are finished; the K best that do not end stay live. A sentence is finished when it has K finished hypotheses, or
    when no live one can still beat the worst of its n best: a log-probability only falls, so the score of a live
    hypothesis is at most its current log-probability divided by the largest divisor that it can reach.
    """

    selects_places = True

    def __init__(self, request: SearchRequest[S]) -> None:
        super().__init__(request)
        limits = request.max_lengths
        self.finished: list[list[Hypothesis]] = [[] for _ in limits]
        self.scores = torch.zeros(len(limits), 1, device=limits.device)
        """Log-probabilities of the live hypotheses, (B, K)."""
        self.norms = length_norm(limits + 1, self.config).to(limits.device)
        """Largest length-penalty divisor that a hypothesis can reach, (B,)."""
        self.to_beat = torch.full((len(limits),), float("-inf"), device=limits.device)
        """Score of the worst of the n best, (B,); infinite if K hypotheses are finished."""

    def select(self, beams: ActiveBeams, log_probs: Tensor, state: S) -> Continuation:
        size = self.config.width  # K
        best, parents, words = best_continuations(self.scores, log_probs, 2 * size)  # (B, 2 K)
        ends = words == self.eos_id
        ended = (ends & best.isfinite() & beams.open.unsqueeze(1))[:, :size].nonzero()  # pairs of line and rank
        if len(ended):
            self.finish(beams, ended, best, parents, self.bonus(state, self.scores.size(1)))
        scores, alive = best.masked_fill(ends, float("-inf")).topk(min(size, best.size(1)), dim=1)  # (B, K)
        beams.open &= scores[:, 0] / self.norms > self.to_beat
        words, stay = words.gather(1, alive), beams.remaining()
        if size == 1 and stay is None:  # greedy search continues in place
            self.scores = scores
            return Continuation(words, None, None)
        rows = beams.rows(parents.gather(1, alive))
        if stay is not None:
            scores, rows, words = scores[stay], rows[stay], words[stay]
            self.norms, self.to_beat = self.norms[stay], self.to_beat[stay]
        self.scores = scores
        return Continuation(words, rows, stay)

    def finish(self, beams: ActiveBeams, ended: Tensor, best: Tensor, parents: Tensor, bonus: Tensor | None) -> None:
        """Record the hypotheses that end, given as pairs of line and rank, (N, 2)."""
        line, rank = ended.unbind(1)
        scores = self.request.scores(best, parents, beams.length, bonus)
        hypotheses = finished_hypotheses(beams.history[line, parents[line, rank]], best[line, rank], scores[line, rank])
        for at, sentence, hypothesis in zip(line.tolist(), beams.sentences[line].tolist(), hypotheses, strict=True):
            finished = self.finished[sentence]
            finished.append(hypothesis)
            finished.sort(key=lambda hypothesis: -hypothesis.score)
            if len(finished) >= self.config.n_best:
                full = len(finished) >= self.config.width
                self.to_beat[at] = float("inf") if full else finished[self.config.n_best - 1].score

    def results(self) -> list[list[Hypothesis]]:
        return [hypotheses[: self.config.n_best] for hypotheses in self.finished]


def best_continuations(scores: Tensor, log_probs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best of a sentence's K V continuations, best first.

    Args:
        scores: log-probabilities of the hypotheses, (B, K).
        log_probs: log-probabilities of the next words, (B, K, V).
        count: number of continuations, C; fewer are returned if there are fewer.

    Returns:
        Log-probabilities of the longer hypotheses, the hypothesis that each continues (from 0 to K - 1) and its new
        word, each (B, C).

    Equal to `(scores.unsqueeze(2) + log_probs).flatten(1).topk(count)`, which sorts K V numbers. Here the vocabulary is
    cut into blocks. Their maxima are found at the speed of memory, the C best words are in the C blocks with the best
    maxima, and only these blocks are sorted.
    """
    sentences, hypotheses, words = log_probs.shape
    width = math.gcd(words, LARGEST_BLOCK)  # a power of two suits vector registers
    maxima = scores.unsqueeze(2) + log_probs.view(sentences, hypotheses, -1, width).amax(dim=3)  # (B, K, V / width)
    blocks = maxima.flatten(1)
    promising = blocks.topk(min(count, blocks.size(1)), dim=1).indices  # (B, C)
    parents = promising.div(words // width, rounding_mode="floor")  # of each promising block, (B, C)
    first_blocks = blocks.size(1) * torch.arange(sentences, device=scores.device).unsqueeze(1)
    candidates = log_probs.view(-1, width).index_select(0, (promising + first_blocks).flatten())
    candidates = candidates.view(*promising.shape, width)  # (B, C, width)
    totals = (scores.gather(1, parents).unsqueeze(2) + candidates).flatten(1)
    best, flat = totals.topk(min(count, totals.size(1)), dim=1)  # (B, C)
    block = flat.div(width, rounding_mode="floor")
    word = promising.gather(1, block) % (words // width) * width + flat % width
    return best, parents.gather(1, block), word
