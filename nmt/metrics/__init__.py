"""Translation metrics, significance tests and test sets."""

from nmt.metrics.agreement import IntervalAlpha, NominalAlpha, kendall_tau
from nmt.metrics.bootstrap import RESAMPLES, SEED, Score, score_with_interval
from nmt.metrics.comet import Comet
from nmt.metrics.pairwise import pairwise
from nmt.metrics.scores import UNITS, all_scores, bleu, bleu_score, bleu_words, check_tokenizer, sentence_scores
from nmt.metrics.sentence_counts import Counts, restore, shorten
from nmt.metrics.significance import (
    LEVEL,
    POWER,
    TRIALS,
    MeanScorer,
    Resampled,
    Scorer,
    SumScorer,
    Table,
    approximate_randomisation,
    holm,
    minimum_detectable_effect,
    paired_bootstrap,
    resample,
)
from nmt.metrics.testsets import fetch_test_set

__all__ = [
    "LEVEL",
    "POWER",
    "RESAMPLES",
    "SEED",
    "TRIALS",
    "UNITS",
    "Comet",
    "Counts",
    "IntervalAlpha",
    "MeanScorer",
    "NominalAlpha",
    "Resampled",
    "Score",
    "Scorer",
    "SumScorer",
    "Table",
    "all_scores",
    "approximate_randomisation",
    "bleu",
    "bleu_score",
    "bleu_words",
    "check_tokenizer",
    "fetch_test_set",
    "holm",
    "kendall_tau",
    "minimum_detectable_effect",
    "paired_bootstrap",
    "pairwise",
    "resample",
    "restore",
    "score_with_interval",
    "sentence_scores",
    "shorten",
]
