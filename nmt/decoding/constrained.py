"""Beam search under lexical constraints: dynamic beam allocation (Post and Vilar 2018).

B sentences, K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config import SearchConfig
from nmt.decoding.phrases import Constraints, State
from nmt.decoding.search import (
    LEAVE_TOGETHER,
    Hypothesis,
    LogitsProcessor,
    S,
    Step,
    Symbols,
    best_continuations,
    force_eos,
    length_norm,
)


@dataclass(frozen=True)
class Choice:
    """One continuation of one sentence's hypotheses."""

    log_prob: float
    parent: int
    word: int
    state: State
    bank: int
    """Tokens of the constraints that it has met."""


@dataclass
class Sentence:
    """One sentence in the batch."""

    number: int
    limit: int
    """Most tokens of its hypotheses."""
    norm: float
    """The largest divisor that the length penalty can reach."""
    phrases: Constraints
    states: list[State]
    """Of its live hypotheses; those beyond have no probability."""
    open: bool = True


@torch.inference_mode()
def constrained_search(
    step: Step[S],
    state: S,
    max_lengths: Tensor,
    symbols: Symbols,
    config: SearchConfig,
    constraints: Sequence[Constraints],
    rules: Sequence[LogitsProcessor] = (),
    bonus: Callable[[S], Tensor] | None = None,
) -> list[list[Hypothesis]]:
    """Beam search whose hypotheses hold all constraints of their sentence.

    Arguments and result as those of `search`, and a sentence without constraints has the same result; `constraints`
    are those of each sentence. A sentence has no hypothesis where its longest is too short for its constraints.

    In each step a sentence's candidates are the 2 K best continuations, the best one of each hypothesis, and all that
    go on with a constraint or begin one. They are sorted into banks by how many tokens of the constraints they
    have met, and each bank gets an equal share of the K places. Only hypotheses with all constraints may end. A
    word after which the constraints would no longer fit within the longest length is forbidden, so that all are met.
    """
    device = max_lengths.device
    finished: list[list[Hypothesis]] = [[] for _ in max_lengths]
    banned = torch.tensor(symbols.banned, dtype=torch.long, device=device)
    norms = length_norm(max_lengths + 1, config).tolist()
    batch = [
        Sentence(number, limit, norm, phrases, [phrases.start])
        for number, (limit, norm, phrases) in enumerate(zip(max_lengths.tolist(), norms, constraints, strict=True))
    ]
    scores = torch.zeros(len(batch), 1, device=device)  # log-probabilities of the live hypotheses, (B, K)
    history = torch.full((len(batch), 1, 1), symbols.bos_id, device=device)  # their tokens, (B, K, t)
    length = 0
    while batch:
        length += 1
        log_probs, state = step(history[:, :, -1].flatten(), state)
        log_probs = log_probs.view(*scores.shape, -1)  # (B, K, V)
        log_probs.index_fill_(2, banned, float("-inf"))
        force_eos(log_probs, torch.tensor([each.limit < length for each in batch], device=device), symbols.eos_id)
        for rule in rules:
            rule(log_probs, history, torch.tensor([each.number for each in batch], device=device))
        for line, sentence in enumerate(batch):
            for rank, met in enumerate(sentence.states):
                forbid(log_probs[line, rank], sentence, met, sentence.limit - length, symbols.eos_id)
        added = None if bonus is None else bonus(state).view(scores.shape).cpu()
        norm = length_norm(length, config)

        next_rows: list[list[tuple[float, int, int]]] = []
        for line, choices in enumerate(candidates(batch, scores, log_probs, config.width)):
            sentence = batch[line]
            found = finished[sentence.number]
            for choice in allocate(choices, config.width, sentence.phrases.length) if sentence.open else []:
                if choice.word == symbols.eos_id:
                    rated = torch.tensor(choice.log_prob) / norm
                    if added is not None:
                        rated = rated + added[line, choice.parent]
                    tokens = history[line, choice.parent, 1:].tolist()
                    found.append(Hypothesis(tokens, choice.log_prob, float(rated)))
            found.sort(key=lambda hypothesis: -hypothesis.score)
            going_on = [choice for choice in choices if choice.word != symbols.eos_id]
            live = allocate(going_on, config.width, sentence.phrases.length)
            sentence.states = [choice.state for choice in live]
            best = max((choice.log_prob for choice in live), default=float("-inf"))
            to_beat = found[config.n_best - 1].score if len(found) >= config.n_best else float("-inf")
            sentence.open &= len(found) < config.width and best / sentence.norm > to_beat
            gone = [(float("-inf"), 0, symbols.eos_id)] * (config.width - len(live))
            next_rows.append([(choice.log_prob, choice.parent, choice.word) for choice in live] + gone)

        stay = list(range(len(batch)))
        if sum(sentence.open for sentence in batch) <= (1 - LEAVE_TOGETHER) * len(batch):
            stay = [line for line in stay if batch[line].open]
        if stay:
            rows = torch.tensor(
                [[line * scores.size(1) + parent for _, parent, _ in next_rows[line]] for line in stay], device=device
            )  # (B, K)
            words = torch.tensor([[[word] for *_, word in next_rows[line]] for line in stay], device=device)
            scores = torch.tensor([[score for score, *_ in next_rows[line]] for line in stay], device=device)
            state = state.select(rows)
            history = torch.cat([history.flatten(0, 1)[rows], words], dim=2)
        batch = [batch[line] for line in stay]
    return [found[: config.n_best] for found in finished]


def forbid(log_probs: Tensor, sentence: Sentence, met: State, room: int, eos_id: int) -> None:
    """Sets to -inf, in (V,), the end before all constraints are met, and words after which they no longer fit."""
    phrases = sentence.phrases
    if phrases.missing(met):
        log_probs[eos_id] = float("-inf")
    if room < 0 or phrases.length <= room or met[0] == phrases.all:
        return
    words, begins, goes_on = phrases.fitting(met, room)
    forbidden = torch.full_like(log_probs, not begins, dtype=torch.bool)
    forbidden[list(phrases.continues)] = not goes_on
    forbidden[phrases.words] = torch.tensor([word not in words for word in phrases.words], device=log_probs.device)
    forbidden[eos_id] = False
    log_probs.masked_fill_(forbidden, float("-inf"))


def candidates(batch: Sequence[Sentence], scores: Tensor, log_probs: Tensor, size: int) -> list[list[Choice]]:
    """What may go on of each sentence's hypotheses, best first: `constrained_search` says what.

    Args:
        batch: the sentences, B of them.
        scores: log-probabilities of their hypotheses, (B, K).
        log_probs: of each next word, (B, K, V).
        size: hypotheses to be kept.
    """
    _, parents, words = best_continuations(scores, log_probs, 2 * size)  # (B, 2 K)
    favourites = log_probs.argmax(dim=2).tolist()  # (B, K)
    picked: list[tuple[int, int, int]] = []
    for line, (sentence, own_parents, own_words) in enumerate(
        zip(batch, parents.tolist(), words.tolist(), strict=True)
    ):
        pairs = list(zip(own_parents, own_words, strict=True))
        if sentence.phrases.all:
            for rank, met in enumerate(sentence.states):
                pairs += [(rank, favourites[line][rank])]
                pairs += [(rank, word) for word in sorted(sentence.phrases.advances(met))]
        picked += [(line, *pair) for pair in dict.fromkeys(pairs)]
    at, ranks, next_words = torch.tensor(picked, device=scores.device).unbind(1)
    totals = (scores[at, ranks] + log_probs[at, ranks, next_words]).tolist()

    found: list[list[Choice]] = [[] for _ in batch]
    for (line, parent, word), log_prob in zip(picked, totals, strict=True):
        if log_prob > float("-inf"):  # and so of a live hypothesis
            phrases = batch[line].phrases
            state = phrases.after(batch[line].states[parent], word)
            found[line].append(Choice(log_prob, parent, word, state, phrases.progress(state)))
    for choices in found:
        choices.sort(key=lambda choice: -choice.log_prob)
    return found


def allocate(choices: Sequence[Choice], size: int, length: int) -> list[Choice]:
    """The choices that get one of `size` places, best first; `length` is the number of the last bank.

    Each bank has the same share. What is left over, or a bank does not fill, goes to the others, the last first.
    """
    banks: list[list[Choice]] = [[] for _ in range(length + 1)]
    for choice in choices:
        banks[choice.bank].append(choice)
    places = [min(size // len(banks), len(bank)) for bank in banks]
    for number in reversed(range(len(banks))):
        places[number] += min(size - sum(places), len(banks[number]) - places[number])
    kept = [choice for bank, places_of_it in zip(banks, places, strict=True) for choice in bank[:places_of_it]]
    return sorted(kept, key=lambda choice: -choice.log_prob)
