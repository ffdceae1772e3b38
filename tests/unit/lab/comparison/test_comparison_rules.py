"""Tests of verdicts, headings and groups of sentences."""

import numpy as np
import pytest

from nmt.evaluation.table import title_of
from nmt.lab.comparison.cells import verdict_of
from nmt.lab.comparison.statistics import group_ranges


@pytest.mark.parametrize(
    ("p", "first", "other", "lower_is_better", "expected"),
    [
        (0.049, 30.0, 31.0, False, "better"),
        (0.049, 31.0, 30.0, False, "worse"),
        (0.049, 30.0, 31.0, True, "worse"),
        (0.049, 31.0, 30.0, True, "better"),
        (0.05, 30.0, 31.0, False, "undecided"),
        (0.5, 30.0, 31.0, True, "undecided"),
    ],
)
def test_the_verdict_is_one_of_three(
    p: float, first: float, other: float, lower_is_better: bool, expected: str
) -> None:
    assert verdict_of(p, first, other, lower_is_better) == expected


@pytest.mark.parametrize(
    ("name", "signature", "expected"),
    [
        ("chrfpp", "nrefs:1|nw:2|space:no|version:2.6.0", "chrF++"),
        ("chrfpp", "nrefs:1|nw:2|space:no|tok:zh|version:2.6.0", "chrF++ of characters (zh)"),
        ("chrfpp", "nrefs:1|nw:2|space:no|tok:ja-mecab-0.996-IPA|version:2.6.0", "chrF++ of words (ja-mecab)"),
        ("perplexity_word", "nrefs:1|unit:word|end:yes|nmt:0.1", "perplexity per word"),
        ("perplexity_word", "nrefs:1|unit:character|tok:zh|end:yes|nmt:0.1", "perplexity per character (zh)"),
        ("perplexity_word", "nrefs:1|unit:piece|tok:flores200|end:yes", "perplexity per piece (flores200)"),
        ("ter", "nrefs:1|case:lc|tok:tercom|norm:yes|punct:yes|asian:yes|version:2.6.0", "TER (asian)"),
        ("ter", "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0", "TER"),
        ("bleu", "nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:2.6.0", "BLEU"),
    ],
)
def test_a_heading_names_the_counted_unit(name: str, signature: str, expected: str) -> None:
    assert title_of(name, signature) == expected


@pytest.mark.parametrize(
    ("values", "buckets", "expected"),
    [
        ([5, 1, 3, 2, 4, 6], 3, [(1, 2), (3, 4), (5, 6)]),
        ([1, 1, 1, 1, 1, 9], 3, [(1, 1), (9, 9)]),
        ([7, 7, 7], 4, [(7, 7)]),
        ([2, 8], 4, [(2, 2), (8, 8)]),
        ([0, 0, 3, 10, 11, 12, 40], 2, [(0, 3), (10, 40)]),
    ],
)
def test_groups_have_about_equal_sizes_and_equal_values_stay_together(
    values: list[int], buckets: int, expected: list[tuple[int, int]]
) -> None:
    assert group_ranges(np.array(values), buckets) == expected
