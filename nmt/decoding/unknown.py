"""Replacement of unknown target words by the source word with the most attention, or by its entry in a dictionary.

Jean et al. 2015, 3.3; Luong, Sutskever et al. 2015, 3. A target word is unknown if one of its pieces is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING

from nmt.config import COPY_UNKNOWN, user_path
from nmt.data import UNK_ID, normalise, read_all
from nmt.data.words import is_unspaced
from nmt.decoding.alignment import (
    AlignedPart,
    align_parts,
    source_units,
    tagged_source_words,
    word_numbers,
    written_pieces,
)
from nmt.decoding.parts import SPACE, Part
from nmt.errors import UserError

if TYPE_CHECKING:  # translator.py imports this module
    from nmt.decoding.hypothesis import Candidate
    from nmt.decoding.translator import Translator


class UnknownReplacement:
    """Replacement of unknown words, by copies or by a dictionary."""

    def __init__(self, dictionary: Mapping[str, str]) -> None:
        """
        Args:
            dictionary: translations of source words; other words are copied.
        """
        self.dictionary = dictionary

    @classmethod
    def of(cls, setting: str) -> UnknownReplacement:
        """Return the replacement of `search.replace_unknown`: `copy`, or a file of source words and translations.

        Raises:
            UserError: the file cannot be read, or a line has no tab.
        """
        return cls({} if setting == COPY_UNKNOWN else read_dictionary(setting))

    def translate(self, word: str) -> str:
        """Return the entry of a source word, without the punctuation at its ends if only that is known, or a copy."""
        start, end = inner_range(word)
        core = word[start:end] or word
        for form in (word, core, core.lower()):
            if form in self.dictionary:
                return self.dictionary[form]
        return core

    def __call__(
        self,
        translator: Translator,
        lines: Sequence[str],
        parts: Sequence[Sequence[Part]],
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[list[Candidate]]:
        """Return the candidates of each line with unknown words replaced.

        Args:
            translator: translator whose model has attention.
            lines: source lines.
            parts: the parts in which each line was translated.
            candidates: the translations of each line.

        Raises:
            UserError: the model has no attention.
        """
        result = [list(of_line) for of_line in candidates]
        unknown: list[tuple[int, int, int]] = []  # line, candidate and part
        aligned: list[AlignedPart] = []
        for i, of_line in enumerate(candidates):
            if not any(UNK_ID in ids for candidate in of_line for ids in candidate.pieces):
                continue
            owners = iter(tagged_source_words(translator.src, lines[i], parts[i]))
            of_parts = [list(islice(owners, len(part.ids))) for part in parts[i]]
            for j, candidate in enumerate(of_line):
                for k, (part, words, tgt) in enumerate(zip(parts[i], of_parts, candidate.pieces, strict=False)):
                    if UNK_ID in tgt and any(words):
                        unknown.append((i, j, k))
                        aligned.append(
                            AlignedPart(part.ids, words, tgt, word_numbers(written_pieces(translator.tgt, tgt))[0])
                        )
        links = align_parts(translator, aligned)
        for (i, j), group in groupby(zip(unknown, aligned, links, strict=True), key=lambda item: item[0][:2]):
            tag, _ = translator.src.split_tag(lines[i])
            units, candidate = [tag] * bool(tag) + source_units(translator.src.plain(lines[i])), candidates[i][j]
            texts, widths = translator.tgt.decode(candidate.pieces), [dict[int, int]() for _ in candidate.pieces]
            for (_, _, k), aligned_part, of_part in group:
                replacements = {tgt: self.translate(units[src]) for src, tgt in of_part}
                texts[k], widths[k] = self.rewrite(translator, aligned_part, replacements)
            result[i][j] = replace(candidate, text=translator.join_texts(texts), widths=widths)
        return result

    def rewrite(
        self, translator: Translator, part: AlignedPart, words: Mapping[int, str]
    ) -> tuple[str, dict[int, int]]:
        """Return the text of a part with its unknown words replaced, and the numbers of words of the replacements.

        Args:
            translator: translator with the target's tokenizer.
            part: the part.
            words: replacement of each target word.
        """
        pieces = written_pieces(translator.tgt, part.tgt)
        unknown = {
            word
            for words_of, piece in zip(part.tgt_words, part.tgt, strict=True)
            if piece == UNK_ID
            for word in words_of
        }
        text, widths = "", {}

        def word_at(at: int) -> int:
            """Return the unknown word of a piece, or -1."""
            return max((word for word in part.tgt_words[at] if word in unknown), default=-1)

        for word, positions in groupby(range(len(pieces)), key=word_at):
            at = list(positions)
            text += " " * pieces[at[0]].startswith(SPACE)
            if word < 0:
                text += translator.tgt.decode([[part.tgt[i] for i in at]])[0]
                continue
            written = "".join(pieces[i] for i in at).replace(SPACE, " ").strip()
            start, end = inner_range(written)
            widths[word] = max(1, word_numbers(list(words[word].replace(" ", SPACE)))[1])
            text += written[:start] + words[word] + written[end:]
        return text, widths


def inner_range(word: str) -> tuple[int, int]:
    """Return start and end of a word without the punctuation, symbols and unspaced scripts at its ends.

    A word that consists of these alone has an empty range.
    """
    inside = [at for at, sign in enumerate(word) if unicodedata.category(sign)[0] not in "PS" and not is_unspaced(sign)]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def read_dictionary(path: str) -> dict[str, str]:
    """Return the first translation of each word of a file with source and target in tab-separated columns.

    Raises:
        UserError: the file cannot be read, or a line has no tab.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(read_all(user_path(path)), start=1):
        if not line.strip():
            continue
        columns = [normalise(column) for column in line.split("\t")]
        if len(columns) < 2 or not columns[0] or not columns[1]:
            raise UserError(
                f"search.replace_unknown={path}: line {number} is not source, tab, target; correct the line"
            )
        entries.setdefault(columns[0], columns[1])
    return entries
