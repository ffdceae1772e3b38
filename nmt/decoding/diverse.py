"""Diverse beam search: Vijayakumar et al. 2018.

B sentences, G groups of K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.decoding.beam import best_continuations
from nmt.decoding.search import (
    ActiveBeams,
    Continuation,
    Hypothesis,
    S,
    SearchRequest,
    Selection,
    decode,
    finished_hypotheses,
)


def diverse_search(request: SearchRequest[S]) -> list[list[Hypothesis]]:
    """Run diverse beam search and return the `n_best` distinct hypotheses of each sentence over all its groups."""
    return decode(request, DiverseSelection(request))


class DiverseSelection(Selection[S]):
    """Beams of several groups, each of which is penalised for words of the groups before it.

    Algorithm 1 of the paper with its Hamming diversity: in each step the groups choose one after another, and in group
    g the sum of a continuation by the word w becomes Theta + log p(w) - lambda n(w). n(w) is the number of hypotheses
    of the groups before g that have chosen w in this step, eos included. The penalised sums select the continuations.
    The results have the model's own log-probabilities, and are ranked by their scores.

    A group follows the rule of `BeamSelection`, and is finished when it has K finished hypotheses or no live one. Then
    it no longer counts in n(w). A sentence is finished when all its groups are.
    """

    selects_places = True

    def __init__(self, request: SearchRequest[S]) -> None:
        super().__init__(request)
        sentences, device = len(request.max_lengths), request.max_lengths.device
        self.hypotheses = self.groups = self.config.groups  # G
        self.size = self.config.width // self.groups  # K
        self.finished: list[list[list[Hypothesis]]] = [[[] for _ in range(self.groups)] for _ in range(sentences)]
        self.totals = torch.zeros(sentences, self.groups, 1, device=device)
        """Log-probabilities of the live hypotheses, (B, G, K)."""
        self.sums = self.totals.clone()
        """Log-probabilities minus the penalties, (B, G, K)."""
        self.open_groups = torch.ones(sentences, self.groups, dtype=torch.bool, device=device)

    def select(self, beams: ActiveBeams, log_probs: Tensor, state: S) -> Continuation:
        bonus = self.bonus(state, log_probs.size(1))
        taken = log_probs.new_zeros(len(log_probs), log_probs.size(2))  # n(w), (B, V)
        chosen = [
            self.select_group(group, beams, group_log_probs, taken, bonus)
            for group, group_log_probs in enumerate(log_probs.chunk(self.groups, dim=1))
        ]
        sums, totals, parents, words = (torch.stack(parts, dim=1) for parts in zip(*chosen, strict=True))
        rows, words = beams.rows(parents.flatten(1)), words.flatten(1)  # (B, G K)
        beams.open = self.open_groups.any(dim=1)
        if (stay := beams.remaining()) is not None:
            sums, totals, rows, words = sums[stay], totals[stay], rows[stay], words[stay]
            self.open_groups = self.open_groups[stay]
        self.sums, self.totals = sums, totals
        return Continuation(words, rows, stay)

    def select_group(
        self, group: int, beams: ActiveBeams, log_probs: Tensor, taken: Tensor, bonus: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Select the continuations of one group, and add their words to n(w).

        Args:
            group: number of the group.
            beams: the sentences and their hypotheses.
            log_probs: log-probabilities of the group's next words, (B, K, V).
            taken: n(w), (B, V), changed in place.
            bonus: bonus of all hypotheses, (B, G K), or None.

        Returns:
            Penalised sums, log-probabilities, continued hypotheses (numbers from 0 to G K - 1) and words, each (B, K).
        """
        penalised = log_probs - self.config.diversity * taken.unsqueeze(1)
        best, parents, words = best_continuations(self.sums[:, group], penalised, 2 * self.size)  # (B, 2 K)
        line = torch.arange(len(log_probs), device=log_probs.device).unsqueeze(1)
        totals = self.totals[:, group].gather(1, parents) + log_probs[line, parents, words]
        parents = parents + group * log_probs.size(1)
        is_open = self.open_groups[:, group]
        ends = words == self.eos_id
        ended = (ends & best.isfinite() & is_open.unsqueeze(1))[:, : self.size]
        taken[:, self.eos_id] += ended.sum(dim=1)
        if ended.any():
            self.finish(group, beams, ended, totals, parents, bonus)
        sums, alive = best.masked_fill(ends, float("-inf")).topk(min(self.size, best.size(1)), dim=1)  # (B, K)
        words = words.gather(1, alive)
        is_open &= sums[:, 0].isfinite()
        counts = sums.isfinite() & is_open.unsqueeze(1)
        taken.scatter_add_(1, words, counts.to(taken.dtype))
        return sums, totals.gather(1, alive), parents.gather(1, alive), words

    def finish(
        self, group: int, beams: ActiveBeams, ended: Tensor, totals: Tensor, parents: Tensor, bonus: Tensor | None
    ) -> None:
        """Record the hypotheses of a group that end, given as a mask (B, K)."""
        line, rank = ended.nonzero().unbind(1)
        scores = self.request.scores(totals, parents, beams.length, bonus)
        hypotheses = finished_hypotheses(
            beams.history[line, parents[line, rank]], totals[line, rank], scores[line, rank]
        )
        for at, sentence, hypothesis in zip(line.tolist(), beams.sentences[line].tolist(), hypotheses, strict=True):
            self.finished[sentence][group].append(hypothesis)
            if len(self.finished[sentence][group]) >= self.size:
                self.open_groups[at, group] = False

    def results(self) -> list[list[Hypothesis]]:
        return [distinct(groups)[: self.config.n_best] for groups in self.finished]


def distinct(groups: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """Return the hypotheses of all groups without duplicates, best first."""
    unique: dict[tuple[int, ...], Hypothesis] = {}
    every = (hypothesis for group in groups for hypothesis in group)
    for hypothesis in sorted(every, key=lambda hypothesis: -hypothesis.score):
        unique.setdefault(tuple(hypothesis.tokens), hypothesis)
    return list(unique.values())
