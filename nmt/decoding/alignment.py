"""Which source word each word of a translation comes from, told by the attention, in Pharaoh's format: `0-0 1-2`."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.data import make_batch, normalise
from nmt.data.words import is_unspaced
from nmt.decoding.ensemble import TranslationModel
from nmt.decoding.parts import SPACE, Part
from nmt.decoding.translator import Candidate, Translator

READ_TOGETHER = 64
"""Pairs read at once: the weights of the longest ones take 21 MB."""

Numbers = NDArray[np.floating]
Link = tuple[int, int]
"""Numbers of a source word and of a target word, from 0."""


@dataclass(frozen=True)
class Reading:
    """A part of a line and its translation."""

    src: list[int]
    src_words: list[list[int]]
    """The words of the line that each source piece belongs to."""
    tgt: list[int]
    tgt_words: list[list[int]]


def align(translator: Translator, lines: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[str]]:
    """The alignment of each candidate of each line, as text; that of an empty candidate is empty.

    Words are what white space separates in the line as it came and in the candidate's text; in scripts without spaces
    each character is a word. Each target word is
    linked to one source word, that with the most attention (Luong et al. 2015, 5.4), summed over the pieces of both.
    As there, the translation is given to the decoder, so that the weights are the same whatever search found it.

    Args:
        translator: its model has attention.
        lines: what was translated ...
        candidates: ... and what `translate` made of each.
    """
    readings: list[Reading] = []
    spans: list[list[range]] = []  # for each line and candidate
    for line, parts, found in zip(lines, translator.parts(lines), candidates, strict=True):
        src_words = source_words(line, parts)
        spans.append([])
        for candidate in found:
            first = len(readings)
            read_pieces = words = 0
            for part, tgt in zip(parts, candidate.pieces, strict=True):
                numbers, count = word_numbers(translator.tgt.pieces(tgt))
                own = src_words[read_pieces : read_pieces + len(part.ids)]
                if own and count:
                    shifted = [[words + number for number in of_piece] for of_piece in numbers]
                    readings.append(Reading(part.ids, own, tgt, shifted))
                read_pieces += len(part.ids)
                words += count
            spans[-1].append(range(first, len(readings)))
    links = read(translator.model, readings, translator.device)
    return [[pharaoh([link for i in span for link in links[i]]) for span in of_line] for of_line in spans]


def source_words(line: str, parts: Sequence[Part], characters: bool = True) -> list[list[int]]:
    """Return the words of a line as it came that each of its pieces belongs to; `characters` as in `word_numbers`.

    A word as it came may be several to the tokenizer, which takes a control character or a `▁` for a space, or none,
    where nothing in it is visible. There are no words in a line without such.
    """
    owners: list[int] = []
    count = 0
    for word in line.split():
        units = sum(word_numbers([each], characters)[1] for each in normalise(word).replace(SPACE, " ").split())
        if characters and any(map(is_unspaced, normalise(word))):
            owners += range(count, count + units)
            count += units
        else:
            owners += [count] * units
            count += 1
    pieces = [
        piece.removeprefix(SPACE) if part.joined and at == 0 else piece
        for part in parts
        for at, piece in enumerate(part.pieces)
    ]
    return [[owners[number] for number in numbers] for numbers in word_numbers(pieces, characters)[0]] if owners else []


def word_numbers(pieces: Sequence[str], characters: bool = True) -> tuple[list[list[int]], int]:
    """Return the numbers of the words that each piece belongs to, and how many words there are.

    A word is what stands between spaces; with `characters` each character of a script without spaces
    is one. A piece belongs to the word
    of its last letter, and to all characters that are words behind its last space; a piece of spaces alone belongs to
    the next word, or at the end to the last.
    """
    numbers: list[list[int]] = []
    words, before = 0, SPACE
    for piece in pieces:
        own: list[int] = []
        spaced = False
        for letter in piece:
            if letter == SPACE or letter.isspace():
                before, spaced = SPACE, True
                continue
            if spaced:
                own, spaced = [], False
            alone = characters and (is_unspaced(letter) or is_unspaced(before))
            words += before == SPACE or (alone and not unicodedata.category(letter).startswith("M"))
            before = letter
            if own[-1:] != [words - 1]:
                own.append(words - 1)
        numbers.append(own or [words])
    return [[min(number, words - 1) for number in own] for own in numbers], words


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
            found[i] = links(*by_word(row[: len(each.tgt), -len(each.src) - 1 : -1], each))
    return found


def by_word(weights: Numbers, reading: Reading) -> tuple[Numbers, list[int], list[int]]:
    """Return the weights with a row and a column for each word of each piece, and the words.

    The words of a source piece share its weight equally.
    """
    rows = [row for row, words in enumerate(reading.tgt_words) for _ in words]
    columns = [column for column, words in enumerate(reading.src_words) for _ in words]
    shares = np.array([len(reading.src_words[column]) for column in columns], dtype=weights.dtype)
    return (
        weights[np.ix_(rows, columns)] / shares,
        [word for words in reading.src_words for word in words],
        [word for words in reading.tgt_words for word in words],
    )


def links(weights: Numbers, src_words: Sequence[int], tgt_words: Sequence[int]) -> list[Link]:
    """Each target word with the source word of the largest sum, from weights of target and source pieces, (T, S)."""
    src, column = np.unique(src_words, return_inverse=True)
    tgt, row = np.unique(tgt_words, return_inverse=True)
    sums = np.zeros((len(tgt), len(src)))
    np.add.at(sums, (row[:, None], column[None, :]), weights)
    return list(zip(src[sums.argmax(axis=1)].tolist(), tgt.tolist(), strict=True))


def pharaoh(pairs: Sequence[Link]) -> str:
    return " ".join(f"{src}-{tgt}" for src, tgt in sorted(pairs))
