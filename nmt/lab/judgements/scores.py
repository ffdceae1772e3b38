"""Scores of systems from ratings: standardised per rater, with intervals, tests and agreement.

Notation: R raters, S systems, N segments, B bootstrap resamples.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from nmt.lab.comparison.cells import ComparisonVerdict, ScoreCell, interval_cell, verdict_of
from nmt.lab.judgements.answers import EQUAL, FIRST, SECOND, Rating
from nmt.lab.judgements.design import DAMAGED, REPEAT, Design
from nmt.metrics import (
    LEVEL,
    RESAMPLES,
    SEED,
    IntervalAlpha,
    MeanScorer,
    NominalAlpha,
    Resampled,
    approximate_randomisation,
    holm,
    minimum_detectable_effect,
    paired_bootstrap,
    resample,
)

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PairOfSystems:
    """Comparison of two systems on the segments that both were judged on."""

    first: int
    second: int
    wins: int
    """Number of segments on which the first system is better."""
    losses: int
    ties: int
    difference: float
    """Score of the first system minus that of the second one."""
    p: float
    """Larger p of the paired bootstrap and of approximate randomisation, corrected for all pairs (Holm 1979)."""


@dataclass(frozen=True)
class AlphaWithInterval:
    """Krippendorff's alpha with its 95 % bootstrap interval over the judged units."""

    alpha: float
    interval: tuple[float, float] | None
    units: int
    """Number of units that at least two raters judged."""


class HumanScores:
    """Scores of systems on one campaign.

    The score of a system is the mean over its segments of the mean over the raters. Standardised, a rating is first
    replaced by z = (x - mean) / standard deviation over all ratings of its rater (Graham et al. 2013).
    """

    def __init__(self, values: Values, standardise: bool) -> None:
        """
        Args:
            values: ratings (R, S, N), NaN where there is none.
            standardise: replace the ratings by the z-scores of their raters.
        """
        self.values = values
        self.standardise = standardise
        self.present = ~np.isnan(values)
        self.filled = np.where(self.present, values, 0.0)

    @cached_property
    def z(self) -> Values:
        """Ratings, standardised if requested, (R, S, N), NaN where there is none."""
        means, deviation = self.rater_statistics(np.ones((1, self.values.shape[2])))
        z: Values = (self.values - means[0][:, None, None]) / deviation[0][:, None, None]
        return z

    @cached_property
    def segment_scores(self) -> Values:
        """Mean over the raters, (S, N), NaN for a segment that no rater judged."""
        return mean_over_raters(self.z)

    @cached_property
    def raw_means(self) -> Values:
        """Mean of the ratings as given, over the raters and then over the segments, (S,)."""
        means: Values = np.nanmean(mean_over_raters(self.values), axis=1)
        return means

    def rater_statistics(self, weights: Values) -> tuple[Values, Values]:
        """Return mean and standard deviation of each rater, (B, R) each, for the weights of the segments, (B, N).

        They are 0 and 1 if nothing is standardised. The deviation of a rater with equal ratings is infinite, so that
        the rater's z-scores are 0.
        """
        if not self.standardise:
            shape = (len(weights), len(self.values))
            return np.zeros(shape), np.ones(shape)
        count, total, squares = (
            weights @ part.sum(axis=1).T for part in (self.present.astype(float), self.filled, self.filled**2)
        )
        means = total / np.maximum(count, 1)
        variance = (squares - count * means**2) / np.maximum(count - 1, 1)
        return means, np.where(variance > 1e-9, np.sqrt(np.maximum(variance, 1e-9)), np.inf)

    def scores(self, weights: Values) -> Values:
        """Return the scores of the systems for weights of the segments: (B, N) to (B, S)."""
        means, deviation = self.rater_statistics(weights)
        judges = self.present.sum(axis=0)  # (S, N)
        share = self.present / np.maximum(judges, 1)  # (R, S, N)
        totals = np.einsum("bn,rsn->brs", weights, share * self.filled, optimize=True)
        counts = np.einsum("bn,rsn->brs", weights, share, optimize=True)
        sums = ((totals - means[:, :, None] * counts) / deviation[:, :, None]).sum(axis=1)
        scores: Values = sums / np.maximum(weights @ (judges > 0).T, 1e-9)
        return scores

    @cached_property
    def resampled(self) -> list[Resampled]:
        """Scores of each system on all segments and on bootstrap resamples of them (Koehn 2004).

        The raters are standardised again on each resample, so that the interval of a z-score covers the variation of
        the mean and the deviation. The raters are treated as fixed.
        """
        size = self.values.shape[2]
        drawn = np.random.default_rng(SEED).choice(size, size=(RESAMPLES, size))
        times = np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.float64)
        scores, samples = self.scores(np.ones((1, size)))[0], self.scores(times)
        return [Resampled([float(score)], samples[:, at][None]) for at, score in enumerate(scores)]

    @cached_property
    def cells(self) -> list[ScoreCell]:
        """Score of each system with its interval. Every cell but the first has both tests against the first one."""
        cells = [interval_cell(resampled) for resampled in self.resampled]
        tests = [self.p_values(0, other) for other in range(1, len(cells))]
        corrected = holm([max(test) for test in tests])
        for other, (test, p) in enumerate(zip(tests, corrected, strict=True), start=1):
            first, second = self.resampled[0], self.resampled[other]
            same = np.array_equal(self.segment_scores[0], self.segment_scores[other], equal_nan=True)
            cells[other] = replace(
                cells[other],
                bootstrap_p=test[0],
                randomisation_p=test[1],
                pairs=1,
                corrected_p=p,
                detectable=minimum_detectable_effect(first, second, level=LEVEL / len(tests)),
                verdict=ComparisonVerdict.undecided if same else verdict_of(p, first.mean, second.mean, False),
            )
        return cells

    def p_values(self, first: int, second: int) -> tuple[float, float]:
        """Return p of the paired bootstrap and of approximate randomisation for two systems."""
        both = ~np.isnan(self.segment_scores[first]) & ~np.isnan(self.segment_scores[second])
        if not both.any():
            return 1.0, 1.0
        tables = [[MeanScorer.table(self.segment_scores[at][both].tolist())] for at in (first, second)]
        bootstrap = paired_bootstrap(self.resampled[first], self.resampled[second])
        return bootstrap, approximate_randomisation(MeanScorer(), *tables)

    @cached_property
    def pairs(self) -> list[PairOfSystems]:
        """All pairs of systems; p is corrected for their number."""
        pairs = list(combinations(range(len(self.resampled)), 2))
        corrected = holm([max(self.p_values(*pair)) for pair in pairs])
        return [self.pair(first, second, p) for (first, second), p in zip(pairs, corrected, strict=True)]

    def pair(self, first: int, second: int, p: float) -> PairOfSystems:
        change = self.segment_scores[first] - self.segment_scores[second]
        wins, losses = int(np.sum(change > 1e-9)), int(np.sum(change < -1e-9))
        ties = int(np.sum(~np.isnan(change))) - wins - losses
        difference = self.resampled[first].mean - self.resampled[second].mean
        return PairOfSystems(first, second, wins, losses, ties, difference, p)


def mean_over_raters(values: Values) -> Values:
    """Return the mean over the first axis that ignores NaN; NaN where there is no value."""
    count = np.sum(~np.isnan(values), axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def rating_array(ratings: Sequence[Rating], design: Design, raters: Sequence[str]) -> Values:
    """Return the ratings as values (R, S, N), NaN where there is none.

    Repeated ratings of an item are averaged. Damaged items do not count. In a comparison, the value is the mean over
    the pairs of the segment: 1 for a better translation, 0 for a worse one, 0.5 for equal ones and equal texts.
    """
    sums = np.zeros((len(raters), len(design.systems), len(design.segments)))
    counts = np.zeros_like(sums)
    items = design.items
    for (name, original), answer in answers_per_item(ratings, design).items():
        if name not in raters:
            continue
        item = items[original]
        rater, segment = raters.index(name), item.segment
        if design.kind != "pairwise":
            for system in item.shown[0].systems:
                sums[rater, system, segment] += answer
                counts[rater, system, segment] += 1
            continue
        for side, other, sign in ((0, 1, -1), (1, 0, 1)):
            weight = len(item.shown[other].systems)  # pairs of systems that this answer decides
            for system in item.shown[side].systems:
                sums[rater, system, segment] += weight * (sign * answer + 1) / 2
                counts[rater, system, segment] += weight
    if design.kind == "pairwise":
        add_equal_texts(sums, counts, design)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def answers_per_item(ratings: Sequence[Rating], design: Design) -> dict[tuple[str, str], float]:
    """Return the mean answer of each rater to each item that counts; a repeated comparison has its sides swapped."""
    items, answers = design.items, defaultdict[tuple[str, str], list[float]](list)
    for rating in ratings:
        item = items[rating.item]
        if item.check != DAMAGED:
            swapped = item.check == REPEAT and design.kind == "pairwise"
            answers[rating.rater, item.original or item.id].append(-rating.answer if swapped else rating.answer)
    return {key: mean(values) for key, values in answers.items()}


def add_equal_texts(sums: Values, counts: Values, design: Design) -> None:
    """Count pairs of systems with the same text as equal, for the raters who judged the segment."""
    for at, segment in enumerate(design.segments):
        judged = counts[:, :, at].sum(axis=1) > 0
        for system, text in enumerate(segment.translations):
            equal = segment.translations.count(text) - 1
            sums[judged, system, at] += equal / 2
            counts[judged, system, at] += equal


def agreement(ratings: Sequence[Rating], design: Design, raters: Sequence[str]) -> AlphaWithInterval:
    """Return Krippendorff's alpha over translations (interval scale), or over comparisons (nominal scale).

    For ratings from 0 to 100 the values are the z-scores of each rater, because raters use the scale differently.
    """
    if design.kind == "pairwise":
        scorer: IntervalAlpha | NominalAlpha = NominalAlpha([FIRST, EQUAL, SECOND])
        values = comparison_units(ratings, design, raters)
    else:
        scorer = IntervalAlpha()
        z = HumanScores(rating_array(ratings, design, raters), True).z
        values = np.stack([z[:, *unit] for unit in distinct_texts(design)], axis=1)
    table = scorer.table(values)
    pairable = table[table.any(axis=1) | (np.sum(~np.isnan(values), axis=0) > 1)]
    if len(pairable) == 0:
        return AlphaWithInterval(float("nan"), None, 0)
    resampled = resample(scorer, [pairable])
    return AlphaWithInterval(scorer.score(pairable.sum(axis=0)), resampled.interval(), len(pairable))


def distinct_texts(design: Design) -> list[tuple[int, int]]:
    """Return the system and segment of each different translation; equal translations are one unit."""
    return [
        (segment.translations.index(text), at)
        for at, segment in enumerate(design.segments)
        for text in dict.fromkeys(segment.translations)
    ]


def comparison_units(ratings: Sequence[Rating], design: Design, raters: Sequence[str]) -> Values:
    """Return the answers to each pair of translations, (R, U), with the system of the lower number as the first one."""
    answers: dict[tuple[int, int, int], dict[int, float]] = {}
    for rating in ratings:
        item = design.items[rating.item]
        if item.check or rating.rater not in raters:
            continue
        first, second = (side.systems[0] for side in item.shown)
        key = (item.segment, *sorted((first, second)))
        answer = rating.answer if first < second else -rating.answer
        answers.setdefault((key[0], key[1], key[2]), {})[raters.index(rating.rater)] = answer
    values = np.full((len(raters), len(answers)), np.nan)
    for unit, by_rater in enumerate(answers.values()):
        for rater, answer in by_rater.items():
            values[rater, unit] = answer
    return values
