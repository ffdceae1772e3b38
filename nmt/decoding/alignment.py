"""Word alignment of source and translation by attention, in Pharaoh's format: `0-0 1-2`."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.data import UNK_ID, Tokenizer, normalise
from nmt.data.words import is_unspaced
from nmt.decoding.parts import SPACE, Part
from nmt.errors import UserError

if TYPE_CHECKING:  # translator.py replaces unknown words by alignment
    from nmt.decoding.hypothesis import Candidate
    from nmt.decoding.lines import LineTranslator

READ_TOGETHER = 64
"""Number of pairs per batch; the weights of the longest pairs take 21 MB."""

PLACE = "\ue000"
"""Character in place of an unknown piece: a private-use character, which is not punctuation."""
Numbers = NDArray[np.floating]
Link = tuple[int, int]
"""Indices of a source word and a target word, from 0."""


@dataclass(frozen=True)
class AlignedPart:
    """Part of a line and its translation."""

    src: list[int]
    """Source ids."""
    src_words: list[list[int]]
    """Words of the line that each source piece belongs to."""
    tgt: list[int]
    """Target ids."""
    tgt_words: list[list[int]]
    """Words of the translation that each target piece belongs to."""


def align(
    translator: LineTranslator, lines: Sequence[str], candidates: Sequence[Sequence[Candidate]]
) -> list[list[str]]:
    """Return the alignment of each candidate of each line in Pharaoh's format; arguments are those of `align_words`."""
    return [[pharaoh(pairs) for pairs in of_line] for of_line in align_words(translator, lines, candidates)]


def align_words(
    translator: LineTranslator,
    lines: Sequence[str],
    candidates: Sequence[Sequence[Candidate]],
    punctuation: bool = True,
) -> list[list[list[Link]]]:
    """Return the links of each candidate of each line; an empty candidate has none.

    Words are separated by white space in the line as given and in the candidate's text; in scripts without spaces each
    character is a word. Each target word is linked to the source word with the most attention (Luong et al. 2015, 5.4),
    summed over the pieces of both. As there, the weights are computed under teacher forcing, so that they do not depend
    on the search that found the translation.

    Args:
        translator: translator whose model has attention.
        lines: source lines.
        candidates: the result of `translate` for each line.
        punctuation: count the attention of all pieces of a word. False: leave out pieces of punctuation in words with
            letters, so that the last words of two sentences are not linked by their full stops.
    """
    pairs: list[AlignedPart] = []
    spans: list[list[range]] = []  # for each line and candidate
    for line, parts, of_line in zip(lines, translator.parts(lines), candidates, strict=True):
        src_words = tagged_source_words(translator.src, line, parts)
        spans.append([])
        for candidate in of_line:
            first = len(pairs)
            read_pieces = words = 0
            widths = candidate.widths or [{}] * len(parts)
            for part, tgt, replaced in zip(parts, candidate.pieces, widths, strict=True):
                written = written_pieces(translator.tgt, tgt)
                numbers, count = target_words(written, replaced)
                part_words = src_words[read_pieces : read_pieces + len(part.ids)]
                if not punctuation:
                    part_words = without_punctuation(part_words, part.pieces)
                    numbers = without_punctuation(numbers, written)
                if part_words and count:
                    shifted = [[words + number for number in of_piece] for of_piece in numbers]
                    pairs.append(AlignedPart(part.ids, part_words, tgt, shifted))
                read_pieces += len(part.ids)
                words += count
            spans[-1].append(range(first, len(pairs)))
    links = align_parts(translator, pairs)
    return [[[link for i in span for link in links[i]] for span in of_line] for of_line in spans]


def without_punctuation(words: Sequence[list[int]], pieces: Sequence[str]) -> list[list[int]]:
    """Return the words of each piece, none for a piece without letters or digits whose words have others with them."""
    lettered = {word for own, piece in zip(words, pieces, strict=False) if any(map(str.isalnum, piece)) for word in own}
    return [
        own if any(map(str.isalnum, piece)) or not lettered.issuperset(own) else []
        for own, piece in zip(words, pieces, strict=False)
    ]


def tagged_source_words(tokenizer: Tokenizer, line: str, parts: Sequence[Part]) -> list[list[int]]:
    """Return `source_words` of a line that may have a tag and factors; the tag that begins a part has no words."""
    tag, _ = tokenizer.split_tag(line)
    untagged = [replace(part, pieces=part.pieces[1:]) if part.tagged else part for part in parts]
    numbers = iter(source_words(tokenizer.plain(line), untagged))
    words: list[list[int]] = []
    for part in parts:
        words += [[]] * part.tagged
        words += [
            [number + bool(tag) for number in of_piece]
            for of_piece in itertools.islice(numbers, len(part.ids) - part.tagged)
        ]
    return words if any(words) else []


def source_words(line: str, parts: Sequence[Part], characters: bool = True) -> list[list[int]]:
    """Return the words of a line, as given, that each of its pieces belongs to; `characters` as in `word_numbers`.

    The tokenizer treats a control character and a `▁` as a space. A word as given can therefore be several words for
    the tokenizer, or none if nothing in it is visible. A line without visible words has no words.
    """
    owners: list[int] = []
    count = 0
    for word in line.split():
        units = sum(word_numbers([unit], characters)[1] for unit in normalise(word).replace(SPACE, " ").split())
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


def source_units(line: str) -> list[str]:
    """Return the words of a line that `source_words` counts: its words, and characters of scripts without spaces."""
    units: list[str] = []
    for word in line.split():
        letters = list(normalise(word).replace(SPACE, " "))
        if not any(map(is_unspaced, letters)):
            units.append(normalise(word))
            continue
        numbers, count = word_numbers(["".join(letters[:1]), *letters[1:]])
        texts = [""] * count
        for letter, owners in zip(letters, numbers, strict=True):
            texts[owners[-1]] += letter
        units += [text.strip() for text in texts]
    return units if any(units) else []


def written_pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Return the text that each piece writes, and `PLACE` for an unknown one, which is a word if pieces are words."""
    texts = tokenizer.texts(ids)
    if UNK_ID in ids:
        divided = any(spelling.isalnum() for spelling in tokenizer.spellings)  # words begin with ▁
        unknown = PLACE if divided else SPACE + PLACE
        texts = [unknown if i == UNK_ID else text for i, text in zip(ids, texts, strict=True)]
    return texts


def target_words(pieces: Sequence[str], widths: Mapping[int, int]) -> tuple[list[list[int]], int]:
    """Return `word_numbers` after some words were replaced; `widths` has the number of words of each replacement."""
    numbers, count = word_numbers(pieces)
    if not widths:
        return numbers, count
    starts = list(accumulate((widths.get(word, 1) for word in range(count)), initial=0))
    return [[i for word in own for i in range(starts[word], starts[word + 1])] for own in numbers], starts[-1]


def word_numbers(pieces: Sequence[str], characters: bool = True) -> tuple[list[list[int]], int]:
    """Return a list of word indices for each piece, and the number of words.

    Words are separated by spaces. With `characters`, each character of a script without spaces is a word. A piece
    belongs to all words that it covers after its last space, not counting spaces at its end. A piece that consists of
    spaces belongs to the next word, or to the last one at the end of the sentence. A piece without text, such as a byte
    of a character, belongs to the first word of the next piece with text.
    """
    numbers: list[list[int]] = []
    words, before = 0, SPACE
    empty = 0  # number of pieces before this one without text
    for piece in pieces:
        if not piece:
            empty += 1
            continue
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
        numbers += [own[:1] or [words]] * empty + [own or [words]]
        empty = 0
    numbers += [[words]] * empty
    return [[min(number, words - 1) for number in own] for own in numbers], words


def align_parts(translator: LineTranslator, parts: Sequence[AlignedPart]) -> list[list[Link]]:
    """Return the links of each part, computed in batches of similar length."""
    aligned: list[list[Link]] = [[] for _ in parts]
    order = sorted(range(len(parts)), key=lambda i: -len(parts[i].src))
    for start in range(0, len(order), READ_TOGETHER):
        rows = order[start : start + READ_TOGETHER]
        weights = translator.piece_attention([parts[i].src for i in rows], [parts[i].tgt for i in rows])
        if weights is None:
            raise UserError(
                "this model has no attention, from which words are aligned; leave out alignments and "
                "search.replace_unknown, or use a model with attention"
            )
        for row, i in zip(weights, rows, strict=True):  # (T, S), the source at the right end
            part = parts[i]
            aligned[i] = links(*by_word(row[: len(part.tgt), -len(part.src) - 1 : -1], part))
    return aligned


def by_word(weights: Numbers, part: AlignedPart) -> tuple[Numbers, list[int], list[int]]:
    """Return the weights with one row and one column per word of each piece, and the words of the columns and rows.

    The words of a source piece share its weight equally.
    """
    rows = [row for row, words in enumerate(part.tgt_words) for _ in words]
    columns = [column for column, words in enumerate(part.src_words) for _ in words]
    shares = np.array([len(part.src_words[column]) for column in columns], dtype=weights.dtype)
    return (
        weights[np.ix_(rows, columns)] / shares,
        [word for words in part.src_words for word in words],
        [word for words in part.tgt_words for word in words],
    )


def links(weights: Numbers, src_words: Sequence[int], tgt_words: Sequence[int]) -> list[Link]:
    """Link each target word to the source word with the largest sum of the pieces' weights (T, S)."""
    src, column = np.unique(src_words, return_inverse=True)
    tgt, row = np.unique(tgt_words, return_inverse=True)
    sums = np.zeros((len(tgt), len(src)))
    np.add.at(sums, (row[:, None], column[None, :]), weights)
    return list(zip(src[sums.argmax(axis=1)].tolist(), tgt.tolist(), strict=True))


def pharaoh(pairs: Sequence[Link]) -> str:
    """Format links in Pharaoh's format, sorted by source word."""
    return " ".join(f"{src}-{tgt}" for src, tgt in sorted(pairs))
