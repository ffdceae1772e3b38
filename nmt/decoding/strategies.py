"""Selection of the search that the configuration and a batch's constraints require."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nmt.config import SearchConfig, SearchKind
from nmt.decoding.beam import beam_search
from nmt.decoding.constrained import constrained_search
from nmt.decoding.coverage import Covered, coverage_bonus, covered_step
from nmt.decoding.diverse import diverse_search
from nmt.decoding.ensemble import TranslationModel, restricted
from nmt.decoding.forbidden import ForbidPhrases
from nmt.decoding.mbr import TextUtility, minimum_risk
from nmt.decoding.phrases import Phrases, PhraseTracker
from nmt.decoding.rules import BlockNgrams, ForcedPrefix, MinLength
from nmt.decoding.sampling import sample
from nmt.decoding.search import Hypothesis, LogitsProcessor, SearchRequest, Symbols
from nmt.decoding.target_constraints import TargetConstraints
from nmt.errors import UserError
from nmt.models import WordSubsets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchBatch:
    """B sentences to translate."""

    sources: Sequence[Sequence[int]]
    """Token ids of the sentences."""
    src: Tensor
    """The same with eos, padded on the left, (S, B)."""
    mask: Tensor
    """True on real source tokens, (S, B)."""
    max_lengths: Tensor
    """Maximum number of tokens of each sentence's hypotheses, (B,); a longer prefix is forced completely."""
    constraints: Sequence[TargetConstraints]
    """Constraints of each sentence."""
    spellings: Sequence[str] = ()
    """Text of each target piece, as `Tokenizer.spellings`; needed for forbidden phrases only."""
    subsets: WordSubsets | None = None
    """Words that the hypotheses of each sentence may use; None: all."""

    def without_phrases(self, indices: Sequence[int]) -> "SearchBatch":
        """Return some of the sentences, without the phrases that they must contain."""
        free = [replace(self.constraints[i], phrases=Phrases([])) for i in indices]
        sources = [self.sources[i] for i in indices]
        columns = list(indices)
        src, mask, max_lengths = self.src[:, columns], self.mask[:, columns], self.max_lengths[columns]
        subsets = None if self.subsets is None else self.subsets.of_sentences(columns)
        return SearchBatch(sources, src, mask, max_lengths, free, self.spellings, subsets)


def run_search(
    model: TranslationModel, batch: SearchBatch, symbols: Symbols, config: SearchConfig, utility: TextUtility
) -> list[list[Hypothesis]]:
    """Return the hypotheses of each sentence of a batch, by the configured search.

    Phrases that do not fit are left out with a warning.

    Args:
        model: the model.
        batch: the sentences.
        symbols: special tokens of the target vocabulary.
        config: search configuration.
        utility: utility for minimum Bayes risk.

    Raises:
        UserError: phrases with a search other than beam search, or a coverage penalty without attention.
    """
    request = build_request(model, batch, symbols, config)
    if any(constraint.phrases.all for constraint in batch.constraints):
        if config.kind != SearchKind.beam:
            raise UserError(
                f"search.kind={config.kind} does not support lexical constraints; use search=beam with constraints"
            )
        limits = request.max_lengths.tolist()
        phrases = [
            fitting_phrases(constraint, limit) for constraint, limit in zip(batch.constraints, limits, strict=True)
        ]
        hypotheses = constrained_search(request, phrases)
        missed = [i for i, constraint in enumerate(batch.constraints) if constraint.phrases.all and not hypotheses[i]]
        for i in missed:
            log.warning(
                "%s: no translation contains all constraints with search.block_ngrams; the constraints are left out",
                batch.constraints[i].where,
            )
        if missed:
            unconstrained = run_search(model, batch.without_phrases(missed), symbols, config, utility)
            for i, of_sentence in zip(missed, unconstrained, strict=True):
                hypotheses[i] = of_sentence
        return hypotheses
    match config.kind:
        case SearchKind.greedy | SearchKind.beam:
            return beam_search(request)
        case SearchKind.diverse:
            return diverse_search(request)
        case SearchKind.sampling:
            return sample(request, batch.sources, config.n_best)
        case SearchKind.mbr:
            return minimum_risk(request, batch.sources, utility)


def build_request(
    model: TranslationModel, batch: SearchBatch, symbols: Symbols, config: SearchConfig
) -> SearchRequest[Any]:
    """Encode a batch and return the search request, with the configured rules and coverage penalty."""
    prefixes = [constraint.prefix for constraint in batch.constraints]
    lengths = torch.tensor([len(prefix) for prefix in prefixes], dtype=torch.long, device=batch.src.device)
    max_lengths = torch.maximum(batch.max_lengths, lengths)
    processors: list[LogitsProcessor] = [BlockNgrams(config.block_ngrams)] if config.block_ngrams else []
    if config.min_length:
        processors.append(MinLength(config.min_length, max_lengths, symbols))
    if any(constraint.forbidden for constraint in batch.constraints):
        forbidden = [constraint.forbidden for constraint in batch.constraints]
        processors.append(ForbidPhrases(forbidden, batch.spellings))
    if any(prefixes):
        processors = [ForcedPrefix(prefixes, processors)]
    state, step, subsets = model.encode(batch.src, batch.mask), model.step, batch.subsets
    if subsets is not None:
        part = restricted(model)
        state, step = part.restrict(state, subsets), part.step_restricted
    if not config.coverage_penalty:
        return SearchRequest(step, state, max_lengths, symbols, config, processors, subsets=subsets)
    covered = Covered(state, (~batch.mask).t().float())
    bonus = coverage_bonus(config.coverage_penalty)
    return SearchRequest(covered_step(step), covered, max_lengths, symbols, config, processors, bonus, subsets)


def fitting_phrases(constraint: TargetConstraints, limit: int) -> PhraseTracker:
    """Return a sentence's phrases if they fit behind its prefix into `limit` tokens, otherwise none, with a warning."""
    phrases = constraint.phrases
    if not phrases.all:
        return phrases
    need = needed_length(constraint)
    if need <= limit:
        return phrases
    log.warning(
        "%s: its constraints need %d pieces, and the longest translation has %d; they are left out. "
        "Raise search.max_length_offset",
        constraint.where,
        need,
        limit,
    )
    return Phrases([])


def needed_length(constraint: TargetConstraints) -> int:
    """Return the number of tokens of the shortest hypothesis with the prefix and all phrases."""
    prefix, phrases = constraint.prefix, constraint.phrases
    lengths: list[int] = []
    reached, length = {(0, phrases.start)}, 0  # states of the prefix automaton and of the phrases
    while reached:
        lengths += [length + phrases.need(state) for place, state in reached if place == len(prefix)]
        unfinished = [(place, state) for place, state in reached if place < len(prefix)]
        reached = {
            (after, phrases.after(state, word)) for place, state in unfinished for word, after in prefix[place].items()
        }
        length += 1
    return min(lengths)
