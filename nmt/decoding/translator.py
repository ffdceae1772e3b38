"""Translation of lines of text."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from nmt.config import DataConfig, SearchConfig, SearchKind
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, make_batch, normalise, pad_source
from nmt.data.words import join_sentences
from nmt.decoding.ensemble import TranslationModel
from nmt.decoding.mbr import PairwiseUtility, TextUtility
from nmt.decoding.parts import SPACE, Part, cut_lines
from nmt.decoding.search import Hypothesis, Symbols
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.strategies import SearchBatch, run_search
from nmt.decoding.target_constraints import UNCONSTRAINED, TargetConstraints
from nmt.decoding.unknown import UnknownReplacement
from nmt.metrics import pairwise
from nmt.models import WordSubsets

SYMBOLS = Symbols(BOS_ID, EOS_ID, banned=(PAD_ID, UNK_ID, BOS_ID))
SYMBOLS_WITH_UNKNOWN = Symbols(BOS_ID, EOS_ID, banned=(PAD_ID, BOS_ID))
HYPOTHESES = 320
"""Number of hypotheses per batch unless the configuration sets one; more are hardly faster."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One translation of a line."""

    text: str
    """Text of the translation."""
    log_prob: float
    """Natural logarithm of its probability."""
    score: float
    """Ranking score: the log-probability after the length penalty; with `search=mbr`, the expected utility."""
    pieces: list[list[int]] = field(default_factory=list)
    """Token ids without eos, for each part of the line."""
    widths: list[dict[int, int]] = field(default_factory=list)
    """For each part of a line with replaced unknown words: the number of words of each replacement, by the index of
    the word that it replaces."""


@dataclass(frozen=True)
class AttentionMap:
    """Attention weights of a sentence and its translation."""

    src: list[str]
    """Source pieces, eos last."""
    tgt: list[str]
    """Target pieces, eos last."""
    weights: list[list[float]]
    """Weights, one row per target piece and one column per source piece."""


class Translator:
    """Model with its two tokenizers, which translates raw text to raw text."""

    def __init__(
        self,
        model: TranslationModel,
        src: Tokenizer,
        tgt: Tokenizer,
        config: SearchConfig,
        utility: PairwiseUtility | None = None,
        src_lang: str = DataConfig.src_lang,
        shortlist: Shortlist | None = None,
    ) -> None:
        """
        Args:
            model: a model or an ensemble.
            src: tokenizer of the source.
            tgt: tokenizer of the target.
            config: search configuration.
            utility: utility for minimum Bayes risk; None: `search.mbr_utility` with the default BLEU tokenizer.
            src_lang: language code of the source, by which long lines are split into sentences.
            shortlist: tables for `search.shortlist`; without them search uses all pieces.
        """
        self.model = model
        self.src = src
        self.tgt = tgt
        self.config = config if shortlist is not None else replace(config, shortlist=None)
        self.shortlist = shortlist
        pairwise_utility = utility or partial(pairwise, metric=config.mbr_utility, tokenize=DataConfig.bleu_tokenize)
        self.utility = TextUtility(self.text_of, pairwise_utility)
        self.src_lang = src_lang
        setting = config.replace_unknown
        self.replace_unknown = None if setting is None else UnknownReplacement.of(setting)
        self.device = next(model.parameters()).device

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

    def search(
        self,
        sources: list[list[int]],
        on_progress: Callable[[int], None],
        constraints: Sequence[TargetConstraints] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search the translations of source ids, in batches of similar length, longest first."""
        constraints = constraints or [UNCONSTRAINED] * len(sources)
        training = self.model.training
        self.model.eval()
        order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
        size = self.config.batch_size or max(1, HYPOTHESES // self.config.width)
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        results: list[list[Hypothesis]] = [[] for _ in sources]
        try:
            for batch, hypotheses in zip(batches, self.search_batches(sources, batches, constraints), strict=True):
                for i, of_sentence in zip(batch, hypotheses, strict=True):
                    results[i] = of_sentence
                on_progress(len(batch))
        finally:
            self.model.train(training)
        return results

    def search_batches(
        self, sources: list[list[int]], batches: list[list[int]], constraints: Sequence[TargetConstraints]
    ) -> Iterator[list[list[Hypothesis]]]:
        """Search each batch; on a CPU in parallel, one thread per batch.

        A step of search is many small operations, which two cores compute faster for two batches separately than
        together for one.
        """

        def search(batch: list[int]) -> list[list[Hypothesis]]:
            return self.search_batch([sources[i] for i in batch], [constraints[i] for i in batch])

        threads = torch.get_num_threads()
        if self.device.type != "cpu" or len(batches) < 2 or threads == 1:
            yield from map(search, batches)
            return
        pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield from pool.map(search, batches)
        finally:
            pool.shutdown(cancel_futures=True)  # so that an interrupt does not wait for the remaining batches
            torch.set_num_threads(threads)  # because the setting of the worker threads is global

    @torch.inference_mode()
    def search_batch(
        self, sources: list[list[int]], constraints: Sequence[TargetConstraints]
    ) -> list[list[Hypothesis]]:
        """Search one batch."""
        src, mask = (tensor.to(self.device) for tensor in pad_source(sources))
        symbols = SYMBOLS if self.replace_unknown is None else SYMBOLS_WITH_UNKNOWN
        if self.config.min_length:
            symbols = replace(symbols, blank=self.blank_pieces())
        spellings = self.tgt.spellings if any(constraint.forbidden for constraint in constraints) else ()
        subsets = self.subsets(sources, constraints)
        batch = SearchBatch(sources, src, mask, self.max_lengths(sources, mask), constraints, spellings, subsets)
        config = self.config
        if config.n_best == 1 or config.kind not in (SearchKind.beam, SearchKind.diverse):
            return run_search(self.model, batch, symbols, config, self.utility)
        whole_beam = replace(config, n_best=config.max_n_best)  # replacements for hypotheses with the same text
        found = run_search(self.model, batch, symbols, whole_beam, self.utility)
        return [self.distinct_texts(hypotheses)[: config.n_best] for hypotheses in found]

    def subsets(self, sources: list[list[int]], constraints: Sequence[TargetConstraints]) -> WordSubsets | None:
        """Return the pieces that the hypotheses of each source may use, with those that constraints need; None: all."""
        shortlist, size = self.shortlist, self.config.shortlist
        if shortlist is None or size is None:
            return None
        pieces = [
            shortlist.pieces(source, size, shortlist.required(constraint, size))
            for source, constraint in zip(sources, constraints, strict=True)
        ]
        return WordSubsets.of(pieces, self.tgt.size, self.device)

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

    def max_lengths(self, sources: list[list[int]], mask: Tensor) -> Tensor:
        """Return the maximum number of target tokens of each source, (B,); `mask` is the source mask, (S, B)."""
        return (mask.sum(dim=0) * self.config.max_length_ratio).long() + self.config.max_length_offset

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

    def attention(self, src: str, tgt: str) -> AttentionMap | None:
        """Return the attention weights of a sentence and its translation; None for a model without attention.

        They are computed under teacher forcing, and do not depend on the search that found the translation.
        """
        maps = self.attentions([src], [tgt])
        return None if maps is None else maps[0]

    @torch.inference_mode()
    def attentions(self, src: Sequence[str], tgt: Sequence[str]) -> list[AttentionMap] | None:
        """Return the attention weights of several sentences and their translations, computed in one batch."""
        self.model.eval()
        src_ids, tgt_ids = self.src.encode([normalise(line) for line in src]), self.tgt.encode(list(tgt))
        batch = make_batch(src_ids, tgt_ids, range(len(src_ids))).to(self.device)
        weights = self.model.attention(batch.src, batch.src_mask, batch.tgt_in)  # (B, T, S), padded on the left
        if weights is None:
            return None
        return [
            AttentionMap(
                self.src.pieces([*src_pieces, EOS_ID]),
                self.tgt.pieces([*tgt_pieces, EOS_ID]),
                of_pair[: len(tgt_pieces) + 1, -len(src_pieces) - 1 :].tolist(),
            )
            for src_pieces, tgt_pieces, of_pair in zip(src_ids, tgt_ids, weights.float(), strict=True)
        ]
