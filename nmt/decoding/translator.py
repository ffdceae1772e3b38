"""Translation of lines of text."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config import DataConfig, SearchConfig, SearchKind
from nmt.data import EOS_ID, Tokenizer, make_batch, normalise, pad_source
from nmt.decoding.ensemble import TranslationModel, evaluation_mode
from nmt.decoding.hypothesis import SYMBOLS, SYMBOLS_WITH_UNKNOWN, AttentionMap, Hypothesis
from nmt.decoding.lines import LineTranslator
from nmt.decoding.mbr import PairwiseUtility, TextUtility
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.strategies import SearchBatch, run_search
from nmt.decoding.target_constraints import TargetConstraints
from nmt.decoding.unknown import UnknownReplacement
from nmt.metrics import pairwise
from nmt.models import WordSubsets

log = logging.getLogger(__name__)


class Translator(LineTranslator):
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

    def prepare(self) -> None:
        self.model.eval()

    def search(
        self,
        sources: list[list[int]],
        on_progress: Callable[[int], None],
        constraints: Sequence[TargetConstraints] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search as the base class does, with the model in evaluation mode."""
        with evaluation_mode(self.model):
            return super().search(sources, on_progress, constraints)

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

    def max_lengths(self, sources: list[list[int]], mask: Tensor) -> Tensor:
        """Return the maximum number of target tokens of each source, (B,); `mask` is the source mask, (S, B)."""
        return (mask.sum(dim=0) * self.config.max_length_ratio).long() + self.config.max_length_offset

    @cached_property
    def attends(self) -> bool:
        """True if the model has attention."""
        return self.piece_attention([[]], [[]]) is not None

    @torch.inference_mode()
    def piece_attention(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> NDArray[Any] | None:
        batch = make_batch(sources, targets, range(len(sources))).to(self.device)
        with evaluation_mode(self.model):
            weights = self.model.attention(batch.src, batch.src_mask, batch.tgt_in)
        return None if weights is None else weights.float().cpu().numpy()

    def attention(self, src: str, tgt: str) -> AttentionMap | None:
        """Return the attention weights of a sentence and its translation; None for a model without attention.

        They are computed under teacher forcing, and do not depend on the search that found the translation.
        """
        maps = self.attentions([src], [tgt])
        return None if maps is None else maps[0]

    @torch.inference_mode()
    def attentions(self, src: Sequence[str], tgt: Sequence[str]) -> list[AttentionMap] | None:
        """Return the attention weights of several sentences and their translations, computed in one batch."""
        src_ids, tgt_ids = self.src.encode([normalise(line) for line in src]), self.tgt.encode(list(tgt))
        batch = make_batch(src_ids, tgt_ids, range(len(src_ids))).to(self.device)
        with evaluation_mode(self.model):
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
