"""Krippendorff's alpha against published values and another library, Kendall's tau-b against its definition."""

import math
from itertools import combinations

import krippendorff
import numpy as np
import pytest

from nmt.metrics import IntervalAlpha, NominalAlpha, kendall_tau

_ = math.nan
# Krippendorff 2011, Computing Krippendorff's alpha-reliability, section D: 4 observers, 12 units, missing values.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)


def interval_alpha(values: np.ndarray) -> float:
    return IntervalAlpha().score(IntervalAlpha.table(values).sum(axis=0))


def nominal_alpha(values: np.ndarray) -> float:
    scorer = NominalAlpha(sorted(set(values[~np.isnan(values)].tolist())))
    return scorer.score(scorer.table(values).sum(axis=0))


def test_alpha_has_the_published_values() -> None:
    assert nominal_alpha(PUBLISHED) == pytest.approx(0.743, abs=5e-4)
    assert interval_alpha(PUBLISHED) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_equals_that_of_another_library(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 4, (4, 30)) + random.integers(0, 2, 30)[None, :].astype(float)
    values[random.random(values.shape) < 0.3] = math.nan
    theirs = krippendorff.alpha(reliability_data=values, level_of_measurement="interval")
    assert interval_alpha(values) == pytest.approx(theirs, abs=1e-9)
    theirs = krippendorff.alpha(reliability_data=values, level_of_measurement="nominal")
    assert nominal_alpha(values) == pytest.approx(theirs, abs=1e-9)


def test_alpha_of_perfect_agreement_is_1_and_of_noise_about_0() -> None:
    random = np.random.default_rng(1)
    assert interval_alpha(np.tile(random.normal(size=40), (3, 1))) == pytest.approx(1)
    assert interval_alpha(random.normal(size=(3, 4000))) == pytest.approx(0, abs=0.05)
    assert math.isnan(interval_alpha(np.ones((2, 5))))
    assert math.isnan(interval_alpha(np.full((2, 5), math.nan)))


def test_alpha_of_normal_ratings_is_the_share_of_common_variance() -> None:
    """For x = quality + noise, alpha tends to var(quality) / (var(quality) + var(noise))."""
    random = np.random.default_rng(2)
    values = random.normal(0, 2, 20_000)[None, :] + random.normal(0, 1, (3, 20_000))
    assert interval_alpha(values) == pytest.approx(4 / 5, abs=0.01)


def tau_by_definition(first: list[float], second: list[float]) -> float:
    """Count pairs (Kendall 1945): (concordant - discordant) / sqrt(untied in first * untied in second)."""
    pairs = [((a - b), (c - d)) for (a, c), (b, d) in combinations(zip(first, second, strict=True), 2)]
    concordant = sum(x * y > 0 for x, y in pairs)
    discordant = sum(x * y < 0 for x, y in pairs)
    return (concordant - discordant) / math.sqrt(sum(x != 0 for x, _ in pairs) * sum(y != 0 for _, y in pairs))


@pytest.mark.parametrize("seed", range(5))
def test_tau_follows_its_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = (random.integers(0, 5, 12).tolist() for _ in range(2))
    assert kendall_tau(first, second) == pytest.approx(tau_by_definition(first, second))


def test_tau_of_equal_values_is_undefined() -> None:
    assert math.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))
    assert kendall_tau([1, 2, 3], [4, 5, 6]) == pytest.approx(1)
    assert kendall_tau([1, 2, 3], [6, 5, 4]) == pytest.approx(-1)
