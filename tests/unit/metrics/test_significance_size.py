"""Size and power of the tests over several seeds, by simulation with correlated seeds.

Each score of a sentence is (system x sentence) + (seed x sentence): the first part is shared by the seeds of a system,
so that the sentence-seed pairs are not independent. The argument `shared` is its share of the variance.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from nmt.metrics import approximate_randomisation, minimum_detectable_effect, paired_bootstrap, resample
from nmt.metrics import significance as module

SHARES = (0.0, 0.3, 0.6, 0.9)
LEVEL = 0.05


class Mean:
    """Stand-in for a metric: the mean of a value per sentence, computed for whole blocks of sums at once."""

    def score(self, sums: NDArray[np.float64]) -> float:
        return float(sums[0] / sums[1])

    def scores(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        quotients: NDArray[np.float64] = sums[:, 0] / sums[:, 1]
        return quotients


def simulated(
    random: np.random.Generator,
    shared: float,
    seeds: int,
    sentences: int,
    effect: float = 0.0,
    spread: float = 0.0,
    same_models: bool = False,
) -> tuple[list[NDArray[np.float64]], ...]:
    """Return two systems, each as one table (N, 2) per seed; the second is better by `effect`.

    Args:
        random: the source of chance.
        shared: share of the variance of a sentence's score that the seeds of a system have in common.
        seeds: number of seeds.
        sentences: N.
        effect: true difference of the means.
        spread: standard deviation over the seeds of a seed's true mean.
        same_models: True if the systems are two searches with the same models, which have the same true means.
    """
    common = np.sqrt(shared) * random.normal(size=(2, 1, sentences))
    scores = common + np.sqrt(1 - shared) * random.normal(size=(2, seeds, sentences))
    scores += spread * random.normal(size=(1 if same_models else 2, seeds, 1))
    scores[1] += effect
    return tuple([np.stack([run, np.ones(sentences)], axis=1) for run in system] for system in scores)


def p_values(
    comparisons: int,
    shared: float,
    sentences: int = 40,
    seeds: int = 3,
    effect: float = 0.0,
    spread: float = 0.0,
    same_models: bool = False,
    first_seeds: int | None = None,
) -> NDArray[np.float64]:
    """Return the p-values of both tests for many simulated comparisons, (comparisons, 2): bootstrap, randomisation.

    The first system has `first_seeds` of the seeds; None: all.
    """
    random = np.random.default_rng([7, int(100 * shared), seeds])
    actual = []
    for _ in range(comparisons):
        first, second = simulated(random, shared, seeds, sentences, effect, spread, same_models)
        first = first[:first_seeds]
        bootstrap = paired_bootstrap(*(resample(Mean(), runs) for runs in (first, second)), same_models)
        actual.append((bootstrap, approximate_randomisation(Mean(), first, second)))
    return np.array(actual)


def check_size(actual: NDArray[np.float64]) -> None:
    """Check that no test rejects more often than its level, within three standard errors of the simulation."""
    error = np.sqrt(LEVEL * (1 - LEVEL) / len(actual))
    bootstrap, randomisation = (actual < LEVEL).mean(axis=0)
    assert bootstrap < LEVEL + 3 * error
    assert LEVEL / 5 < randomisation < LEVEL + 3 * error
    assert (actual.max(axis=1) < LEVEL).mean() <= min(bootstrap, randomisation)


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIALS", 499)
    monkeypatch.setattr(module, "RESAMPLES", 200)


@pytest.mark.parametrize("shared", SHARES)
def test_equal_systems_of_several_seeds_are_told_apart_no_more_often_than_the_level(shared: float) -> None:
    check_size(p_values(300, shared))


@pytest.mark.parametrize(("shared", "spread"), [(0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.9, 1.0)])
def test_equal_searches_with_the_same_models_are_told_apart_no_more_often_than_the_level(
    shared: float, spread: float
) -> None:
    check_size(p_values(300, shared, spread=spread, same_models=True))


def test_one_run_against_one_holds_the_level_only_by_both_tests() -> None:
    """Check that the bootstrap of single runs, which is sacrebleu's, rejects too often alone."""
    actual = p_values(600, 0.0, seeds=1)
    error = np.sqrt(LEVEL * (1 - LEVEL) / len(actual))
    bootstrap, randomisation = (actual < LEVEL).mean(axis=0)
    assert 2 * LEVEL < bootstrap < 3 * LEVEL
    assert LEVEL / 5 < (actual.max(axis=1) < LEVEL).mean() <= randomisation < LEVEL + 3 * error


@pytest.mark.parametrize("shared", SHARES)
def test_one_run_against_three_holds_the_level(shared: float) -> None:
    check_size(p_values(300, shared, first_seeds=1))


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_the_bootstrap_holds_its_level_where_the_seeds_differ_in_the_mean(spread: float) -> None:
    """Check that both tests must agree: randomisation treats the models as fixed and rejects more often here."""
    actual = p_values(300, 0.6, spread=spread)
    bootstrap, both = (actual[:, 0] < LEVEL).mean(), (actual.max(axis=1) < LEVEL).mean()
    assert both <= bootstrap < LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / len(actual))
    assert bootstrap > LEVEL / 5


@pytest.mark.parametrize(("shared", "spread"), [(0.0, 0.0), (0.6, 0.0), (0.9, 0.0), (0.3, 0.2)])
def test_a_difference_as_large_as_the_detectable_one_is_found_four_times_in_five(shared: float, spread: float) -> None:
    random = np.random.default_rng(5)
    sides = [[resample(Mean(), runs) for runs in simulated(random, shared, 3, 40, 0.0, spread)] for _ in range(100)]
    effect = float(np.median([minimum_detectable_effect(*pair) for pair in sides]))
    actual = p_values(200, shared, effect=effect, spread=spread)
    assert 0.7 < (actual.max(axis=1) < LEVEL).mean() < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("shared", SHARES)
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_size_of_the_tests_in_a_larger_simulation(shared: float, seeds: int) -> None:
    check_size(p_values(3000, shared, sentences=200, seeds=seeds))
