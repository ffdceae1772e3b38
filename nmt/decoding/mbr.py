"""Minimum Bayes risk decoding: the candidate with the largest expected utility under the model's distribution."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config import MbrCandidates, MbrReferences, SearchKind
from nmt.decoding.beam import beam_search
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.sampling import sample
from nmt.decoding.search import S, SearchRequest

ROUNDING = 1e-6
"""Tolerance of sums of weights that add up to one."""

PairwiseUtility = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts to the utility of each (row) against each as its reference (column)."""


@dataclass(frozen=True)
class TextUtility:
    """Utility of hypotheses, compared as texts."""

    text: Callable[[list[int]], str]
    """Text of a hypothesis's tokens."""
    pairwise: PairwiseUtility
    """Utility of texts."""


def minimum_risk(
    request: SearchRequest[S], sources: Sequence[Sequence[int]], utility: TextUtility
) -> list[list[Hypothesis]]:
    """Rank candidates of each sentence by expected utility (Kumar and Byrne 2004; Eikema and Aziz 2020, 2022).

    With `mbr_references=samples`, the expectation of u(c, y) over the model's y is estimated by Monte Carlo (Eikema and
    Aziz 2022). A candidate of the beam is averaged over all n samples. A candidate that is a sample itself is averaged
    over the n - 1 others (a U-statistic, Hoeffding 1948), because its utility of 100 with itself carries no
    information about the model. Each estimate is then unbiased, and the two kinds are comparable. A text that is in
    both the beam and the samples counts as a candidate of the beam.

    With `mbr_references=beam`, the weighted list is the whole distribution, nothing is estimated, and a candidate in
    the list counts with its own weight (Kumar and Byrne 2004).

    Args:
        request: the request, for `beam_search` and `sample`.
        sources: token ids of the sentences.
        utility: utility of the hypotheses.

    Returns:
        The `n_best` of each sentence with different texts, best first. Their scores are the expected utilities.
    """
    config = request.config
    beams: list[list[Hypothesis]] = [[] for _ in sources]
    samples = beams
    if config.beam_needed:
        beam = replace(config, kind=SearchKind.beam, n_best=config.beam_size)
        beams = beam_search(replace(request, config=beam))
    if config.samples_needed:
        samples = sample(request, sources, config.mbr_samples)
    results = []
    for searched, drawn in zip(beams, samples, strict=True):
        candidates = searched * (config.mbr_candidates != MbrCandidates.samples)
        candidates += drawn * (config.mbr_candidates != MbrCandidates.beam)
        own: set[str] = set()
        if config.mbr_references == MbrReferences.samples:
            references, weights = drawn, torch.ones(len(drawn)) / max(1, len(drawn))
            if config.mbr_candidates != MbrCandidates.beam:
                own = {utility.text(hypothesis.tokens) for hypothesis in drawn}
            if config.mbr_candidates == MbrCandidates.both:
                own -= {utility.text(hypothesis.tokens) for hypothesis in searched}
        else:
            log_probs = torch.tensor([hypothesis.log_prob for hypothesis in searched])
            references, weights = searched, (config.mbr_alpha * log_probs).softmax(dim=0)
        ranked = rank_by_utility(candidates, references, weights.tolist(), utility, own)
        results.append(ranked[: config.n_best])
    return results


def rank_by_utility(
    candidates: Sequence[Hypothesis],
    references: Sequence[Hypothesis],
    weights: Sequence[float],
    utility: TextUtility,
    own: Collection[str] = (),
) -> list[Hypothesis]:
    """Rank candidates by the weighted mean over references r of utility(candidate, r), best first.

    Of candidates with the same text the likeliest is kept. Of candidates with the same utility the likelier is first.

    Args:
        candidates: the candidates.
        references: the hypotheses that candidates are compared with.
        weights: weight of each reference; they sum to one.
        utility: utility of the hypotheses.
        own: texts of candidates that are references themselves. For them one reference with this text is left out; a
            candidate without any other reference has utility 0. The references of such candidates have equal weights.
    """
    likeliest: dict[str, Hypothesis] = {}
    for hypothesis in sorted(candidates, key=lambda candidate: -candidate.log_prob):
        likeliest.setdefault(utility.text(hypothesis.tokens), hypothesis)
    total = dict.fromkeys(likeliest, 0.0)  # weights of equal texts are added, so that each text is compared once
    for reference, weight in zip(references, weights, strict=True):
        name = utility.text(reference.tokens)
        total[name] = total.get(name, 0.0) + weight
    utilities = utility.pairwise(list(total))
    expected = utilities @ np.array(list(total.values()))
    if references and own:
        left_out = np.array([weights[0] if name in own else 0.0 for name in total])
        rest = 1 - left_out
        known = rest > ROUNDING
        others = expected - left_out * utilities.diagonal()
        expected = np.divide(others, rest, out=np.zeros_like(others), where=known)
    ranked = [
        Hypothesis(hypothesis.tokens, hypothesis.log_prob, score)
        for hypothesis, score in zip(likeliest.values(), expected.tolist(), strict=False)  # candidates come first
    ]
    return sorted(ranked, key=lambda candidate: -candidate.score)
