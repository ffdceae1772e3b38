"""Division of lines that are too long to translate at once, at the ends of sentences where possible."""

import itertools
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
    """Part of a line that is translated separately."""

    ids: list[int]
    """Token ids."""
    pieces: list[str]
    """Pieces with the characters of the line. The first is the tag of the target language if `tagged`."""
    joined: bool = False
    """True if no white space separates it from the part before."""
    tagged: bool = False
    """True if the first id is the tag of the target language."""


def cut_lines(lines: Sequence[str], tokenizer: Tokenizer, language: str, limit: int) -> list[list[Part]]:
    """Return the parts of normalised lines: the whole line, or its sentences if it has more than `limit` pieces.

    The parts contain all pieces of a line in order. A part has at most `limit` pieces.
    """
    encoded = zip(lines, tokenizer.encode(lines), tokenizer.surfaces(lines), strict=True)
    tagged = bool(tokenizer.tags)
    return [
        [Part(ids, pieces, tagged=tagged)] * bool(ids)
        if len(ids) <= limit
        else cut_paragraph(line, tokenizer, language, limit)
        for line, ids, pieces in encoded
    ]


def cut_paragraph(line: str, tokenizer: Tokenizer, language: str, limit: int) -> list[Part]:
    """Return the sentences of a line; those of more than `limit` pieces are cut. Each part begins with the line's tag.

    Sentence ends are found in the text without factors.
    """
    tag, text = tokenizer.split_tag(line)
    sentences = split_words_alike(text, split_sentences(tokenizer.plain(text), language))
    texts = [f"{tag} {sentence.strip()}".strip() for sentence in sentences]
    parts: list[Part] = []
    spaced = True
    tags = 1 if tokenizer.tags else 0
    for sentence, ids, pieces in zip(sentences, tokenizer.encode(texts), tokenizer.surfaces(texts), strict=True):
        start = tags
        for end in cut_sentence(pieces[tags:], limit - tags):
            joined = not spaced if start == tags else not pieces[start].startswith(SPACE)
            own = slice(start, end + tags)
            parts.append(
                Part([*ids[:tags], *ids[own]], [*pieces[:tags], *pieces[own]], joined and bool(parts), bool(tags))
            )
            start = end + tags
        spaced = sentence.endswith(" ") or (spaced and not sentence)
    return parts


def split_words_alike(text: str, sentences: Sequence[str]) -> list[str]:
    """Return a text with factors in the sentences in which it was split without them."""
    if "".join(sentences) == text:
        return list(sentences)
    words = iter(text.split())
    return [" ".join(itertools.islice(words, len(sentence.split()))) + " " for sentence in sentences]


def cut_sentence(pieces: Sequence[str], limit: int) -> list[int]:
    """Return the end of each part of a sentence.

    A sentence that is too long is cut in the second half of the limit: after a comma or similar sign if there is one,
    otherwise before a word, otherwise at the limit.
    """
    ends, start = [], 0
    while start < len(pieces):
        end = min(start + limit, len(pieces))
        if end < len(pieces):
            places = [at for at in range(end, start + limit // 2, -1) if pieces[at - 1]]  # not within a character
            words = [at for at in places if pieces[at].startswith(SPACE) or is_unspaced(pieces[at][:1])]
            clauses = (at for at in words if CLAUSE_END.search(pieces[at - 1]))
            end = next(clauses, (words or places or [end])[0])
        ends.append(end)
        start = end
    return ends
