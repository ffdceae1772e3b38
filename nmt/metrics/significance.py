"""Intervals, paired tests and their power from the statistics of single sentences, for one or several seeds.

Both tests give the probability that two equally good systems differ by chance as much as these do. With one run of each
system they are those of `sacrebleu -i A B --paired-bs` and `--paired-ar`, to the last digit.
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
from nmt.metrics.scores import ChrfOfTokens, bleu_metric

TRIALS = 10_000  # as in sacrebleu
SEED_DRAWS = 10
LEVEL, POWER = 0.05, 0.8
BLOCK = 500  # trials whose shuffled sums are made together
MOST_REFERENCES = 100
LABELS = {"version", "test", "lang", "origlang", "subset", "bs", "ar", "seed"}
"""Parts of a signature that say nothing about how a score is computed."""

Table = NDArray[Any]
"""What each sentence adds to the sums that a score is made of, (N, C): N sentences, C counts."""


class Scorer:
    """A metric whose score of any sentences is a function of the sum of their statistics."""

    def __init__(self, metric: Metric, sentence_metric: Metric, references: int = 1) -> None:
        """
        Args:
            metric: scores sums over many sentences.
            sentence_metric: scores the sums of one, which BLEU does over the orders that fit into it.
            references: number of references of each sentence.
        """
        self.metric = metric
        self.sentence_metric = sentence_metric
        self.references = references

    @classmethod
    def of(cls, signature: str) -> "Scorer | None":
        """Return the metric that has this signature, the version apart; None if it is not one of sacrebleu's three."""
        parts = dict(part.partition(":")[::2] for part in signature.split("|"))
        references = parts.get("nrefs", "1")
        metrics = metrics_of(parts)
        if metrics is None or not references.isdecimal() or not 1 <= int(references) <= MOST_REFERENCES:
            return None
        scorer = cls(*metrics, int(references))
        scorer.table(["a"], *[["a"]] * scorer.references)  # a metric has no signature before it has seen references
        own = dict(part.partition(":")[::2] for part in str(scorer.metric.get_signature()).split("|"))
        return scorer if comparable(own) == comparable(parts) else None

    def table(self, hypotheses: Sequence[str], *references: Sequence[str]) -> Table:
        """Return the statistics of each sentence, (N, C).

        Args:
            hypotheses: N translations.
            references: lists of N lines, one list per reference.
        """
        return np.array(self.metric._extract_corpus_statistics(list(hypotheses), [list(lines) for lines in references]))

    def score(self, sums: Table) -> float:
        """The score of summed statistics, (C,)."""
        found: float = self.metric._compute_score_from_stats(list(sums)).score
        return found

    def scores(self, sums: Table) -> NDArray[np.float64]:
        """Return the score of each row of summed statistics, (B, C) to (B,)."""
        return np.array([self.score(row) for row in sums])

    def sentence_scores(self, table: Table) -> NDArray[np.float64]:
        """The score of each sentence by itself, (N,)."""
        return np.array([self.sentence_metric._compute_score_from_stats(row.tolist()).score for row in table])


def metrics_of(parts: dict[str, str]) -> tuple[Metric, Metric] | None:
    """Return the metric of a signature's parts, for a corpus and for a sentence; None if it is none of sacrebleu's."""
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
    """Return p of the paired bootstrap (Koehn 2004), as Moses and sacrebleu turn it into a test.

    With several runs, the score of a system is the mean, and the variance over the seeds is added as `by_chance` says.
    Where all sentences are alike this is Welch's test. There the signed differences are centred (Efron and Tibshirani
    1993, section 16.4). Moses and sacrebleu centre absolute differences, which rejects too often where chance is
    greater than the difference found.

    Args:
        first: a system.
        second: the other.
        same_models: whether both are translations by the same trained models, in the same order.
    """
    if len(first.scores) == len(second.scores) == 1:
        differences = np.abs(second.over_sentences - first.over_sentences)
        chance = differences - differences.mean()
    else:
        chance = np.abs(by_chance(first, second, same_models))
    return p_value(chance, abs(first.mean - second.mean))


def by_chance(first: Resampled, second: Resampled, same_models: bool) -> NDArray[np.float64]:
    """Return draws from the distribution that the difference of two equally good systems has by chance, (draws,).

    Each draw is the difference of the means on a resample of the sentences, centred, plus the chance of the seeds:
    Student's distribution with the degrees of freedom of `variance_by_seeds`.

    Args:
        first, second, same_models: as in `paired_bootstrap`.
    """
    differences = second.over_sentences - first.over_sentences
    several = max(len(first.scores), len(second.scores)) > 1
    variance, freedom = variance_by_seeds(first, second, same_models) if several else (0.0, 1.0)
    draws: NDArray[np.float64] = (differences - differences.mean() + by_seeds(variance, freedom)).ravel()
    return draws


def minimum_detectable_effect(
    first: Resampled, second: Resampled, same_models: bool = False, level: float = LEVEL, power: float = POWER
) -> float:
    """Return the smallest true difference that the bootstrap test finds with probability `power` (Bloom 1995).

    Bloom's estimator is (t(1 - level / 2) + t(power)) times the standard error of the difference, t the quantiles of
    Student's distribution. Here both quantiles are those of `by_chance`, which has the standard error in it: the
    (1 - level) quantile of the absolute draws, beyond which the test rejects, plus the `power` quantile of the draws.
    The estimate uses this comparison's own sentences and seeds, and is as uncertain as their spread.

    Args:
        first, second, same_models: as in `paired_bootstrap`.
        level: probability of rejecting equal systems.
        power: probability of finding the difference.
    """
    draws = by_chance(first, second, same_models)
    return float(np.quantile(np.abs(draws), 1 - level) + np.quantile(draws, power))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number (Holm 1979), in the same order.

    Rejecting those below a level makes at least one false rejection with at most the probability of that level. The
    k-th smallest of m is multiplied by m - k + 1; none is smaller than one before it.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = largest
    return corrected


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
    """Return p of approximate randomisation (Riezler and Maxwell 2005), for several runs of the mean over pairs.

    In each trial, the systems swap their translations of each sentence with probability one half. All pairs of runs
    swap the same sentences: translations of a sentence by the runs of one system have the system in common, so the
    independent unit is the sentence, not the sentence of a run. A swap of its own for each run (the stratification of
    Clark et al. 2011) rejects equal systems up to four times as often as the level says. The runs are taken as they
    are: the test does not cover the chance of the seed.

    Args:
        scorer: the metric.
        first: statistics of the first system's runs, (N, C) each.
        second: of the second's; a pair is a run of each at the same place, the further runs of either are left out.
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
    found = abs(float(np.mean(scores[0])) - float(np.mean(scores[1])))
    return p_value(np.abs(sums[0] - sums[1]) / len(pairs), found)


def p_value(by_chance: NDArray[Any], found: float) -> float:
    """The share of trials that exceed what was found, counting the one that was found (Noreen 1989)."""
    return float((np.sum(by_chance > found) + 1) / (len(by_chance) + 1))
