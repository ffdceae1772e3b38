"""Translation of lines with any search: division into parts, and hypotheses to text. It needs no torch."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from nmt.config import SearchConfig
from nmt.data import EOS_ID, Tokenizer, normalise
from nmt.data.words import join_sentences
from nmt.decoding.hypothesis import HYPOTHESES, AttentionMap, Candidate, Hypothesis
from nmt.decoding.parts import SPACE, Part, cut_lines
from nmt.decoding.target_constraints import UNCONSTRAINED, TargetConstraints

log = logging.getLogger(__name__)


class LineTranslator(ABC):
    """Two tokenizers and a search, which translate raw text to raw text."""

    src: Tokenizer
    """Tokenizer of the source."""
    tgt: Tokenizer
    """Tokenizer of the target."""
    config: SearchConfig
    """Search configuration."""
    src_lang: str
    """Language code of the source, by which long lines are split into sentences."""
    replace_unknown: Callable[..., list[list[Candidate]]] | None = None
    """Replacement of unknown words, called with this object, the lines, their parts and their candidates, or None."""

    def search(
        self,
        sources: list[list[int]],
        on_progress: Callable[[int], None],
        constraints: Sequence[TargetConstraints] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search the translations of source ids, in batches of similar length, longest first."""
        constraints = constraints or [UNCONSTRAINED] * len(sources)
        order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
        size = self.config.batch_size or max(1, HYPOTHESES // self.config.width)
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        results: list[list[Hypothesis]] = [[] for _ in sources]
        for batch, hypotheses in zip(batches, self.search_batches(sources, batches, constraints), strict=True):
            for i, of_sentence in zip(batch, hypotheses, strict=True):
                results[i] = of_sentence
            on_progress(len(batch))
        return results

    @abstractmethod
    def search_batches(
        self, sources: list[list[int]], batches: list[list[int]], constraints: Sequence[TargetConstraints]
    ) -> Iterator[list[list[Hypothesis]]]:
        """Search the sources and constraints with the indices of each batch, and yield the hypotheses of each batch."""

    forces_targets = True
    """True if the model gives the probabilities of the pieces of a given target."""

    @abstractmethod
    def prepare(self) -> None:
        """Put the model into the mode of translation."""

    @property
    @abstractmethod
    def attends(self) -> bool:
        """True if the model has attention."""

    @abstractmethod
    def piece_attention(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> NDArray[Any] | None:
        """Return attention weights under teacher forcing; None for a model without attention.

        Args:
            sources: source ids of B sentences, without eos.
            targets: target ids of each, without eos.

        Returns:
            Weights (B, T, S); the row of each target piece is that of the step that writes it. The source with eos is
            padded on the left, the target on the right.
        """

    @abstractmethod
    def attention(self, src: str, tgt: str) -> AttentionMap | None:
        """Return the attention weights of a sentence and its translation; None for a model without attention."""

    def translate(
        self,
        lines: Sequence[str],
        on_progress: Callable[[int], None] = lambda lines: None,
        constraints: Sequence[TargetConstraints] | None = None,
        places: Sequence[str] | None = None,
    ) -> list[list[Candidate]]:
        """Return the n best translations of each line, best first; samples are in the order drawn.

        Except for samples, the translations of a line have different texts, so there may be fewer than n.
        An empty line has one translation, the empty text. A segment for which the model gives no finite score is left
        out of its line, with a warning.

        Args:
            lines: text, one sentence per line. A line of more pieces than `search.max_source_pieces` is translated
                sentence by sentence.
            on_progress: function called with the number of source segments that were just finished.
            constraints: constraints on each line's translation; for a line in parts, on that of its first part.
            places: name of each line in warnings, for example `FILE, line 3`.

        Raises:
            UserError: the search or the model does not support the constraints or the configuration.
        """
        segments: list[list[int]] = []
        segment_constraints: list[TargetConstraints] = []
        spans: list[range] = []
        constraints = constraints or [UNCONSTRAINED] * len(lines)
        places = places or [f"line {number}" for number in range(1, len(lines) + 1)]
        for line, place in zip(lines, places, strict=True):
            self.src.check(line, place)
        parts_of_lines = self.parts(lines)
        for parts, constraint, place in zip(parts_of_lines, constraints, places, strict=True):
            if len(parts) > 1:
                pieces = sum(len(part.ids) for part in parts)
                log.warning("%s: its %d pieces are translated in %d parts", place, pieces, len(parts))
            spans.append(range(len(segments), len(segments) + len(parts)))
            segments.extend(part.ids for part in parts)
            segment_constraints.extend([constraint, *[UNCONSTRAINED] * (len(parts) - 1)][: len(parts)])
        results = self.search(segments, on_progress, segment_constraints)
        if lost := results.count([]):
            log.warning("%d segments have no translation, because the model's scores are not finite", lost)
        results = [hypotheses or [Hypothesis([], -math.inf, -math.inf)] for hypotheses in results]
        candidates = [self.join([results[i] for i in span]) for span in spans]
        if self.replace_unknown is None:
            return candidates
        return self.replace_unknown(self, lines, parts_of_lines, candidates)

    def set_n_best(self, n_best: int) -> None:
        """Set the number of translations that are returned for each line."""
        self.config = replace(self.config, n_best=n_best)

    def set_languages(self, src_lang: str | None, tgt_lang: str | None) -> None:
        """Set the source language, and the target language of lines without a tag; None keeps it.

        Raises:
            UserError: the model was not trained with this target language.
        """
        self.src_lang = src_lang or self.src_lang
        if tgt_lang is not None:
            self.src = self.src.with_target(tgt_lang)

    def parts(self, lines: Sequence[str]) -> list[list[Part]]:
        """Return the parts in which each line is translated."""
        return cut_lines([normalise(line) for line in lines], self.src, self.src_lang, self.config.max_source_pieces)

    def distinct_texts(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Return the hypotheses without those whose text, written with other pieces, has occurred before."""
        first: dict[str, Hypothesis] = {}
        for hypothesis in hypotheses:
            first.setdefault(self.text_of(hypothesis.tokens), hypothesis)
        return list(first.values())

    def blank_pieces(self) -> tuple[int, ...]:
        """Return the pieces that write only spaces."""
        pieces = self.tgt.spellings
        return tuple(i for i, piece in enumerate(pieces) if i > EOS_ID and not piece.replace(SPACE, "").strip())

    def join(self, parts: list[list[Hypothesis]]) -> list[Candidate]:
        """Return the candidates of a line; the nth joins the nth hypothesis of each part."""
        if not parts:
            return [Candidate("", 0.0, 0.0)]
        ranks = min(len(hypotheses) for hypotheses in parts)
        return [
            Candidate(
                text=self.text_of(*(part[rank].tokens for part in parts)),
                log_prob=sum(part[rank].log_prob for part in parts),
                score=sum(part[rank].score for part in parts) / len(parts),
                pieces=[part[rank].tokens for part in parts],
            )
            for rank in range(ranks)
        ]

    def text_of(self, *parts: list[int]) -> str:
        """Return the text of the parts' ids as one line, without line ends and control characters."""
        return self.join_texts(self.tgt.decode(parts))

    def join_texts(self, texts: Sequence[str]) -> str:
        """Return the texts of a line's parts as one line, without line ends and control characters."""
        return normalise(join_sentences([normalise(text) for text in texts]))
