"""Lines of text to lines of text."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nmt.config import DataConfig, SearchConfig
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, make_batch, normalise, source_tensors
from nmt.data.words import join_sentences
from nmt.decoding.demands import UNCONSTRAINED, Demand
from nmt.decoding.ensemble import TranslationModel
from nmt.decoding.parts import SPACE, Part, cut_lines
from nmt.decoding.search import Hypothesis, Symbols
from nmt.decoding.strategies import find

SYMBOLS = Symbols(BOS_ID, EOS_ID, banned=(PAD_ID, UNK_ID, BOS_ID))
HYPOTHESES = 320
"""Searched at once unless the configuration says otherwise: more are hardly faster."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One translation of a line."""

    text: str
    log_prob: float
    """Natural logarithm of its probability."""
    score: float
    """What candidates are ranked by: the log-probability after the length penalty; for `mbr` the expected utility."""
    pieces: list[list[int]] = field(default_factory=list)
    """Its ids, without eos, for each part of the line."""


@dataclass(frozen=True)
class AttentionMap:
    """Where the model looked for each target piece."""

    src: list[str]
    """Source pieces, eos last."""
    tgt: list[str]
    """Target pieces, eos last."""
    weights: list[list[float]]
    """A line a target piece, a column a source piece."""


class Translator:
    """A model with its two tokenizers: raw text in, raw text out."""

    def __init__(
        self,
        model: TranslationModel,
        src: Tokenizer,
        tgt: Tokenizer,
        config: SearchConfig,
        bleu_tokenize: str = DataConfig.bleu_tokenize,
        src_lang: str = DataConfig.src_lang,
    ) -> None:
        """
        Args:
            model: one, or an ensemble.
            src: the source's tokenizer.
            tgt: the target's.
            config: how to search.
            bleu_tokenize: sacrebleu's tokenizer, for minimum Bayes risk with BLEU.
            src_lang: language code of the source, whose sentences a long line is cut into.
        """
        self.model = model
        self.src = src
        self.tgt = tgt
        self.config = config
        self.bleu_tokenize = bleu_tokenize
        self.src_lang = src_lang
        self.device = next(model.parameters()).device

    def translate(
        self,
        lines: Sequence[str],
        on_progress: Callable[[int], None] = lambda lines: None,
        demands: Sequence[Demand] | None = None,
        places: Sequence[str] | None = None,
    ) -> list[list[Candidate]]:
        """The n best translations of each line, best first (samples as drawn); an empty line has one, the empty text.

        A segment of which the model gives no finite score is left out of its line, with a warning.

        Args:
            lines: any text, one sentence each. A line of more pieces than `search.max_source_pieces` is translated
                sentence by sentence.
            on_progress: called with the number of source segments that were just finished.
            demands: what each line's translation must hold; of a line in parts, that of its first part.
            places: what warnings call each line, as `FILE, line 3`.

        Raises:
            UserError: the search or the model cannot do what is asked.
        """
        segments: list[list[int]] = []
        asked: list[Demand] = []
        spans: list[range] = []
        demands = demands or [UNCONSTRAINED] * len(lines)
        places = places or [f"line {number}" for number in range(1, len(lines) + 1)]
        for parts, demand, place in zip(self.parts(lines), demands, places, strict=True):
            if len(parts) > 1:
                pieces = sum(len(part.ids) for part in parts)
                log.warning("%s: its %d pieces are translated in %d parts", place, pieces, len(parts))
            spans.append(range(len(segments), len(segments) + len(parts)))
            segments.extend(part.ids for part in parts)
            asked.extend([demand, *[UNCONSTRAINED] * (len(parts) - 1)][: len(parts)])
        found = self.search(segments, on_progress, asked)
        if lost := found.count([]):
            log.warning("%d segments have no translation: the model's scores of them are no finite numbers", lost)
        found = [hypotheses or [Hypothesis([], -math.inf, -math.inf)] for hypotheses in found]
        return [self.join([found[i] for i in span]) for span in spans]

    def ask_for(self, n_best: int) -> None:
        """How many translations of each line to return from now on."""
        self.config = replace(self.config, n_best=n_best)

    def parts(self, lines: Sequence[str]) -> list[list[Part]]:
        """Return the parts that each line is translated in."""
        return cut_lines([normalise(line) for line in lines], self.src, self.src_lang, self.config.max_source_pieces)

    def search(
        self,
        sources: list[list[int]],
        on_progress: Callable[[int], None],
        demands: Sequence[Demand] | None = None,
    ) -> list[list[Hypothesis]]:
        """Searches ids of source sentences, in batches of like length, longest first."""
        asked = demands or [UNCONSTRAINED] * len(sources)
        training = self.model.training
        self.model.eval()
        order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
        size = self.config.batch_size or max(1, HYPOTHESES // self.config.width)
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        found: list[list[Hypothesis]] = [[] for _ in sources]
        try:
            for batch, results in zip(batches, self.search_batches(sources, batches, asked), strict=True):
                for i, hypotheses in zip(batch, results, strict=True):
                    found[i] = hypotheses
                on_progress(len(batch))
        finally:
            self.model.train(training)
        return found

    def search_batches(
        self, sources: list[list[int]], batches: list[list[int]], demands: Sequence[Demand]
    ) -> Iterator[list[list[Hypothesis]]]:
        """Searches each batch; on a processor side by side, a thread each.

        A step of search is many small operations, which two cores do faster for two batches than together for one.
        """

        def one(batch: list[int]) -> list[list[Hypothesis]]:
            return self.search_batch([sources[i] for i in batch], [demands[i] for i in batch])

        threads = torch.get_num_threads()
        if self.device.type != "cpu" or len(batches) < 2 or threads == 1:
            yield from map(one, batches)
            return
        pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield from pool.map(one, batches)
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt need not wait for all the text
            torch.set_num_threads(threads)  # the workers' setting is everyone's

    @torch.inference_mode()
    def search_batch(self, sources: list[list[int]], demands: Sequence[Demand]) -> list[list[Hypothesis]]:
        src, mask = (tensor.to(self.device) for tensor in source_tensors(sources))
        symbols = replace(SYMBOLS, blank=self.blank_pieces()) if self.config.min_length else SYMBOLS
        max_lengths = self.max_lengths(sources, mask)
        return find(
            self.model, sources, src, mask, max_lengths, symbols, self.config, demands, self.text_of, self.bleu_tokenize
        )

    def blank_pieces(self) -> tuple[int, ...]:
        """Return the pieces that write nothing but spaces."""
        pieces = self.tgt.pieces(range(self.tgt.size))
        return tuple(i for i, piece in enumerate(pieces) if not piece.replace(SPACE, "").strip())

    def max_lengths(self, sources: list[list[int]], mask: Tensor) -> Tensor:
        """Most tokens of a translation of each source, (B,); `mask` is True on real source tokens, (S, B)."""
        return (mask.sum(dim=0) * self.config.max_length_ratio).long() + self.config.max_length_offset

    def join(self, parts: list[list[Hypothesis]]) -> list[Candidate]:
        """Candidates of a line from its parts' hypotheses: the best of each part, the second of each, and so on."""
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
        """One line of the parts' ids, whatever their pieces hold: no line ends, no control characters."""
        return normalise(join_sentences([normalise(text) for text in self.tgt.decode(parts)]))

    def attention(self, src: str, tgt: str) -> AttentionMap | None:
        """Where the model looks while it reads this translation; None for a model without attention.

        The translation is given to the decoder, so that the weights are the same whatever search found it.
        """
        maps = self.attentions([src], [tgt])
        return None if maps is None else maps[0]

    @torch.inference_mode()
    def attentions(self, src: Sequence[str], tgt: Sequence[str]) -> list[AttentionMap] | None:
        """The same for several sentences and their translations, read together as one batch."""
        self.model.eval()
        src_ids, tgt_ids = self.src.encode([normalise(line) for line in src]), self.tgt.encode(list(tgt))
        batch = make_batch(src_ids, tgt_ids, range(len(src_ids))).to(self.device)
        weights = self.model.attention(
            batch.src, batch.src_mask, batch.tgt_in
        )  # (B, T, S), the source at the right end
        if weights is None:
            return None
        return [
            AttentionMap(
                self.src.pieces([*own_src, EOS_ID]),
                self.tgt.pieces([*own_tgt, EOS_ID]),
                own[: len(own_tgt) + 1, -len(own_src) - 1 :].tolist(),
            )
            for own_src, own_tgt, own in zip(src_ids, tgt_ids, weights.float(), strict=True)
        ]
