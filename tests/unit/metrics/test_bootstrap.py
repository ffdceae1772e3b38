"""Bootstrap confidence intervals against draws made all at once and against theory."""

import numpy as np
import pytest

from nmt.metrics import RESAMPLES, SEED, score_with_interval


def ratio(sums: list[float]) -> float:
    return sums[0] / sums[1]


def test_the_interval_is_that_of_the_same_draws_scored_one_by_one() -> None:
    random = np.random.default_rng(3)
    table = np.stack([random.integers(0, 5, 57), random.integers(5, 9, 57)], axis=1).tolist()
    actual = score_with_interval(table, ratio, "any")
    scores = []
    for draws in np.random.default_rng(SEED).choice(len(table), size=(RESAMPLES, len(table))):
        rows = [table[i] for i in draws]
        scores.append(sum(row[0] for row in rows) / sum(row[1] for row in rows))
    scores.sort()
    assert actual.interval == pytest.approx((scores[25], scores[974]), rel=1e-12)
    assert actual.score == pytest.approx(sum(row[0] for row in table) / sum(row[1] for row in table))
    assert actual.signature == "any"


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    values = np.random.default_rng(4).normal(10, 2, 400)
    low, high = score_with_interval([(value, 1) for value in values], ratio, "any").interval
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.05)


def test_sentences_that_are_all_alike_leave_no_doubt() -> None:
    assert score_with_interval([(3, 4)] * 20, ratio, "any").interval == (0.75, 0.75)
    assert score_with_interval([(3, 4)], ratio, "any").interval == (0.75, 0.75)
