"""Checks of the raters: repeated items must be rated alike, and damaged items lower than intact ones."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import mean

from nmt.config import HumanEvalConfig
from nmt.lab.judgements.answers import FIRST, Rating
from nmt.lab.judgements.design import DAMAGED, REPEAT, Design, JudgedItem

DEFAULT_REPEAT_POINTS, DEFAULT_CHANGED_ANSWERS = 20.0, 40.0
"""Limits of the mean difference of repeated ratings, in points, and of changed answers, in per cent."""


@dataclass(frozen=True)
class CheckLimits:
    """Limits that a rater must keep."""

    min_damaged: float
    """Smallest share of damaged items rated below the intact ones."""
    max_repeat_difference: float
    """Largest mean difference between two ratings of an item, in points or in per cent of changed answers."""

    @classmethod
    def of(cls, config: HumanEvalConfig, kind: str) -> "CheckLimits":
        """Return the limits of a configuration for a kind of judgement."""
        default = DEFAULT_CHANGED_ANSWERS if kind == "pairwise" else DEFAULT_REPEAT_POINTS
        given = config.max_repeat_difference
        return cls(config.min_damaged, default if given is None else given)


@dataclass(frozen=True)
class RaterCheck:
    """Result of the checks of a rater."""

    rater: str
    answered: int
    """Number of answered items, checks included."""
    damaged: int
    """Number of damaged items whose intact item was answered as well."""
    damaged_lower: int
    """Number of those that were rated below the intact item."""
    damaged_p: float | None
    """p of the sign test: probability that a rater who answers at random rates so high a number lower; None without
    damaged items."""
    repeats: int
    repeat_difference: float | None
    """Mean difference between two ratings of an item; None without repeats."""
    failures: list[str]
    """Checks that failed; empty if the rater passed."""


def check_raters(ratings: Sequence[Rating], design: Design, limits: CheckLimits) -> list[RaterCheck]:
    """Return the checks of each rater, ordered by name."""
    by_rater: dict[str, dict[str, Rating]] = defaultdict(dict)
    for rating in ratings:
        by_rater[rating.rater][rating.item] = rating
    return [check_rater(rater, by_rater[rater], design, limits) for rater in sorted(by_rater)]


def check_rater(rater: str, answers: dict[str, Rating], design: Design, limits: CheckLimits) -> RaterCheck:
    items = design.items
    lower, differences = [], []
    for item in (items[name] for name in answers):
        if item.check == DAMAGED and (len(item.shown) > 1 or item.original in answers):
            lower.append(rated_lower(item, answers))
        elif item.check == REPEAT and item.original in answers:
            differences.append(repeat_difference(item, answers, design.kind))
    share = mean(lower) if lower else 1.0
    difference = mean(differences) if differences else None
    failures = []
    if share < limits.min_damaged:
        failures.append(f"damaged items rated lower: {share:.0%}, below {limits.min_damaged:.0%}")
    if difference is not None and difference > limits.max_repeat_difference:
        failures.append(f"repeated items differ by {difference:.1f}, above {limits.max_repeat_difference:g}")
    p = sign_test(sum(lower), len(lower)) if lower else None
    return RaterCheck(rater, len(answers), len(lower), sum(lower), p, len(differences), difference, failures)


def rated_lower(item: JudgedItem, answers: dict[str, Rating]) -> bool:
    """Return True if the rater put the damaged text below the intact one; an equal rating does not count."""
    if len(item.shown) == 1:
        return answers[item.id].answer < answers[item.original].answer
    better = 0 if answers[item.id].answer == FIRST else 1
    return answers[item.id].answer != 0 and not item.shown[better].damaged


def repeat_difference(item: JudgedItem, answers: dict[str, Rating], kind: str) -> float:
    """Return the difference from the first rating; in a repeated comparison, the sides are swapped."""
    first, second = answers[item.original].answer, answers[item.id].answer
    return 100.0 * (first != -second) if kind == "pairwise" else abs(first - second)


def sign_test(successes: int, trials: int) -> float:
    """Return the one-sided p of at least this number of successes at a probability of one half."""
    return float(sum(comb(trials, count) for count in range(successes, trials + 1)) / 2**trials)
