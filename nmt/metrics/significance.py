"""Intervals and paired tests from what single sentences add to a score: sacrebleu's, and over several seeds.

Both tests ask: had the two systems been equally good, how often would chance have made them differ as much as they do?
With one run a system they are those of `sacrebleu -i A B --paired-bs` and `--paired-ar`, to the last digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import CHRF, TER
from sacrebleu.metrics.base import Metric

from nmt.config.data import BLEU_TOKENIZERS
from nmt.metrics.bootstrap import RESAMPLES, SEED
from nmt.metrics.scores import bleu_metric

TRIALS = 10_000  # as in sacrebleu
SEED_DRAWS = 10
BLOCK = 500  # trials whose shuffled sums are made together
LABELS = {"version", "test", "lang", "origlang", "subset", "bs", "ar", "seed"}
"""Parts of a signature that say nothing about how a score is computed."""

Table = NDArray[Any]
"""What each sentence adds to the sums that a score is made of, (N, C): N sentences, C counts."""


class Scorer:
    """A metric whose score of any sentences is a function of the sum of their statistics."""

    def __init__(self, metric: Metric, sentence_metric: Metric) -> None:
        """
        Args:
            metric: scores sums over many sentences.
            sentence_metric: scores the sums of one, which BLEU does over the orders that fit into it.
        """
        self.metric = metric
        self.sentence_metric = sentence_metric

    @classmethod
    def of(cls, signature: str) -> "Scorer | None":
        """The metric that has this signature, but for the version; None if it is none of sacrebleu's three."""
        parts = dict(part.partition(":")[::2] for part in signature.split("|"))
        if parts.get("tok", "tercom") not in ("tercom", *BLEU_TOKENIZERS) or parts.get("nw", "0") not in ("0", "2"):
            return None
        if "smooth" in parts and "tok" in parts:
            scorer = cls(bleu_metric(parts["tok"]), bleu_metric(parts["tok"], effective_order=True))
        elif "nw" in parts:
            metric = CHRF(word_order=int(parts["nw"]))
            scorer = cls(metric, metric)
        elif parts.get("tok") == "tercom":
            scorer = cls(TER(), TER())
        else:
            return None
        scorer.table(["a"], ["a"])  # a metric has no signature before it has seen references
        own = dict(part.partition(":")[::2] for part in str(scorer.metric.get_signature()).split("|"))
        return scorer if comparable(own) == comparable(parts) else None

    def table(self, hypotheses: Sequence[str], references: Sequence[str]) -> Table:
        """The statistics of each sentence, (N, C)."""
        return np.array(self.metric._extract_corpus_statistics(list(hypotheses), [list(references)]))

    def score(self, sums: Table) -> float:
        """The score of summed statistics, (C,)."""
        found: float = self.metric._compute_score_from_stats(list(sums)).score
        return found

    def sentence_scores(self, table: Table) -> NDArray[np.float64]:
        """The score of each sentence by itself, (N,)."""
        return np.array([self.sentence_metric._compute_score_from_stats(row.tolist()).score for row in table])


def comparable(parts: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in parts.items() if key not in LABELS}


@dataclass(frozen=True)
class Resampled:
    """The scores of one system's runs, of the whole test set and of resamples of it."""

    scores: list[float]
    """Of each run, (R,)."""
    resampled: NDArray[Any]
    """Of each run on each resample, (R, RESAMPLES); the resamples are the same for all systems."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def over_sentences(self) -> NDArray[Any]:
        """The mean score of the runs on each resample, (RESAMPLES,)."""
        found: NDArray[Any] = self.resampled.mean(axis=0)
        return found

    @property
    def seed_variance(self) -> float:
        """Of the mean over the runs, as other seeds would change it; 0 of a single run, which does not tell."""
        runs = len(self.scores)
        return float(np.var(self.scores, ddof=1)) / runs if runs > 1 else 0.0

    def interval(self) -> tuple[float, float]:
        """95 % of the resamples lie between these two (Koehn 2004, section 3; the percentiles are sacrebleu's).

        Of several runs each resample's mean is moved by what other seeds may change, too, drawn from Student's
        distribution: three runs drawn with replacement would show a third too little of their variance.
        """
        ordered = np.sort((self.over_sentences + by_seeds(self.seed_variance, len(self.scores) - 1)).ravel())
        outside = len(ordered) // 40
        return float(ordered[outside]), float(ordered[-outside - 1])


def by_seeds(variance: float, freedom: float) -> NDArray[np.float64]:
    """What other seeds may change of a mean or a difference of means, SEED_DRAWS to each resample of the sentences.

    Args:
        variance: its own, estimated.
        freedom: degrees of freedom of the estimate.

    Returns:
        (SEED_DRAWS, RESAMPLES), or (1, RESAMPLES) zeros where the variance is zero.
    """
    if variance == 0:
        return np.zeros((1, RESAMPLES))
    changes = np.random.default_rng([SEED, 1]).standard_t(freedom, (SEED_DRAWS, RESAMPLES))
    moved: NDArray[np.float64] = np.sqrt(variance) * changes
    return moved


def resample(scorer: Scorer, tables: Sequence[Table]) -> Resampled:
    """Scores a system's runs on resamples of the sentences (Koehn 2004).

    Args:
        scorer: the metric.
        tables: statistics of each run on the same N sentences, (N, C) each.
    """
    size = len(tables[0])
    drawn = np.random.default_rng(SEED).choice(size, size=(RESAMPLES, size))
    times = np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.float64)  # (RESAMPLES, N)
    # The sums are whole numbers; sacrebleu computes with them in float32, and so in the last digits do we.
    resampled = [[scorer.score(sums) for sums in (times @ table).astype(np.float32)] for table in tables]
    return Resampled([scorer.score(table.sum(axis=0)) for table in tables], np.array(resampled))


def paired_bootstrap(first: Resampled, second: Resampled, same_models: bool = False) -> float:
    """p of the paired bootstrap (Koehn 2004), as Moses and sacrebleu turn it into a test.

    Of several runs a system's score is the mean, and the chance of the seed is added: by Student's distribution, as
    `variance_by_seeds` says. Where all sentences are alike this is Welch's test. There the signed differences are
    centred (Efron and Tibshirani 1993, section 16.4): Moses and sacrebleu centre absolute ones, which calls too much
    significant where chance is greater than what was found.

    Args:
        first: a system.
        second: the other.
        same_models: whether both are translations by the same trained models, in the same order.
    """
    differences = second.over_sentences - first.over_sentences
    if len(first.scores) == len(second.scores) == 1:
        by_chance = np.abs(differences) - np.abs(differences).mean()
    else:
        variance, freedom = variance_by_seeds(first, second, same_models)
        by_chance = np.abs(differences - differences.mean() + by_seeds(variance, freedom)).ravel()
    return p_value(by_chance, abs(first.mean - second.mean))


def variance_by_seeds(first: Resampled, second: Resampled, same_models: bool) -> tuple[float, float]:
    """Variance of the difference of two means, as other seeds would change it, and its degrees of freedom.

    That of Welch 1947. Translations by the same models have the chance of the seed in common, and what counts is the
    spread of the change from one to the other (Student's paired test). A single run is taken to vary as those of the
    other system do, which is Student's test of one against n: a variance s^2 (1 + 1/n).

    Args:
        first: a system.
        second: the other; one of them has several runs.
        same_models: as in `paired_bootstrap`.
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


def approximate_randomisation(scorer: Scorer, first: Sequence[Table], second: Sequence[Table]) -> float:
    """p of approximate randomisation (Riezler and Maxwell 2005), stratified over pairs of runs (Clark et al. 2011).

    In each trial, each pair of runs swaps its translations of each sentence with probability one half; what counts is
    the difference of the mean scores. The runs are taken as they are: the test does not cover the chance of the seed.

    Args:
        scorer: the metric.
        first: statistics of the first system's runs, (N, C) each.
        second: of the second's; a pair is a run of each at the same place, the further runs of either are left out.
    """
    pairs = list(zip(first, second, strict=False))
    random = np.random.default_rng(SEED)
    sums = np.zeros((2, TRIALS))
    for one, other in pairs:
        stays = random.integers(2, size=(TRIALS, len(one)), dtype=bool)
        both, change = one.sum(axis=0) + other.sum(axis=0), (one - other).astype(np.float64)
        for begin in range(0, TRIALS, BLOCK):
            end = begin + BLOCK
            shuffled = (stays[begin:end] @ change).astype(one.dtype) + other.sum(axis=0)  # (BLOCK, C)
            sums[0, begin:end] += [scorer.score(row) for row in shuffled]
            sums[1, begin:end] += [scorer.score(both - row) for row in shuffled]
    scores = [[scorer.score(table.sum(axis=0)) for table in tables] for tables in zip(*pairs, strict=True)]
    found = abs(float(np.mean(scores[0])) - float(np.mean(scores[1])))
    return p_value(np.abs(sums[0] - sums[1]) / len(pairs), found)


def p_value(by_chance: NDArray[Any], found: float) -> float:
    """The share of trials that exceed what was found, counting the one that was found (Noreen 1989)."""
    return float((np.sum(by_chance > found) + 1) / (len(by_chance) + 1))
