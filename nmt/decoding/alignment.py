"""Which source word each word of a translation comes from, told by the attention, in Pharaoh's format: `0-0 1-2`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.data import make_batch, normalise
from nmt.decoding.ensemble import TranslationModel
from nmt.decoding.translator import Candidate, Translator, cut

READ_TOGETHER = 64
"""Pairs read at once: the weights of the longest ones take 21 MB."""
SPACE = "▁"

Numbers = NDArray[np.floating]
Link = tuple[int, int]
"""Numbers of a source word and of a target word, from 0."""


@dataclass(frozen=True)
class Reading:
    """A part of a line and its translation."""

    src: list[int]
    src_words: list[int]
    """The word of the line that each source piece belongs to."""
    tgt: list[int]
    tgt_words: list[int]


def align(translator: Translator, lines: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[str]]:
    """The alignment of each candidate of each line, as text; that of an empty candidate is empty.

    Words are what white space separates in the line as it came and in the candidate's text. Each target word is
    linked to one source word, that with the most attention (Luong et al. 2015, 5.4), summed over the pieces of both.
    As there, the translation is given to the decoder, so that the weights are the same whatever search found it.

    Args:
        translator: its model has attention.
        lines: what was translated ...
        candidates: ... and what `translate` made of each.
    """
    readings: list[Reading] = []
    spans: list[list[range]] = []  # for each line and candidate
    encoded = translator.src.encode([normalise(line) for line in lines])
    for line, ids, found in zip(lines, encoded, candidates, strict=True):
        src_words = source_words(line, translator.src.pieces(ids))
        parts = cut(ids, translator.starts_word)
        spans.append([])
        for candidate in found:
            first = len(readings)
            read_pieces = words = 0
            for src, tgt in zip(parts, candidate.pieces, strict=True):
                numbers, count = word_numbers(translator.tgt.pieces(tgt))
                own = src_words[read_pieces : read_pieces + len(src)]
                if own and count:
                    readings.append(Reading(src, own, tgt, [words + number for number in numbers]))
                read_pieces += len(src)
                words += count
            spans[-1].append(range(first, len(readings)))
    links = read(translator.model, readings, translator.device)
    return [[pharaoh([link for i in span for link in links[i]]) for span in of_line] for of_line in spans]


def source_words(line: str, pieces: Sequence[str]) -> list[int]:
    """The word of a line as it came that each of its pieces belongs to.

    A word as it came may be several to the tokenizer, which takes a control character or a `▁` for a space, or none,
    where nothing in it is visible. There are no words in a line without such.
    """
    owners = [i for i, word in enumerate(line.split()) for _ in normalise(word).replace(SPACE, " ").split()]
    return [owners[number] for number in word_numbers(pieces)[0]] if owners else []


def word_numbers(pieces: Sequence[str]) -> tuple[list[int], int]:
    """The number of the word that each piece belongs to, and how many words there are.

    A piece belongs to the word of its last letter; one of spaces alone to the next word, or at the end to the last.
    """
    numbers, words, inside = [], 0, False
    for piece in pieces:
        for letter in piece:
            starts = not inside
            inside = letter != SPACE and not letter.isspace()
            words += inside and starts
        numbers.append(words - 1 if piece.strip(SPACE).strip() else words)
    return [min(number, words - 1) for number in numbers], words


@torch.inference_mode()
def read(model: TranslationModel, readings: Sequence[Reading], device: torch.device) -> list[list[Link]]:
    """The links of each reading, in batches of like length."""
    model.eval()
    found: list[list[Link]] = [[] for _ in readings]
    order = sorted(range(len(readings)), key=lambda i: -len(readings[i].src))
    for start in range(0, len(order), READ_TOGETHER):
        rows = order[start : start + READ_TOGETHER]
        batch = make_batch([readings[i].src for i in rows], [readings[i].tgt for i in rows], rows).to(device)
        weights = model.attention(batch.src, batch.src_mask, batch.tgt_in)
        assert weights is not None, "who aligns has asked for attention before"
        for row, i in zip(weights.float().cpu().numpy(), rows, strict=True):  # (T, S), the source at the right end
            each = readings[i]
            found[i] = links(row[: len(each.tgt), -len(each.src) - 1 : -1], each.src_words, each.tgt_words)
    return found


def links(weights: Numbers, src_words: Sequence[int], tgt_words: Sequence[int]) -> list[Link]:
    """Each target word with the source word of the largest sum, from weights of target and source pieces, (T, S)."""
    src, column = np.unique(src_words, return_inverse=True)
    tgt, row = np.unique(tgt_words, return_inverse=True)
    sums = np.zeros((len(tgt), len(src)))
    np.add.at(sums, (row[:, None], column[None, :]), weights)
    return list(zip(src[sums.argmax(axis=1)].tolist(), tgt.tolist(), strict=True))


def pharaoh(pairs: Sequence[Link]) -> str:
    return " ".join(f"{src}-{tgt}" for src, tgt in sorted(pairs))
