"""Minimum Bayes risk: not the likeliest translation, but the one that scores best on average if others were right."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config import MbrCandidates, MbrReferences, SearchConfig, SearchKind
from nmt.decoding.sampling import sample
from nmt.decoding.search import Hypothesis, LogitsProcessor, S, Step, Symbols, search
from nmt.metrics import pairwise

ROUNDING = 1e-6  # of weights that sum to one


def minimum_risk(
    step: Step[S],
    state: S,
    sources: Sequence[Sequence[int]],
    max_lengths: Tensor,
    symbols: Symbols,
    config: SearchConfig,
    text: Callable[[list[int]], str],
    tokenize: str,
    rules: Sequence[LogitsProcessor] = (),
    bonus: Callable[[S], Tensor] | None = None,
) -> list[list[Hypothesis]]:
    """Return candidates of each of B sentences by expected utility (Kumar and Byrne 2004; Eikema and Aziz 2020, 2022).

    With `mbr_references=samples`, the expectation of u(c, y) over the model's y is estimated by Monte Carlo (Eikema and
    Aziz 2022). A candidate of the beam is averaged over all n samples. A candidate that is a sample itself
    is averaged over the n - 1 others (a U-statistic, Hoeffding 1948): its utility of 100 with itself says nothing of
    the model, and a candidate of the beam does not get it. Each estimate is then unbiased, and both kinds compare.
    A text that is in both is a candidate of the beam.

    With `mbr_references=beam`, the list with its weights is the whole distribution, nothing is estimated, and a
    candidate in the list counts with its own weight (Kumar and Byrne 2004).

    Args:
        step, state, sources, max_lengths, symbols: as `search` and `sample` want them.
        config: the utility; where candidates and references come from, and the settings of what finds these.
        text: of ids; what the utility compares.
        tokenize: sacrebleu's tokenizer for BLEU.
        rules, bonus: as `search` wants them.

    Returns:
        The `n_best` of each sentence, best first, of each text one. Their scores are the expected utilities.
    """
    beams: list[list[Hypothesis]] = [[] for _ in sources]
    samples = beams
    if config.beam_needed:
        beam = replace(config, kind=SearchKind.beam, n_best=config.beam_size)
        beams = search(step, state, max_lengths, symbols, beam, rules, bonus)
    if config.samples_needed:
        samples = sample(step, state, sources, max_lengths, symbols, config, config.mbr_samples, rules)

    def utility(texts: Sequence[str]) -> NDArray[np.float64]:
        return pairwise(texts, config.mbr_utility, tokenize)

    results = []
    for searched, drawn in zip(beams, samples, strict=True):
        candidates = searched * (config.mbr_candidates != MbrCandidates.samples)
        candidates += drawn * (config.mbr_candidates != MbrCandidates.beam)
        own: set[str] = set()
        if config.mbr_references == MbrReferences.samples:
            references, weights = drawn, torch.ones(len(drawn)) / max(1, len(drawn))
            if config.mbr_candidates != MbrCandidates.beam:
                own = {text(hypothesis.tokens) for hypothesis in drawn}
            if config.mbr_candidates == MbrCandidates.both:
                own -= {text(hypothesis.tokens) for hypothesis in searched}
        else:
            log_probs = torch.tensor([hypothesis.log_prob for hypothesis in searched])
            references, weights = searched, (config.mbr_alpha * log_probs).softmax(dim=0)
        found = by_expected_utility(candidates, references, weights.tolist(), text, utility, own)
        results.append(found[: config.n_best])
    return results


def by_expected_utility(
    candidates: Sequence[Hypothesis],
    references: Sequence[Hypothesis],
    weights: Sequence[float],
    text: Callable[[list[int]], str],
    utility: Callable[[Sequence[str]], NDArray[np.float64]],
    own: Collection[str] = (),
) -> list[Hypothesis]:
    """Rank candidates by the weighted mean over references r of utility(candidate, r), best first.

    Of candidates with the same text the likeliest stays; where two are worth the same the likelier is first.

    Args:
        candidates: what is chosen from.
        references: what they are compared with ...
        weights: ... and how much each counts; they sum to one.
        text: of ids.
        utility: texts to the score of each, a row, against each as its reference, a column.
        own: texts of candidates that are references themselves: one reference with this text is left out for them. A
            candidate without any other reference is worth 0. The references of such candidates have equal weights.
    """
    likeliest: dict[str, Hypothesis] = {}
    for hypothesis in sorted(candidates, key=lambda one: -one.log_prob):
        likeliest.setdefault(text(hypothesis.tokens), hypothesis)
    total = dict.fromkeys(likeliest, 0.0)  # weights of equal texts together: each is compared once
    for reference, weight in zip(references, weights, strict=True):
        name = text(reference.tokens)
        total[name] = total.get(name, 0.0) + weight
    utilities = utility(list(total))
    expected = utilities @ np.array(list(total.values()))
    if references and own:
        left_out = np.array([weights[0] if name in own else 0.0 for name in total])
        rest = 1 - left_out
        known = rest > ROUNDING
        others = expected - left_out * utilities.diagonal()
        expected = np.divide(others, rest, out=np.zeros_like(others), where=known)
    ranked = [
        Hypothesis(hypothesis.tokens, hypothesis.log_prob, score)
        for hypothesis, score in zip(likeliest.values(), expected.tolist(), strict=False)  # candidates stand first
    ]
    return sorted(ranked, key=lambda one: -one.score)
