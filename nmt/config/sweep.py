"""What a sweep tries, and how it chooses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.checks import number, problems_in
from nmt.config.root import Config
from nmt.config.train import IntervalUnit
from nmt.errors import UserError, first_line


class SamplerKind(StrEnum):
    grid = "grid"
    random = "random"
    bayesian = "bayesian"


class PrunerKind(StrEnum):
    none = "none"
    median = "median"
    hyperband = "hyperband"


@dataclass
class ParameterConfig:
    """The values of one key that are tried: a range or a list."""

    low: float | None = None
    """Lowest value of a range."""
    high: float | None = None
    """Highest value of a range."""
    log: bool = False
    """Drawn evenly on a logarithmic scale."""
    step: float | None = None
    """Distance between the values of a range; null: 1 for whole numbers, any value for others."""
    choices: list[Any] | None = None
    """Instead of a range: the values."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.step is not None or self.log:
                yield "choices", "stands beside a range; give either choices, or low and high"
            if not self.choices:
                yield "choices", "is empty; give the values to try"
            return
        if self.low is None or self.high is None:
            yield "high" if self.high is None else "low", "is missing; a range has low and high"
        elif self.low >= self.high:
            yield "low", f"is {self.low:g} and high {self.high:g}; allowed: less than high"
        elif self.log and self.low <= 0:
            yield "low", f"is {self.low:g} and log true; allowed: above 0"
        if self.step is not None and self.log:
            yield "step", "stands beside log; give one of them"
        if self.step is not None and self.step <= 0:
            yield "step", f"is {self.step:g}; allowed: above 0"


@dataclass
class SweepConfig:
    """A search for good values of some keys. Trials are judged by `train.metric` on the validation set."""

    sampler: SamplerKind = SamplerKind.bayesian
    """grid: every combination; random; bayesian: where good trials are denser than poor ones (tree-structured Parzen
    estimator, Bergstra et al. 2011)."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What is tried: the tree of `Config`, with a `ParameterConfig` at each key; null takes a key out."""
    trials: int | None = 30
    """Trainings in all; null: the whole grid."""
    startup: int = 10
    """bayesian: trials at random before it begins to learn from them."""
    pruner: PrunerKind = PrunerKind.median
    """Who stops poor trials at a validation: median, whose best score is below the median of the others at that step
    (Golovin et al. 2017, 3.2.1); hyperband, by successive halving (Li et al. 2018)."""
    prune_after_trials: int = 5
    """median: trials trained to their end before one is stopped."""
    prune_after_steps: int = 0
    """median: steps before which no trial is stopped."""
    reduction: int = 3
    """hyperband: one of so many trials goes on each time (eta of Li et al. 2018)."""
    seed: int = 1
    """Which values are drawn; apart from `seed`, with which each trial is trained."""
    folder: str | None = None
    """Where the sweep is kept; null: sweeps/EXPERIMENT_SWEEP, of the names of the two files."""
    keep_checkpoints: bool = False
    """Keep the weights of every trial; false: of the best alone."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("trials", "startup", "prune_after_trials"):
            yield from number(self, name, 1)
        yield from number(self, "prune_after_steps", 0)
        yield from number(self, "reduction", 2)
        yield from number(self, "seed", 0, 2**32 - 1)
        if self.trials is None and self.sampler != SamplerKind.grid:
            yield "trials", f"is null and sampler {self.sampler}; only a grid has an end, give a number"


@dataclass
class SweepCommandConfig(Config):
    """`sweep`: a run, of which some keys are searched for."""

    sweep: SweepConfig = field(default_factory=SweepConfig)
    """Which keys, and how."""
    report: str | None = None
    """Instead of training: the folder of a sweep to report on."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        if self.train.resume is not None:
            yield "train.resume", "is given; leave it out, the same command continues a sweep"
        if self.sweep.pruner == PrunerKind.hyperband and self.train.interval_unit == IntervalUnit.epochs:
            yield "sweep.pruner", "is hyperband, which counts steps, and train.interval_unit is epochs; use median"

    def base(self) -> Config:
        """What all trials have in common."""
        return Config(**{each.name: getattr(self, each.name) for each in fields(Config)})


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with other values at some dotted keys.

    Raises:
        UserError: a key does not exist, or the values are of another kind or out of their ranges.
    """
    tree = OmegaConf.structured(config)
    for key, value in values.items():
        put(tree, key, value)
    changed = OmegaConf.to_object(tree)
    assert isinstance(changed, Config)
    if problems := list(problems_in(changed)):
        raise UserError("configuration: " + "; ".join(problems))
    return changed


def refusal(config: Config, key: str, values: Iterable[Any]) -> str | None:
    """Why a key does not allow one of these values, the other keys being as they are; None if it allows all."""
    tree = OmegaConf.structured(config)
    for value in values:
        try:
            put(tree, key, value)
        except UserError as error:
            return str(error)
        for problem in problems_in(OmegaConf.to_object(tree)):
            if problem.startswith(f"{key} "):
                return problem
    return None


def put(tree: Any, key: str, value: Any) -> None:
    try:
        OmegaConf.update(tree, key, value)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration key {key}: {first_line(error)}") from None
