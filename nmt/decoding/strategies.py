"""Which search a configuration and a batch's demands ask for, and what it has to keep to."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nmt.config import SearchConfig, SearchKind
from nmt.decoding.constrained import constrained_search
from nmt.decoding.coverage import Covered, coverage_bonus, covered_step
from nmt.decoding.diverse import diverse_search
from nmt.decoding.ensemble import TranslationModel
from nmt.decoding.mbr import minimum_risk
from nmt.decoding.phrases import Constraints, Phrases
from nmt.decoding.rules import BlockNgrams, ForcedPrefix, MinLength
from nmt.decoding.sampling import sample
from nmt.decoding.search import Hypothesis, LogitsProcessor, Symbols, search
from nmt.decoding.target_constraints import TargetConstraints
from nmt.errors import UserError

log = logging.getLogger(__name__)


def run_search(
    model: TranslationModel,
    sources: Sequence[Sequence[int]],
    src: Tensor,
    mask: Tensor,
    max_lengths: Tensor,
    symbols: Symbols,
    config: SearchConfig,
    demands: Sequence[TargetConstraints],
    text: Callable[[list[int]], str],
    tokenize: str,
) -> list[list[Hypothesis]]:
    """The hypotheses of a batch by the configured search, as `search` returns them.

    Args:
        model: searched.
        sources: ids of the sentences.
        src: the same, padded on the left, (S, B).
        mask: True on real source tokens, (S, B).
        max_lengths: most tokens of each sentence's hypotheses, (B,); a longer prefix is forced as a whole.
        symbols: the special words.
        config: which search.
        demands: of each sentence. Constraints that do not fit are told and left out.
        text, tokenize: as `minimum_risk` wants them.

    Raises:
        UserError: constraints in another search than a beam, a coverage penalty without attention.
    """
    prefixes = torch.tensor([len(demand.prefix) for demand in demands], dtype=torch.long, device=src.device)
    max_lengths = torch.maximum(max_lengths, prefixes)
    rules: list[LogitsProcessor] = [BlockNgrams(config.block_ngrams)] if config.block_ngrams else []
    if config.min_length:
        rules.append(MinLength(config.min_length, max_lengths, symbols))
    if any(demand.prefix for demand in demands):
        rules = [ForcedPrefix([demand.prefix for demand in demands], rules)]

    step: Any = model.step
    state: Any = model.encode(src, mask)
    bonus: Callable[[Any], Tensor] | None = None
    if config.coverage_penalty:
        step, state = covered_step(model), Covered(state, (~mask).t().float())
        bonus = coverage_bonus(config.coverage_penalty)

    if any(demand.phrases.all for demand in demands):
        if config.kind != SearchKind.beam:
            raise UserError(f"search.kind={config.kind} knows no constraints; use search=beam with constraints")
        constraints = [fitting(demand, int(most)) for demand, most in zip(demands, max_lengths, strict=True)]
        found = constrained_search(step, state, max_lengths, symbols, config, constraints, rules, bonus)
        missed = [i for i, demand in enumerate(demands) if demand.phrases.all and not found[i]]
        if not missed:
            return found
        for i in missed:
            log.warning(
                "%s: no translation holds all constraints and keeps search.block_ngrams; left out", demands[i].where
            )
        free = [replace(demands[i], phrases=Phrases([])) for i in missed]
        rest = [sources[i] for i in missed], src[:, missed], mask[:, missed], max_lengths[missed]
        again = run_search(model, *rest, symbols, config, free, text, tokenize)
        for i, hypotheses in zip(missed, again, strict=True):
            found[i] = hypotheses
        return found
    match config.kind:
        case SearchKind.greedy | SearchKind.beam:
            return search(step, state, max_lengths, symbols, config, rules, bonus)
        case SearchKind.diverse:
            return diverse_search(step, state, max_lengths, symbols, config, rules, bonus)
        case SearchKind.sampling:
            return sample(step, state, sources, max_lengths, symbols, config, config.n_best, rules)
        case SearchKind.mbr:
            return minimum_risk(step, state, sources, max_lengths, symbols, config, text, tokenize, rules, bonus)


def fitting(demand: TargetConstraints, most: int) -> Constraints:
    """A sentence's constraints, if they fit behind its prefix into its longest hypothesis; none if not."""
    phrases = demand.phrases
    if not phrases.all:
        return phrases
    need = needed(demand)
    if need <= most:
        return phrases
    said = "%s: its constraints need %d pieces, more than the %d of the longest translation, and are left out"
    log.warning(f"{said}; raise search.max_length_offset", demand.where, need, most)
    return Phrases([])


def needed(demand: TargetConstraints) -> int:
    """Tokens of the shortest hypothesis that begins with the prefix and holds the constraints."""
    prefix, phrases = demand.prefix, demand.phrases
    found: list[int] = []
    reached, length = {(0, phrases.start)}, 0
    while reached:
        found += [length + phrases.need(state) for place, state in reached if place == len(prefix)]
        on_the_way = [(place, state) for place, state in reached if place < len(prefix)]
        reached = {
            (after, phrases.after(state, word)) for place, state in on_the_way for word, after in prefix[place].items()
        }
        length += 1
    return min(found)
