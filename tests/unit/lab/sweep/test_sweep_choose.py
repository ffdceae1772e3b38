"""Choice of trials and pruning, compared with the rules in plain loops, and on scores with a known optimum."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

import pytest

from nmt.config import Metric, PrunerKind, SamplerKind, SweepConfig, TrainConfig
from nmt.lab.sweep.choose import Pruning, importance, proposal
from nmt.lab.sweep.space import Parameter, Value, grid
from nmt.lab.sweep.trials import Trial, TrialState

RATE = Parameter("optim.learning_rate", low=1e-4, high=1e-1, log=True)
WIDTH = Parameter("model.hidden_size", integer=True, low=64, high=320, step=64)
CELL = Parameter("model.encoder.cell", choices=("lstm", "gru", "rnn"))
SPACE = [RATE, WIDTH, CELL]
TRAIN = TrainConfig(max_steps=100, validate_every=10)


def hill(values: dict[str, Value]) -> float:
    """Return a score that is highest at a rate of 0.003, rises slightly with the width and ignores the cell."""
    rate, width = values[RATE.key], values[WIDTH.key]
    assert isinstance(rate, float)
    assert isinstance(width, int)
    return 30 - 10 * math.log10(rate / 3e-3) ** 2 + width / 320


def search(sweep: SweepConfig, trials: int, score: Callable[[dict[str, Value]], float] = hill) -> list[Trial]:
    done: list[Trial] = []
    for number in range(1, trials + 1):
        values = proposal(sweep, TRAIN, SPACE, done, number)
        value = score(values)
        done.append(Trial(number, values, TrialState.complete, [(100, value)], value))
    return done


def rates(trials: Sequence[Trial]) -> list[float]:
    return [float(str(trial.parameters[RATE.key])) for trial in trials]


def test_a_grid_is_tried_in_its_order() -> None:
    sweep = SweepConfig(sampler=SamplerKind.grid, trials=None)
    space = [WIDTH, CELL]
    assert [proposal(sweep, TRAIN, space, [], number) for number in range(1, 16)] == grid(space)


def test_random_values_are_even_over_each_range_and_do_not_depend_on_the_trials_before() -> None:
    sweep = SweepConfig(sampler=SamplerKind.random)
    drawn = [proposal(sweep, TRAIN, SPACE, [], number) for number in range(1, 301)]
    assert drawn[:20] == [trial.parameters for trial in search(sweep, 20)]
    decades = Counter(math.floor(math.log10(float(str(values[RATE.key])))) for values in drawn)
    assert sorted(decades) == [-4, -3, -2]
    assert all(75 < count < 125 for count in decades.values())  # 100 each, deviation 8
    widths = Counter(values[WIDTH.key] for values in drawn)
    assert sorted(widths, key=str) == sorted((64, 128, 192, 256, 320), key=str)
    assert all(40 < count < 80 for count in widths.values())  # 60 each, deviation 7


def distance(trials: Sequence[Trial]) -> float:
    """Return the mean distance from the best rate, in decades."""
    return sum(abs(math.log10(rate / 3e-3)) for rate in rates(trials)) / len(trials)


@pytest.mark.parametrize("metric", list(Metric))
def test_a_bayesian_search_stays_near_the_best_for_every_metric(metric: Metric) -> None:
    """Compare with random rates, whose mean distance is 0.75 decades: the range has 1.5 decades on either side."""
    sign = 1 if metric == Metric.bleu else -1
    train, done = TrainConfig(max_steps=100, metric=metric), []
    for number in range(1, 36):
        values = proposal(SweepConfig(startup=8), train, [RATE], done, number)
        score = -sign * abs(math.log10(float(str(values[RATE.key])) / 3e-3))
        done.append(Trial(number, values, TrialState.complete, [(100, score)], score))
    assert distance(done[:8]) > 0.5
    assert distance(done[-15:]) < 0.4


def test_what_comes_next_is_a_function_of_the_trials_before_and_of_the_seed() -> None:
    sweep = SweepConfig(startup=3)
    done = search(sweep, 8)
    assert search(sweep, 8) == done
    again = proposal(sweep, TRAIN, SPACE, done, 9)
    assert proposal(sweep, TRAIN, SPACE, done, 9) == again
    assert proposal(SweepConfig(startup=3, seed=2), TRAIN, SPACE, done, 9) != again
    assert proposal(sweep, TRAIN, SPACE, done[::-1][:4], 9) != again
    failed = Trial(9, again, TrialState.failed, reason="not finite")
    pruned = Trial(10, again, TrialState.pruned, [(10, 3.0)], 3.0)
    assert proposal(sweep, TRAIN, SPACE, [*done, failed, pruned], 11).keys() == again.keys()


def curve(number: int, scores: Sequence[float], state: TrialState = TrialState.complete) -> Trial:
    values = {RATE.key: 1e-3, WIDTH.key: 64, CELL.key: "gru"}
    points = [(10 * (place + 1), score) for place, score in enumerate(scores)]
    return Trial(number, values, state, points, max(scores))


CURVES = [[1, 4, 9, 9], [2, 5, 6, 9], [3, 3, 7, 9], [4, 2, 8, 9]]


@pytest.mark.parametrize("scores", [[0, 9, 0, 0], [3, 3, 3, 9], [2.6, 3.4, 7.4, 1], [2.5, 3.5, 7.5, 9], [9, 0, 0, 0]])
@pytest.mark.parametrize("warmup", [0, 15])
def test_the_median_pruner_stops_a_trial_whose_best_is_below_the_median_at_that_step(
    scores: list[float], warmup: int
) -> None:
    sweep = SweepConfig(pruner=PrunerKind.median, prune_after_trials=4, prune_after_steps=warmup)
    before = [curve(number, line) for number, line in enumerate(CURVES, start=1)]
    before.append(curve(5, [0, 0], TrialState.pruned))  # the median ignores pruned trials
    pruning = Pruning(sweep, TRAIN, SPACE, before, curve(6, scores, TrialState.running))
    for place in range(4):
        step = 10 * (place + 1)
        middle = median(line[place] for line in CURVES)
        expected = step > warmup and max(scores[: place + 1]) < middle
        assert pruning.poor(curve(6, scores).scores[: place + 1]) == expected, step


def test_no_trial_is_pruned_before_enough_trials_are_complete_or_at_the_last_step() -> None:
    before = [curve(number, line) for number, line in enumerate(CURVES, start=1)]
    poor = curve(5, [0, 0, 0, 0], TrialState.running)
    assert not Pruning(SweepConfig(prune_after_trials=5), TRAIN, SPACE, before, poor).poor(poor.scores)
    assert not Pruning(SweepConfig(pruner=PrunerKind.none), TRAIN, SPACE, before, poor).poor(poor.scores)
    short = TrainConfig(max_steps=40, validate_every=10)
    sweep = SweepConfig(prune_after_trials=4)
    assert Pruning(sweep, short, SPACE, before, poor).poor(poor.scores[:3])
    assert not Pruning(sweep, short, SPACE, before, poor).poor(poor.scores)


@pytest.mark.parametrize("pruner", list(PrunerKind))
def test_a_trial_that_is_continued_is_judged_as_one_that_was_not(pruner: PrunerKind) -> None:
    """Report the validations one by one, and all again after a restart."""
    sweep = SweepConfig(pruner=pruner, prune_after_trials=2)
    done: list[Trial] = []
    for number in range(1, 13):
        trial = curve(number, [math.sin(5 * number + step) + step for step in range(1, 10)])
        one = Pruning(sweep, TRAIN, SPACE, done, trial)
        verdicts = [one.poor(trial.scores[: place + 1]) for place in range(len(trial.scores))]
        for place, verdict in enumerate(verdicts):
            other = Pruning(sweep, TRAIN, SPACE, done, trial)
            assert other.poor(trial.scores[: place + 1]) == verdict
            if verdict:
                break
        end = verdicts.index(True) + 1 if True in verdicts else len(verdicts)
        state = TrialState.pruned if True in verdicts else TrialState.complete
        last = Pruning(sweep, TRAIN, SPACE, done, trial)
        last.poor(trial.scores[:end])
        done.append(Trial(number, trial.parameters, state, trial.scores[:end], trial.score, notes=last.notes()))
    stopped = sum(trial.state == TrialState.pruned for trial in done)
    assert (stopped == 0) == (pruner == PrunerKind.none)
    assert any(trial.notes for trial in done) == (pruner == PrunerKind.hyperband)


def test_importance_is_that_of_the_key_which_decides() -> None:
    trials = search(SweepConfig(sampler=SamplerKind.random), 60)
    shares = importance(SweepConfig(), TRAIN, SPACE, trials)
    assert next(iter(shares)) == RATE.key
    assert shares[RATE.key] > 0.6
    assert sum(shares.values()) == pytest.approx(1)
    assert importance(SweepConfig(), TRAIN, SPACE, trials[:9]) == {}
    flat = search(SweepConfig(sampler=SamplerKind.random), 12, lambda values: 1.0)
    assert importance(SweepConfig(), TRAIN, SPACE, flat) == {}
