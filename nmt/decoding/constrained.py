"""Beam search under lexical constraints: dynamic beam allocation (Post and Vilar 2018).

B sentences with K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.beam import best_continuations
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.phrases import PhraseState, PhraseTracker
from nmt.decoding.search import (
    ActiveBeams,
    Continuation,
    S,
    SearchRequest,
    Selection,
    decode,
    length_norm,
)


def constrained_search(request: SearchRequest[S], phrases: Sequence[PhraseTracker]) -> list[list[Hypothesis]]:
    """Run beam search whose hypotheses contain all phrases of their sentence.

    A sentence without phrases has the result of `beam_search`. A sentence has no hypothesis if its maximum length is
    too short for its phrases.

    Args:
        request: the request.
        phrases: phrases of each sentence.
    """
    return decode(request, ConstrainedSelection(request, phrases))


@dataclass(frozen=True)
class Choice:
    """A possible continuation of one sentence's hypotheses."""

    log_prob: float
    """Log-probability of the longer hypothesis."""
    parent: int
    """Continued hypothesis, from 0 to K - 1."""
    word: int
    """New word."""
    state: PhraseState
    """State of the phrases after the word."""
    bank: int
    """Number of tokens of the phrases that the longer hypothesis contains."""


@dataclass
class ConstrainedSentence:
    """A sentence in the batch."""

    number: int
    """Index of the sentence in the search request."""
    limit: int
    """Maximum number of tokens of its hypotheses."""
    norm: float
    """Largest length-penalty divisor that a hypothesis can reach."""
    phrases: PhraseTracker
    """Phrases of the sentence."""
    states: list[PhraseState]
    """State of the phrases in each live hypothesis; further hypotheses of the batch have no probability."""
    open: bool = True
    """False if the sentence is finished."""


class ConstrainedSelection(Selection[S]):
    """The best continuations of a sentence in each bank of phrase tokens.

    In each step a sentence's candidates are the 2 K best continuations, the best one of each hypothesis, and all that
    continue or begin a phrase. They are sorted into banks by the number of phrase tokens that they contain, and each
    bank gets an equal share of the K places. Only hypotheses with all phrases can end. A word is forbidden if the
    phrases would no longer fit within the maximum length after it, so that all phrases are always placed.
    """

    def __init__(self, request: SearchRequest[S], phrases: Sequence[PhraseTracker]) -> None:
        super().__init__(request)
        limits = request.max_lengths
        norms = length_norm(limits + 1, self.config).tolist()
        self.finished: list[list[Hypothesis]] = [[] for _ in limits]
        self.batch = [
            ConstrainedSentence(number, limit, norm, tracker, [tracker.start])
            for number, (limit, norm, tracker) in enumerate(zip(limits.tolist(), norms, phrases, strict=True))
        ]
        self.scores = torch.zeros(len(limits), 1, device=limits.device)
        """Log-probabilities of the live hypotheses, (B, K)."""

    def select(self, beams: ActiveBeams, log_probs: Tensor, state: S) -> Continuation:
        device = log_probs.device
        for line, sentence in enumerate(self.batch):
            for rank, phrase_state in enumerate(sentence.states):
                forbid(log_probs[line, rank], sentence, phrase_state, sentence.limit - beams.length, self.eos_id)
        bonus = self.bonus(state, log_probs.size(1))
        bonus = None if bonus is None else bonus.cpu()
        norm = length_norm(beams.length, self.config)
        live: list[list[tuple[float, int, int]]] = []
        for line, choices in enumerate(find_choices(self.batch, self.scores, log_probs, self.config.width)):
            sentence = self.batch[line]
            continuing: list[Choice] = []
            if sentence.open:
                self.finish(sentence, choices, beams.history[line], norm, None if bonus is None else bonus[line])
                continuing = self.continue_sentence(sentence, choices)
            gone = [(float("-inf"), 0, self.eos_id)] * (self.config.width - len(continuing))
            live.append([(choice.log_prob, choice.parent, choice.word) for choice in continuing] + gone)

        beams.open = torch.tensor([sentence.open for sentence in self.batch], device=device)
        scores = torch.tensor([[score for score, *_ in line] for line in live], device=device)  # (B, K)
        rows = beams.rows(torch.tensor([[parent for _, parent, _ in line] for line in live], device=device))
        words = torch.tensor([[word for *_, word in line] for line in live], device=device)
        if (stay := beams.remaining()) is not None:
            scores, rows, words = scores[stay], rows[stay], words[stay]
            self.batch = [sentence for sentence in self.batch if sentence.open]
        self.scores = scores
        return Continuation(words, rows, stay)

    def finish(
        self,
        sentence: ConstrainedSentence,
        choices: Sequence[Choice],
        history: Tensor,
        norm: Tensor,
        bonus: Tensor | None,
    ) -> None:
        """Record the hypotheses of a sentence that end.

        Args:
            sentence: the sentence.
            choices: its candidates, best first.
            history: tokens of its hypotheses, (K, t).
            norm: length-penalty divisor.
            bonus: bonus of each continued hypothesis, (K,), or None.
        """
        for choice in allocate(choices, self.config.width, sentence.phrases.length):
            if choice.word == self.eos_id:
                score = torch.tensor(choice.log_prob) / norm
                if bonus is not None:
                    score = score + bonus[choice.parent]
                tokens = history[choice.parent, 1:].tolist()
                self.finished[sentence.number].append(Hypothesis(tokens, choice.log_prob, float(score)))
        self.finished[sentence.number].sort(key=lambda hypothesis: -hypothesis.score)

    def continue_sentence(self, sentence: ConstrainedSentence, choices: Sequence[Choice]) -> list[Choice]:
        """Return the choices that stay live, and close the sentence if it is finished."""
        size, n_best, finished = self.config.width, self.config.n_best, self.finished[sentence.number]
        continuing = [choice for choice in choices if choice.word != self.eos_id]
        live = allocate(continuing, size, sentence.phrases.length)
        sentence.states = [choice.state for choice in live]
        best = max((choice.log_prob for choice in live), default=float("-inf"))
        to_beat = finished[n_best - 1].score if len(finished) >= n_best else float("-inf")
        sentence.open = len(finished) < size and best / sentence.norm > to_beat
        return live

    def results(self) -> list[list[Hypothesis]]:
        return [hypotheses[: self.config.n_best] for hypotheses in self.finished]


def forbid(log_probs: Tensor, sentence: ConstrainedSentence, phrase_state: PhraseState, room: int, eos_id: int) -> None:
    """Forbid, in (V,), eos before all phrases are placed, and words after which the rest no longer fits.

    Args:
        log_probs: log-probabilities of a hypothesis's next words, changed in place.
        sentence: the sentence.
        phrase_state: state of the phrases in the hypothesis.
        room: number of tokens that can follow the next word.
        eos_id: the token eos.
    """
    phrases = sentence.phrases
    if phrases.missing(phrase_state):
        log_probs[eos_id] = float("-inf")
    if room < 0 or phrases.length <= room or phrase_state[0] == phrases.all:
        return
    words, begins, continues = phrases.fitting(phrase_state, room)
    forbidden = torch.full_like(log_probs, not begins, dtype=torch.bool)
    forbidden[list(phrases.continues)] = not continues
    forbidden[phrases.words] = torch.tensor([word not in words for word in phrases.words], device=log_probs.device)
    forbidden[eos_id] = False
    log_probs.masked_fill_(forbidden, float("-inf"))


def find_choices(
    batch: Sequence[ConstrainedSentence], scores: Tensor, log_probs: Tensor, size: int
) -> list[list[Choice]]:
    """Return the candidates of each sentence, best first, as `ConstrainedSelection` defines them.

    Args:
        batch: the sentences, B of them.
        scores: log-probabilities of their hypotheses, (B, K).
        log_probs: log-probabilities of the next words, (B, K, V).
        size: number of hypotheses to keep.
    """
    _, parents, words = best_continuations(scores, log_probs, 2 * size)  # (B, 2 K)
    favourites = log_probs.argmax(dim=2).tolist()  # (B, K)
    picked: list[tuple[int, int, int]] = []
    for line, (sentence, line_parents, line_words) in enumerate(
        zip(batch, parents.tolist(), words.tolist(), strict=True)
    ):
        pairs = list(zip(line_parents, line_words, strict=True))
        if sentence.phrases.all:
            for rank, phrase_state in enumerate(sentence.states):
                pairs += [(rank, favourites[line][rank])]
                pairs += [(rank, word) for word in sorted(sentence.phrases.advances(phrase_state))]
        picked += [(line, *pair) for pair in dict.fromkeys(pairs)]
    at, ranks, next_words = torch.tensor(picked, device=scores.device).unbind(1)
    totals = (scores[at, ranks] + log_probs[at, ranks, next_words]).tolist()

    choices: list[list[Choice]] = [[] for _ in batch]
    for (line, parent, word), log_prob in zip(picked, totals, strict=True):
        if log_prob > float("-inf"):  # which excludes continuations of hypotheses that are not live
            phrases = batch[line].phrases
            state = phrases.after(batch[line].states[parent], word)
            choices[line].append(Choice(log_prob, parent, word, state, phrases.progress(state)))
    for of_sentence in choices:
        of_sentence.sort(key=lambda choice: -choice.log_prob)
    return choices


def allocate(choices: Sequence[Choice], size: int, length: int) -> list[Choice]:
    """Return the choices that get one of `size` places, best first; `length` is the number of the last bank.

    Each bank has an equal share. The remainder, and places that a bank does not fill, go to the others, the last first.
    """
    banks: list[list[Choice]] = [[] for _ in range(length + 1)]
    for choice in choices:
        banks[choice.bank].append(choice)
    places = [min(size // len(banks), len(bank)) for bank in banks]
    for number in reversed(range(len(banks))):
        places[number] += min(size - sum(places), len(banks[number]) - places[number])
    kept = [choice for bank, count in zip(banks, places, strict=True) for choice in bank[:count]]
    return sorted(kept, key=lambda choice: -choice.log_prob)
