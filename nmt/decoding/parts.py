"""Cuts a line that is too long to translate at once: at the ends of sentences, inside one only if it is too long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.data import Tokenizer
from nmt.data.sentence_ends import split_sentences
from nmt.data.words import is_unspaced

SPACE = "▁"
CLAUSE_END = re.compile(r"[,;:،؛、，；：]$")


@dataclass(frozen=True)
class Part:
    """A part of a line that is translated by itself."""

    ids: list[int]
    pieces: list[str]
    """The pieces as the line has them."""
    joined: bool = False
    """Whether no white space stands between it and the part before."""


def cut_lines(lines: Sequence[str], tokenizer: Tokenizer, language: str, most: int) -> list[list[Part]]:
    """Return the parts of normalised lines: one of each, or its sentences if it has more than `most` pieces.

    All pieces of a line are in its parts, in their order. No part has more than `most` pieces.
    """
    encoded = zip(lines, tokenizer.encode(lines), tokenizer.surfaces(lines), strict=True)
    return [
        [Part(ids, pieces)] * bool(ids) if len(ids) <= most else cut_paragraph(line, tokenizer, language, most)
        for line, ids, pieces in encoded
    ]


def cut_paragraph(line: str, tokenizer: Tokenizer, language: str, most: int) -> list[Part]:
    """Return the sentences of a line, and parts of those that have more than `most` pieces."""
    sentences = split_sentences(line, language)
    texts = [sentence.strip() for sentence in sentences]
    parts: list[Part] = []
    spaced = True
    for sentence, ids, pieces in zip(sentences, tokenizer.encode(texts), tokenizer.surfaces(texts), strict=True):
        start = 0
        for end in cut_sentence(pieces, most):
            joined = not spaced if start == 0 else not pieces[start].startswith(SPACE)
            parts.append(Part(ids[start:end], pieces[start:end], joined and bool(parts)))
            start = end
        spaced = sentence.endswith(" ") or (spaced and not sentence)
    return parts


def cut_sentence(pieces: Sequence[str], most: int) -> list[int]:
    """Return where the parts of a sentence end.

    A sentence that is too long is cut in the second half of the room: behind a comma or the like, else before a word,
    else at the end of the room.
    """
    ends, start = [], 0
    while start < len(pieces):
        end = min(start + most, len(pieces))
        if end < len(pieces):
            places = range(end, start + most // 2, -1)
            words = [at for at in places if pieces[at].startswith(SPACE) or is_unspaced(pieces[at][0])]
            clauses = (at for at in words if CLAUSE_END.search(pieces[at - 1]))
            end = next(clauses, words[0] if words else end)
        ends.append(end)
        start = end
    return ends
