"""Probability of each word of a translation, by forced decoding."""

import math
from collections.abc import Sequence

from nmt.data import PairStore, batches_by_length
from nmt.decoding import Candidate, Translator
from nmt.decoding.alignment import target_words, word_numbers, written_pieces
from nmt.decoding.ensemble import evaluation_mode
from nmt.evaluation.perplexity import BATCH_SIZE, forced_log_probs


def word_probabilities(
    translator: Translator, lines: Sequence[str], candidates: Sequence[Sequence[Candidate]]
) -> list[list[list[float]]]:
    """Return the probability of each word of each candidate of each line.

    The probability of a word is the product of the probabilities of its pieces, given the source and the pieces before
    them. Words are counted as by `nmt.decoding.align_words`: between white space, and single characters in scripts
    without spaces. A piece that writes several words counts for each of them.

    Args:
        translator: model, which may be an ensemble, and its tokenizers.
        lines: source lines.
        candidates: the result of `translate` for each line.
    """
    sources: list[list[int]] = []
    targets: list[list[int]] = []
    for parts, of_line in zip(translator.parts(lines), candidates, strict=True):
        for candidate in of_line:
            for part, pieces in zip(parts, candidate.pieces, strict=True):
                sources.append(part.ids)
                targets.append(pieces)
    log_probs = iter(piece_log_probs(translator, sources, targets))
    result: list[list[list[float]]] = []
    for of_line in candidates:
        result.append([])
        for candidate in of_line:
            words: list[float] = []
            widths = candidate.widths or [{}] * len(candidate.pieces)
            for pieces, replaced in zip(candidate.pieces, widths, strict=True):
                numbers, count = target_words(written_pieces(translator.tgt, pieces), replaced)
                words += products(numbers, count, next(log_probs))
            result[-1].append(words)
    return result


def piece_log_probs(
    translator: Translator, sources: Sequence[list[int]], targets: Sequence[list[int]]
) -> list[list[float]]:
    """Return the log-probabilities of the pieces of each target and of eos, given its source."""
    result: list[list[float]] = [[] for _ in sources]
    with evaluation_mode(translator.model):
        for batch in batches_by_length(PairStore.of(list(sources), list(targets)), BATCH_SIZE):
            columns = forced_log_probs(translator.model, batch.to(translator.device)).t().tolist()
            for index, column in zip(batch.indices, columns, strict=True):
                result[index] = column[: len(targets[index]) + 1]
    return result


def products(numbers: Sequence[Sequence[int]], count: int, log_probs: Sequence[float]) -> list[float]:
    """Return the product of the probabilities of the pieces of each word.

    Args:
        numbers: the words of each piece.
        count: number of words.
        log_probs: log-probability of each piece; further ones, such as that of eos, are left out.
    """
    sums = [0.0] * count
    for own, log_prob in zip(numbers, log_probs, strict=False):
        for word in own if count else ():  # pieces of spaces alone have no word
            sums[word] += log_prob
    return [math.exp(value) for value in sums]


def word_texts(text: str) -> list[str]:
    """Return the words of a text, counted as by `word_probabilities`."""
    words: list[str] = []
    for word in text.split():
        numbers, count = word_numbers(list(word))
        letters = [""] * count
        if count == 0:  # a word-boundary symbol alone
            continue
        for letter, own in zip(word, numbers, strict=True):
            letters[own[-1]] += letter
        words += letters
    return words
