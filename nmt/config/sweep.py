"""Configuration of the command `sweep`, and changes of single keys in a configuration."""

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
    """Samplers of hyper-parameters."""

    grid = "grid"
    random = "random"
    bayesian = "bayesian"


class PrunerKind(StrEnum):
    """Pruners of trials."""

    none = "none"
    median = "median"
    hyperband = "hyperband"


@dataclass
class ParameterConfig:
    """Search space of one key: a range or a list of values."""

    low: float | None = None
    """Lower end of the range."""
    high: float | None = None
    """Upper end of the range."""
    log: bool = False
    """Sample uniformly on a logarithmic scale."""
    step: float | None = None
    """Spacing of the values in the range; null: 1 for integers, continuous otherwise."""
    choices: list[Any] | None = None
    """List of values; replaces the range."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.step is not None or self.log:
                yield "choices", "is given together with a range; give either choices, or low and high"
            if not self.choices:
                yield "choices", "is empty; give the values to try"
            return
        if self.low is None or self.high is None:
            yield "high" if self.high is None else "low", "is missing; a range needs low and high"
        elif self.low >= self.high:
            yield "low", f"is {self.low:g} but high is {self.high:g}; allowed: less than high"
        elif self.log and self.low <= 0:
            yield "low", f"is {self.low:g} but log is true; allowed: above 0"
        if self.step is not None and self.log:
            yield "step", "is given together with log; give one of them"
        if self.step is not None and self.step <= 0:
            yield "step", f"is {self.step:g}; allowed: above 0"


@dataclass
class SweepConfig:
    """Hyper-parameter search. Trials are ranked by `train.metric` on the validation set."""

    sampler: SamplerKind = SamplerKind.bayesian
    """Sampler. grid: all combinations; random; bayesian: tree-structured Parzen estimator, which samples where good
    trials are denser than poor ones (Bergstra et al. 2011)."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Search space: the tree of `Config` with a `ParameterConfig` at each key; null removes a key. Whole keys joined by
    commas, such as "model.encoder.cell,model.decoder.cell", take one value together."""
    trials: int | None = 30
    """Total number of trials; null: the whole grid."""
    startup: int = 10
    """bayesian: number of random trials before the estimator is used."""
    pruner: PrunerKind = PrunerKind.median
    """Pruner, which stops poor trials at a validation. none; median: stop if the best score is below the median of the
    other trials at that step (Golovin et al. 2017, 3.2.1); hyperband: successive halving (Li et al. 2018)."""
    prune_after_trials: int = 5
    """median: number of complete trials before any trial is pruned."""
    prune_after_steps: int = 0
    """median: number of steps before a trial can be pruned."""
    reduction: int = 3
    """hyperband: reduction factor; one of this number of trials continues at each rung (eta of Li et al. 2018)."""
    seed: int = 1
    """Seed of the sampler, independent of `seed`, with which every trial is trained."""
    folder: str | None = None
    """Folder of the sweep; null: sweeps/EXPERIMENT_SWEEP, from the names of the two configuration files."""
    keep_checkpoints: bool = False
    """Keep the checkpoints of every trial; false: only those of the best trial."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for name in ("trials", "startup", "prune_after_trials"):
            yield from number(self, name, 1)
        yield from number(self, "prune_after_steps", 0)
        yield from number(self, "reduction", 2)
        yield from number(self, "seed", 0, 2**32 - 1)
        if self.trials is None and self.sampler != SamplerKind.grid:
            yield "trials", f"is null but the sampler is {self.sampler}; only a grid is finite, give a number"


@dataclass
class SweepCommandConfig(Config):
    """`sweep`: a training run with a search over some of its keys."""

    sweep: SweepConfig = field(default_factory=SweepConfig)
    """Search space and algorithm."""
    report: str | None = None
    """Folder of an existing sweep to report on, instead of training."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        if self.train.resume is not None:
            yield "train.resume", "is given; leave it out, a sweep continues when its command is run again"
        if self.sweep.pruner == PrunerKind.hyperband and self.train.interval_unit == IntervalUnit.epochs:
            yield "sweep.pruner", "is hyperband, which needs train.interval_unit=steps; use median, or that unit"

    def base(self) -> Config:
        """Return the configuration shared by all trials."""
        return Config(**{key.name: getattr(self, key.name) for key in fields(Config)})


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return the configuration with new values at some dotted keys.

    Raises:
        UserError: a key does not exist, or a value has the wrong type or is out of range.
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
    """Return the reason why a key of this configuration does not allow one of the values, or None if it allows all."""
    tree = OmegaConf.structured(config)
    for value in values:
        try:
            put(tree, key, value)
        except UserError as error:
            return str(error)
        for problem in problems_in(OmegaConf.to_object(tree)):
            if problem.startswith(tuple(f"{part} " for part in key.split(","))):
                return problem
    return None


def put(tree: Any, key: str, value: Any) -> None:
    """Set one dotted key of a configuration tree, or several that are joined by commas.

    Raises:
        UserError: the key does not exist, or the value has the wrong type.
    """
    try:
        for part in key.split(","):
            OmegaConf.update(tree, part, value)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration key {key}: {first_line(error)}") from None
