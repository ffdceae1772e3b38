"""Greedy and beam search over an exported step, in numpy: the same search as `nmt.decoding.beam`.

B sentences with K hypotheses each, V words in the vocabulary, t tokens decoded so far, bos counted.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.config import LengthPenalty, SearchConfig
from nmt.decoding.hypothesis import Hypothesis, Symbols
from nmt.decoding.phrases import Prefix, state_in_prefix
from nmt.export.sessions import ArrayState, StepResult

Array = NDArray[Any]
LEAVE_TOGETHER = 0.1
"""Share of a batch that must be finished before its rows are removed, as in `nmt.decoding.search`."""
LARGEST_BLOCK = 64
"""Maximum width of the vocabulary blocks whose maxima are found before words are sorted."""
LEAST = np.finfo(np.float32).tiny
"""Lower bound on the coverage of a piece."""


class StepModel(Protocol):
    """Model that the search can use."""

    def encode(self, src: Array, mask: Array) -> ArrayState: ...

    def step(self, tokens: Array, state: ArrayState, with_attention: bool = False) -> StepResult: ...


@dataclass(frozen=True)
class ArrayBatch:
    """B sentences to translate."""

    src: Array
    """Token ids with eos, padded on the left, (S, B)."""
    mask: Array
    """True on real tokens, (S, B)."""
    max_lengths: Array
    """Maximum number of tokens of each sentence's hypotheses, (B,)."""
    prefixes: Sequence[Prefix] = ()
    """Automaton of each sentence's prefix; empty: no sentence has one."""

    def next_words(self, sentence: int, written: Sequence[int]) -> list[int] | None:
        """Return the allowed next words; None if the prefix is complete or the hypothesis deviates from it."""
        prefix = self.prefixes[sentence]
        state = state_in_prefix(prefix, written)
        return None if state is None else list(prefix[state])


def length_norm(length: Any, config: SearchConfig) -> Array:
    """Return the length-penalty divisor of hypotheses with `length` tokens, eos counted, in float32."""
    lengths = np.asarray(length, dtype=np.float32)
    match config.length_penalty:
        case LengthPenalty.none:
            return np.ones_like(lengths)
        case LengthPenalty.average:
            return np.asarray(lengths ** np.float32(config.alpha))
        case LengthPenalty.gnmt:
            return np.asarray(((np.float32(5) + lengths) / np.float32(6)) ** np.float32(config.alpha))


class BeamSearch:
    """One search over a batch; `nmt.decoding.beam.BeamSelection` describes the algorithm."""

    def __init__(self, model: StepModel, batch: ArrayBatch, symbols: Symbols, config: SearchConfig) -> None:
        self.model, self.batch, self.symbols, self.config = model, batch, symbols, config
        count = len(batch.max_lengths)
        self.sentences = np.arange(count)
        self.limits = batch.max_lengths
        self.open = np.ones(count, dtype=bool)
        self.history = np.full((count, 1, 1), symbols.bos_id, dtype=np.int64)  # (B, K, t)
        self.scores = np.zeros((count, 1), dtype=np.float32)
        """Log-probabilities of the live hypotheses, (B, K)."""
        self.norms = length_norm(self.limits + 1, config)
        """Largest length-penalty divisor that a hypothesis can reach, (B,)."""
        self.to_beat = np.full(count, -np.inf, dtype=np.float32)
        """Score of the worst of the n best, (B,); infinite if K hypotheses are finished."""
        self.coverage = (~batch.mask).T.astype(np.float32) if config.coverage_penalty else None
        """Sum of the attention weights, (B K, S)."""
        self.finished: list[list[Hypothesis]] = [[] for _ in range(count)]

    def run(self) -> list[list[Hypothesis]]:
        """Return the n best hypotheses of each sentence, best first; fewer if the search finished fewer."""
        covered = self.coverage is not None
        state = self.model.encode(self.batch.src, self.batch.mask)
        shortest = int(self.limits.min()) if len(self.limits) else 0
        while len(self.sentences):
            tokens = self.history[:, :, -1].reshape(-1)
            flat, state, attention = self.model.step(tokens, state, covered)
            if covered and attention is not None:
                self.coverage = self.coverage + attention.reshape(len(tokens), -1)
            log_probs = flat.reshape(*self.history.shape[:2], -1)  # (B, K, V)
            log_probs[:, :, list(self.symbols.banned)] = -np.inf
            if self.history.shape[2] > shortest:
                self.force_eos(log_probs)
            self.apply_rules(log_probs)
            rows = self.select(log_probs)
            if len(self.sentences):
                state = state.select(rows)
                self.coverage = self.coverage[rows.reshape(-1)] if self.coverage is not None else None
        return [hypotheses[: self.config.n_best] for hypotheses in self.finished]

    def force_eos(self, log_probs: Array) -> None:
        """Forbid everything except eos for sentences of maximum length, in place."""
        for line in np.flatnonzero((self.limits < self.history.shape[2]) & self.open):
            end = log_probs[line, :, self.symbols.eos_id].copy()
            log_probs[line] = -np.inf
            log_probs[line, :, self.symbols.eos_id] = end

    def apply_rules(self, log_probs: Array) -> None:
        """Apply the forced prefixes and the minimum length to log-probabilities (B, K, V), in place."""
        kept = list(self.prefix_words(log_probs)) if any(self.batch.prefixes) else []
        if self.config.min_length:
            words = self.history[:, :, 1:]
            written = (~np.isin(words, self.symbols.blank)).sum(axis=2)  # (B, K)
            early = (written < self.config.min_length) & (words.shape[2] < self.limits)[:, None]
            log_probs[:, :, self.symbols.eos_id][early] = -np.inf
        for line, rank, allowed, values in kept:
            log_probs[line, rank] = -np.inf
            log_probs[line, rank, allowed] = values

    def prefix_words(self, log_probs: Array) -> Iterator[tuple[int, int, list[int], Array]]:
        """Yield line, rank, allowed words and their log-probabilities of hypotheses within their prefix."""
        if self.history.shape[2] > max(map(len, self.batch.prefixes)):
            return
        tokens = self.history[:, :, 1:].tolist()
        for line, sentence in enumerate(self.sentences.tolist()):
            for rank, written in enumerate(tokens[line]):
                words = self.batch.next_words(sentence, written)
                if words is not None:
                    yield line, rank, words, log_probs[line, rank, words]

    def select(self, log_probs: Array) -> Array:
        """Choose the continuations of a step and record the hypotheses that end.

        Returns:
            Index of the continued hypothesis among the B K rows of each of the K' of the B' sentences that stay.
        """
        size = self.config.width
        best, parents, words = best_continuations(self.scores, log_probs, 2 * size)  # (B, 2 K)
        ends = words == self.symbols.eos_id
        ended = (ends & np.isfinite(best) & self.open[:, None])[:, :size]
        if ended.any():
            self.finish(ended, best, parents)
        live = np.where(ends, np.float32(-np.inf), best)
        lines = np.arange(len(live))[:, None]
        alive = np.argsort(-live, axis=1, kind="stable")[:, :size]  # (B, K)
        scores = live[lines, alive]
        self.open &= scores[:, 0] / self.norms > self.to_beat
        rows, words = parents[lines, alive] + self.history.shape[1] * lines, words[lines, alive]
        if self.open.sum() <= (1 - LEAVE_TOGETHER) * len(self.open):
            stay = self.open
            scores, rows, words = scores[stay], rows[stay], words[stay]
            self.norms, self.to_beat = self.norms[stay], self.to_beat[stay]
            self.sentences, self.limits, self.open = self.sentences[stay], self.limits[stay], self.open[stay]
        self.scores = scores
        history = self.history.reshape(-1, self.history.shape[2])[rows]
        self.history = np.concatenate([history, words[:, :, None]], axis=2)
        return rows

    def finish(self, ended: Array, best: Array, parents: Array) -> None:
        """Record the hypotheses that end, given as a mask of lines and ranks, (B, K)."""
        scores = best / length_norm(self.history.shape[2], self.config)
        if self.coverage is not None:
            covered = np.log(self.coverage.clip(LEAST, 1.0)).sum(axis=1, dtype=np.float32)
            bonus = np.float32(self.config.coverage_penalty) * covered.reshape(self.history.shape[:2])
            scores = scores + bonus[np.arange(len(parents))[:, None], parents]
        for line, rank in np.argwhere(ended).tolist():
            tokens = self.history[line, parents[line, rank], 1:].tolist()
            finished = self.finished[self.sentences[line]]
            finished.append(Hypothesis(tokens, float(best[line, rank]), float(scores[line, rank])))
            finished.sort(key=lambda hypothesis: -hypothesis.score)
            if len(finished) >= self.config.n_best:
                full = len(finished) >= self.config.width
                self.to_beat[line] = np.inf if full else finished[self.config.n_best - 1].score


def best_continuations(scores: Array, log_probs: Array, count: int) -> tuple[Array, Array, Array]:
    """Return the best of a sentence's K V continuations, best first, as `nmt.decoding.beam.best_continuations`.

    Args:
        scores: log-probabilities of the hypotheses, (B, K).
        log_probs: log-probabilities of the next words, (B, K, V).
        count: number of continuations, C; fewer are returned if there are fewer.

    Returns:
        Log-probabilities of the longer hypotheses, the hypothesis that each continues and its new word, each (B, C).
    """
    sentences, hypotheses, words = log_probs.shape
    width = math.gcd(words, LARGEST_BLOCK)
    blocks = log_probs.reshape(sentences, hypotheses * (words // width), width)
    starts = np.repeat(scores, words // width, axis=1)  # (B, K V / width)
    lines = np.arange(sentences)[:, None]
    promising = largest(starts + blocks.max(axis=2), min(count, blocks.shape[1]), lines)  # (B, C)
    totals = (starts[lines, promising][:, :, None] + blocks[lines, promising]).reshape(sentences, -1)
    flat = largest(totals, min(count, totals.shape[1]), lines)
    block = promising[lines, flat // width]
    return totals[lines, flat], block // (words // width), block % (words // width) * width + flat % width


def largest(values: Array, count: int, lines: Array) -> Array:
    """Return the indices of the largest values of each row, largest first, (B, N) -> (B, C).

    `lines` are the numbers of the rows, (B, 1). Equal values are ordered by their index.
    """
    if count == values.shape[1]:
        return np.argsort(-values, axis=1, kind="stable")
    chosen = np.argpartition(-values, count - 1, axis=1)[:, :count]
    chosen.sort(axis=1)
    return chosen[lines, np.argsort(-values[lines, chosen], axis=1, kind="stable")]
