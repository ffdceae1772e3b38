"""Confidence intervals, paired significance tests and their power, for systems with one or several runs.

Both tests return the probability that two equally good systems differ by chance at least as much as observed. With one
run per system they equal `sacrebleu -i A B --paired-bs` and `--paired-ar` to the last digit, except where trials differ
exactly as much as observed, which sacrebleu does not count. This happens where few sentences differ: of two that differ
equally, half of the trials do, and without them p would be 0.0001 instead of 0.5.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import CHRF, TER
from sacrebleu.metrics.base import Metric

from nmt.config.data import BLEU_TOKENIZERS
from nmt.metrics.bootstrap import RESAMPLES, SEED
from nmt.metrics.scores import ChrfOfTokens, bleu_metric

TRIALS = 10_000  # as in sacrebleu
SEED_DRAWS = 10
"""Draws of the seed effect per bootstrap resample."""
LEVEL, POWER = 0.05, 0.8
ROUNDING = 1e-9
"""Difference below which two scores are equal but for rounding errors of their means over runs."""
BLOCK = 500  # trials whose shuffled sums are computed together
MAX_REFERENCES = 100
LABELS = {"version", "test", "lang", "origlang", "subset", "bs", "ar", "seed"}
"""Parts of a signature that do not affect how a score is computed."""

Table = NDArray[Any]
"""Additive statistics per sentence, (N, C): N sentences, C counts."""


class SumScorer(ABC):
    """Score of a set of sentences that is a function of the sum of their statistics."""

    @abstractmethod
    def score(self, sums: Table) -> float:
        """Return the score of summed statistics, (C,)."""

    def scores(self, sums: Table) -> NDArray[np.float64]:
        """Return the score of each row of summed statistics, (B, C) to (B,)."""
        return np.array([self.score(row) for row in sums])


class MeanScorer(SumScorer):
    """Mean of the scores of the sentences, as of ROUGE-L and COMET."""

    @staticmethod
    def table(sentences: Sequence[float]) -> Table:
        """Return the statistics of each sentence, (N, 2): its score and the number 1."""
        return np.array([(score, 1.0) for score in sentences])

    def score(self, sums: Table) -> float:
        return float(sums[0] / sums[1])


class Scorer(SumScorer):
    """Metric of sacrebleu for whole sets and for single sentences."""

    def __init__(self, metric: Metric, sentence_metric: Metric, references: int = 1) -> None:
        """Initialise the scorer.

        Args:
            metric: metric for summed statistics of many sentences.
            sentence_metric: metric for the statistics of one sentence; BLEU uses its effective order here.
            references: number of references per sentence.
        """
        self.metric = metric
        self.sentence_metric = sentence_metric
        self.references = references

    @classmethod
    def from_signature(cls, signature: str) -> "Scorer | None":
        """Return the scorer with this signature, ignoring the version; None if the metric is not sacrebleu's."""
        parts = dict(part.partition(":")[::2] for part in signature.split("|"))
        references = parts.get("nrefs", "1")
        metrics = metrics_of(parts)
        if metrics is None or not references.isdecimal() or not 1 <= int(references) <= MAX_REFERENCES:
            return None
        scorer = cls(*metrics, int(references))
        scorer.table(
            ["a"], *[["a"]] * scorer.references
        )  # a metric has a signature only after it has processed references
        scorer_parts = dict(part.partition(":")[::2] for part in str(scorer.metric.get_signature()).split("|"))
        return scorer if comparable(scorer_parts) == comparable(parts) else None

    def table(self, hypotheses: Sequence[str], *references: Sequence[str]) -> Table:
        """Return the statistics of each sentence, (N, C).

        Args:
            hypotheses: N translations.
            references: lists of N lines, one list per reference.
        """
        return np.array(self.metric._extract_corpus_statistics(list(hypotheses), [list(lines) for lines in references]))

    def score(self, sums: Table) -> float:
        score: float = self.metric._compute_score_from_stats(list(sums)).score
        return score

    def sentence_scores(self, table: Table) -> NDArray[np.float64]:
        """Return the score of each sentence, (N,)."""
        return np.array([self.sentence_metric._compute_score_from_stats(row.tolist()).score for row in table])


def metrics_of(parts: dict[str, str]) -> tuple[Metric, Metric] | None:
    """Return the corpus metric and the sentence metric of a parsed signature, or None if sacrebleu does not have it."""
    tok = parts.get("tok", "")
    tokenize = next((name for name in BLEU_TOKENIZERS if tok == name or tok.startswith(f"{name}-")), None)
    if "smooth" in parts and tokenize is not None:
        return bleu_metric(tokenize), bleu_metric(tokenize, effective_order=True)
    if parts.get("nw") == "2" and tokenize is not None:
        metric: Metric = ChrfOfTokens(tokenize)
    elif parts.get("nw") in ("0", "2") and not tok:
        metric = CHRF(word_order=int(parts["nw"]))
    elif tok == "tercom":
        metric = TER(normalized=parts.get("norm") == "yes", asian_support=parts.get("asian") == "yes")
    else:
        return None
    return metric, metric


def comparable(parts: dict[str, str]) -> dict[str, str]:
    """Remove the parts of a signature that do not affect how a score is computed."""
    return {key: value for key, value in parts.items() if key not in LABELS}


@dataclass(frozen=True)
class Resampled:
    """Scores of the runs of one system on the whole test set and on bootstrap resamples of it."""

    scores: list[float]
    """Score of each run on the test set, (R,)."""
    resampled: NDArray[Any]
    """Score of each run on each resample, (R, RESAMPLES). The resamples are the same for all systems."""

    @property
    def mean(self) -> float:
        """Mean score of the runs on the test set."""
        return float(np.mean(self.scores))

    @property
    def over_sentences(self) -> NDArray[Any]:
        """Mean score of the runs on each resample, (RESAMPLES,)."""
        means: NDArray[Any] = self.resampled.mean(axis=0)
        return means

    @property
    def seed_variance(self) -> float:
        """Variance of the mean over runs due to the seed; 0 for a single run, from which it cannot be estimated."""
        runs = len(self.scores)
        return float(np.var(self.scores, ddof=1)) / runs if runs > 1 else 0.0

    def interval(self) -> tuple[float, float]:
        """Return the 95 % percentile interval of the mean score (Koehn 2004, section 3; percentiles as in sacrebleu).

        With several runs, draws of the seed effect from Student's distribution are added to the resampled means.
        Resampling three runs with replacement would underestimate their variance by a third.
        """
        ordered = np.sort((self.over_sentences + by_seeds(self.seed_variance, len(self.scores) - 1)).ravel())
        outside = len(ordered) // 40
        return float(ordered[outside]), float(ordered[-outside - 1])


def by_seeds(variance: float, freedom: float) -> NDArray[np.float64]:
    """Draw changes of a mean, or of a difference of means, due to the seed, SEED_DRAWS per resample of the sentences.

    Args:
        variance: estimated variance of the mean or difference.
        freedom: degrees of freedom of the estimate.

    Returns:
        (SEED_DRAWS, RESAMPLES), or zeros (1, RESAMPLES) if the variance is zero.
    """
    if variance == 0:
        return np.zeros((1, RESAMPLES))
    draws = np.random.default_rng([SEED, 1]).standard_t(freedom, (SEED_DRAWS, RESAMPLES))
    effects: NDArray[np.float64] = np.sqrt(variance) * draws
    return effects


def resample(scorer: SumScorer, tables: Sequence[Table]) -> Resampled:
    """Score the runs of a system on bootstrap resamples of the sentences (Koehn 2004).

    `tables` has the statistics of each run on the same N sentences, (N, C) each.
    """
    size = len(tables[0])
    drawn = np.random.default_rng(SEED).choice(size, size=(RESAMPLES, size))
    times = np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.float64)  # (RESAMPLES, N)
    # sacrebleu computes with these integer sums in float32; the last digits agree only in the same type.
    resampled = [[scorer.score(sums) for sums in (times @ table).astype(np.float32)] for table in tables]
    return Resampled([scorer.score(table.sum(axis=0)) for table in tables], np.array(resampled))


def paired_bootstrap(first: Resampled, second: Resampled, same_models: bool = False) -> float:
    """Return the p-value of the paired bootstrap test (Koehn 2004), as implemented in Moses and sacrebleu.

    With several runs, the score of a system is the mean over runs, the seed variance is added as in `by_chance`, and
    the signed differences are centred (Efron and Tibshirani 1993, section 16.4). If all sentences are alike this is
    Welch's test. Moses and sacrebleu centre absolute differences, which rejects too often where the chance variation
    exceeds the observed difference.

    `same_models` is True if both systems are translations by the same trained models, in the same order.
    """
    if len(first.scores) == len(second.scores) == 1:
        differences = np.abs(second.over_sentences - first.over_sentences)
        chance = differences - differences.mean()
    else:
        chance = np.abs(by_chance(first, second, same_models))
    return p_value(chance, abs(first.mean - second.mean))


def by_chance(first: Resampled, second: Resampled, same_models: bool) -> NDArray[np.float64]:
    """Draw from the distribution of the difference between two equally good systems, (draws,).

    Each draw is the centred difference of the means on a resample of the sentences plus a draw of the seed effect,
    which has Student's distribution with the degrees of freedom of `variance_by_seeds`.
    """
    differences = second.over_sentences - first.over_sentences
    several = max(len(first.scores), len(second.scores)) > 1
    variance, freedom = variance_by_seeds(first, second, same_models) if several else (0.0, 1.0)
    draws: NDArray[np.float64] = (differences - differences.mean() + by_seeds(variance, freedom)).ravel()
    return draws


def minimum_detectable_effect(
    first: Resampled, second: Resampled, same_models: bool = False, level: float = LEVEL, power: float = POWER
) -> float:
    """Return the smallest true difference that the bootstrap test detects with probability `power` (Bloom 1995).

    Bloom's estimator is (t(1 - level / 2) + t(power)) times the standard error of the difference, with quantiles t of
    Student's distribution. Here both quantiles are those of `by_chance`, which includes the standard error: the (1 -
    level) quantile of the absolute draws, above which the test rejects, plus the `power` quantile of the draws. The
    estimate uses the sentences and seeds of this comparison and is as uncertain as their variance.

    Args:
        first, second, same_models: as in `paired_bootstrap`.
        level: probability of rejecting equally good systems.
        power: probability of detecting the difference.
    """
    draws = by_chance(first, second, same_models)
    return float(np.quantile(np.abs(draws), 1 - level) + np.quantile(draws, power))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for multiple comparisons (Holm 1979), in the same order.

    Rejecting the hypotheses with adjusted values below a level keeps the probability of any false rejection at or below
    that level. The k-th smallest of m values is multiplied by m - k + 1 and is at least as large as the one before it.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = largest
    return corrected


def variance_by_seeds(first: Resampled, second: Resampled, same_models: bool) -> tuple[float, float]:
    """Return the variance due to the seed of the difference of two means, and its degrees of freedom (Welch 1947).

    Translations by the same models share the effect of the seed, so the variance is that of the paired differences
    (Student's paired test). A system with a single run is assumed to have the variance of the other system, which gives
    Student's test of one against n: a variance s^2 (1 + 1/n). At least one of the systems has several runs.
    """
    sizes = [len(first.scores), len(second.scores)]
    if same_models:
        change = np.subtract(second.scores, first.scores)
        return float(np.var(change, ddof=1)) / len(change), len(change) - 1
    if min(sizes) == 1:
        several = first if sizes[0] > 1 else second
        return several.seed_variance * (len(several.scores) + 1), len(several.scores) - 1
    variances = [first.seed_variance, second.seed_variance]
    parts = [variance**2 / (runs - 1) for variance, runs in zip(variances, sizes, strict=True) if variance > 0]
    return sum(variances), sum(variances) ** 2 / sum(parts) if parts else 1.0


def approximate_randomisation(scorer: SumScorer, first: Sequence[Table], second: Sequence[Table]) -> float:
    """Return the p-value of approximate randomisation (Riezler and Maxwell 2005).

    In each trial, the systems swap their translations of each sentence with probability one half. With several runs,
    the statistic is the mean over pairs of runs. All pairs swap the same sentences: translations of a sentence by the
    runs of one system are correlated, so the independent unit is the sentence, and not the sentence of a run.
    Independent swaps per run (the stratification of Clark et al. 2011) reject equal systems up to four times as often
    as the level. The runs are treated as fixed: the test does not cover the variation between seeds.

    The tables have the statistics of the runs, (N, C) each. Runs are paired by position; surplus runs are ignored.
    """
    pairs = list(zip(first, second, strict=False))
    stays = np.random.default_rng(SEED).integers(2, size=(TRIALS, len(first[0])), dtype=bool)
    sums = np.zeros((2, TRIALS))
    for one, other in pairs:
        both, change = one.sum(axis=0) + other.sum(axis=0), (one - other).astype(np.float64)
        for begin in range(0, TRIALS, BLOCK):
            end = begin + BLOCK
            shuffled = (stays[begin:end] @ change).astype(one.dtype) + other.sum(axis=0)  # (BLOCK, C)
            sums[0, begin:end] += scorer.scores(shuffled)
            sums[1, begin:end] += scorer.scores(both - shuffled)
    scores = [[scorer.score(table.sum(axis=0)) for table in tables] for tables in zip(*pairs, strict=True)]
    observed = abs(float(np.mean(scores[0])) - float(np.mean(scores[1])))
    return p_value(np.abs(sums[0] - sums[1]) / len(pairs), observed)


def p_value(by_chance: NDArray[Any], observed: float) -> float:
    """Return the share of trials that reach the observed value, counting the observation itself (Noreen 1989)."""
    return float((np.sum(by_chance >= observed - ROUNDING) + 1) / (len(by_chance) + 1))
