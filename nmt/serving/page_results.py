"""Results for the page: words, attention and confidence of a sentence, and alternatives for a word."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nmt.data import make_batch, normalise
from nmt.decoding import Candidate, TargetConstraints
from nmt.decoding.alignment import AlignedPart, by_word, source_words, word_numbers
from nmt.evaluation.perplexity import forced_log_probs
from nmt.serving.model import Model

ALTERNATIVES = 8
"""Number of alternatives for a word."""


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return round(value, 5) if math.isfinite(value) else None


def candidate_result(candidate: Candidate) -> dict[str, Any]:
    """Return a translation with its probability."""
    return {
        "text": candidate.text,
        "probability": math.exp(candidate.log_prob),
        "log_prob": finite(candidate.log_prob),
        "score": finite(candidate.score),
    }


def word_details(model: Model, line: str, candidate: Candidate) -> dict[str, Any]:
    """Return source words, target words, their confidence, and attention with one row per target word.

    Words are separated by spaces. The confidence of a word is the product of the probabilities of its pieces, given the
    words before it, mapped by the calibration of the run if it has one. The attention of a word is that of its pieces,
    without the attention to the end of the source; each row is divided by its sum. A line that was translated in parts
    has words alone.

    Args:
        model: the model.
        line: source line.
        candidate: a translation of the line.
    """
    words: dict[str, Any] = {"source": line.split(), "target": candidate.text.split()}
    parts = model.translator.parts([line])[0]
    if len(parts) != 1 or len(candidate.pieces) != 1 or not words["target"]:
        return words | {"confidence": None, "attention": None}
    pieces = candidate.pieces[0]
    numbers, count = word_numbers(model.translator.tgt.texts(pieces), characters=False)
    if count != len(words["target"]):
        return words | {"confidence": None, "attention": None}
    batch = make_batch([parts[0].ids], [pieces], range(1)).to(model.translator.device)
    log_probs = forced_log_probs(model.translator.model, batch)[:, 0].tolist()
    confidence = [0.0] * count
    for number, log_prob in zip(numbers, log_probs, strict=False):
        confidence[number[-1]] += log_prob
    probabilities = [math.exp(value) for value in confidence]
    calibrated = probabilities if model.calibration is None else model.calibration(probabilities)
    words["confidence"] = [round(value, 4) for value in calibrated]
    untagged = replace(parts[0], pieces=parts[0].pieces[parts[0].tagged :])
    src_words: list[list[int]] = [[]] * parts[0].tagged + source_words(line, [untagged], characters=False)
    part = AlignedPart(parts[0].ids, src_words, pieces, numbers)
    words["attention"] = attention_rows(model, part, len(words["source"]), count) if model.attends else None
    return words


@torch.inference_mode()
def attention_rows(model: Model, part: AlignedPart, src_count: int, tgt_count: int) -> list[list[float]] | None:
    """Return the attention of each target word to each source word; each row sums to 1."""
    batch = make_batch([part.src], [part.tgt], range(1)).to(model.translator.device)
    weights = model.translator.model.attention(batch.src, batch.src_mask, batch.tgt_in)
    if weights is None or not any(part.src_words):
        return None
    row = weights[0].float().cpu().numpy()
    values, src_words, tgt_words = by_word(row[: len(part.tgt), -len(part.src) - 1 : -1], part)
    sums = np.zeros((tgt_count, src_count))
    np.add.at(sums, (np.array(tgt_words)[:, None], np.array(src_words)[None, :]), values)
    sums /= np.maximum(sums.sum(axis=1, keepdims=True), 1e-9)
    return [[round(float(value), 4) for value in of_word] for of_word in sums]


@torch.inference_mode()
def next_pieces(model: Model, line: str, prefix: str) -> tuple[list[int], list[tuple[int, float]]]:
    """Return the pieces of a prefix and the most probable next pieces with their probabilities.

    Args:
        model: the model.
        line: source line.
        prefix: complete words before the word to replace.
    """
    translator = model.translator
    [written] = translator.tgt.encode([normalise(prefix)])
    [source] = translator.src.encode([normalise(line)])
    batch = make_batch([source[: translator.config.max_source_pieces]], [written], range(1)).to(translator.device)
    state = translator.model.encode(batch.src, batch.src_mask)
    log_probs = None
    for tokens in batch.tgt_in:
        log_probs, state, _ = translator.model.step(tokens, state)
    assert log_probs is not None
    spellings = translator.tgt.spellings
    probabilities, pieces = log_probs[0].exp().topk(min(3 * ALTERNATIVES, log_probs.size(1)))
    ranked = zip(pieces.tolist(), probabilities.tolist(), strict=True)
    begin = "▁" if written else ""  # another piece would continue the last word of the prefix
    return written, [
        (piece, value) for piece, value in ranked if spellings[piece] and spellings[piece].startswith(begin)
    ][:ALTERNATIVES]


def alternative_constraints(written: Sequence[int], pieces: Sequence[int]) -> list[TargetConstraints]:
    """Return constraints that force the pieces of the prefix and then one of `pieces` each."""
    return [
        TargetConstraints(tuple({piece: place + 1} for place, piece in enumerate([*written, last]))) for last in pieces
    ]


def alternatives_result(
    prefix: str, candidates: Sequence[Candidate], probabilities: Sequence[float]
) -> list[dict[str, Any]]:
    """Return the word behind the prefix in each translation, once each, most probable first."""
    count = len(prefix.split())
    found: dict[str, dict[str, Any]] = {}
    for candidate, probability in zip(candidates, probabilities, strict=True):
        words = candidate.text.split()[count : count + 1]
        if words and words[0] in found:
            found[words[0]]["probability"] += probability
        elif words:
            found[words[0]] = {"word": words[0], "probability": probability, "text": candidate.text}
    return sorted(found.values(), key=lambda alternative: -alternative["probability"])
