"""The space that a sweep searches, checked key by key before anything is trained."""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from nmt.config import Config, Metric, ParameterConfig, SamplerKind, SweepConfig, from_hydra, refusal
from nmt.errors import UserError

Value = float | int | str | bool | None

FIXED = ("machine.", "tracking.", "train.resume", "train.metric")
"""Beginnings of keys that all trials have in common, or that say nothing of their quality."""


@dataclass(frozen=True)
class Parameter:
    """One key and the values that are tried: `choices`, or all from `low` to `high`."""

    key: str
    integer: bool = False
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] | None = None

    def number(self, value: float) -> float | int:
        """A value of the range as it goes into a configuration: whole, or of six digits, so that people can read it."""
        if self.integer:
            return round(value)
        return min(max(float(f"{value:.6g}"), self.low), self.high)

    def grid(self) -> tuple[Value, ...]:
        """All its values.

        Raises:
            UserError: they are not countable.
        """
        if self.choices is not None:
            return self.choices
        if self.step is None or self.log:
            raise UserError(f"sweep.parameters.{self.key} has no end in a grid; give choices, or a step")
        return tuple(self.number(self.low + self.step * index) for index in range(self.steps + 1))

    @property
    def steps(self) -> int:
        """How often the step goes into the range."""
        return math.floor((self.high - self.low) / (self.step or 1) + 1e-9)

    def samples(self) -> tuple[Value, ...]:
        """Values to check: all choices, or the ends of the range, and the one after the first."""
        if self.choices is not None:
            return self.choices
        second = self.low + (self.step or (1 if self.integer else 0))
        return tuple(self.number(value) for value in (self.low, second, self.high))

    def __str__(self) -> str:
        if self.choices is not None:
            return ", ".join(text(choice) for choice in self.choices)
        by = f" by {self.step:g}" if self.step and not (self.integer and self.step == 1) else ""
        manner = ", logarithmic" if self.log else by
        return f"{self.low:g} to {self.high:g}{manner}"


def text(value: Value) -> str:
    """A value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def search_space(sweep: SweepConfig, base: Config) -> list[Parameter]:
    """The parameters of a sweep, in the order of the file.

    Args:
        sweep: has them.
        base: the configuration that they change.

    Raises:
        UserError: a key does not exist or cannot be searched, or a value is none that it may have.
    """
    found = [parameter(key, node, base) for key, node in entries(sweep.parameters)]
    if not found:
        raise UserError("sweep.parameters is empty; choose a file as sweep=bayesian, or give keys and ranges")
    tokenizers = any(each.key.startswith("data.tokenizer.") for each in found)
    if tokenizers and base.train.init_from is not None:
        raise UserError("sweep.parameters has data.tokenizer keys, and train.init_from brings its own; leave one out")
    if tokenizers and base.train.metric != Metric.bleu:
        raise UserError(
            f"sweep.parameters has data.tokenizer keys and train.metric is {base.train.metric}, which is per piece and "
            "cannot be compared between tokenizers; use train.metric=bleu"
        )
    return found


def entries(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The dotted keys of the parameters, and what is said of each."""
    for name, node in tree.items():
        key = f"{prefix}{name}"
        if node is None:
            continue
        if not isinstance(node, Mapping):
            raise UserError(f"sweep.parameters.{key} is {node!r}; give low and high, or choices")
        if {"low", "high", "choices"} & node.keys():
            yield key, node
        else:
            yield from entries(node, f"{key}.")


def parameter(key: str, node: Mapping[str, Any], base: Config) -> Parameter:
    where = f"sweep.parameters.{key}"
    kinds = kinds_of_keys(Config)
    if key not in kinds:
        near = difflib.get_close_matches(key, kinds, n=1, cutoff=0.5)
        raise UserError(f"{where} is no key of a training" + (f"; did you mean {near[0]}?" if near else ""))
    if key.startswith(FIXED):
        raise UserError(f"{where} cannot be searched: all trials have the same; leave it out")
    asked = from_hydra(ParameterConfig, dict(node), prefix=f"{where}.")
    made = ranged(key, kinds[key], asked) if asked.choices is None else Parameter(key, choices=tuple(asked.choices))
    for value in made.samples():
        if not (value is None or isinstance(value, str | int | float)):
            raise UserError(f"{where}.choices has {value!r}; allowed: text, numbers, true, false, null")
    # What is wrong with values of other keys alone a trial will find.
    if reason := refusal(base, key, made.samples()):
        raise UserError(f"{where}: {reason}")
    return made


def ranged(key: str, kind: type, asked: ParameterConfig) -> Parameter:
    """A parameter with a range, of whole numbers where the key has them."""
    where = f"sweep.parameters.{key}"
    if kind not in (int, float):
        raise UserError(f"{where} has a range and its values are no numbers; give choices")
    assert asked.low is not None
    assert asked.high is not None
    numbers = {"low": asked.low, "high": asked.high, "step": asked.step or 0.0}
    if kind is int and (broken := [name for name, value in numbers.items() if value % 1]):
        raise UserError(f"{where}.{broken[0]} is {numbers[broken[0]]:g}; allowed: whole numbers")
    step = 1.0 if kind is int and asked.step is None and not asked.log else asked.step
    made = Parameter(key, kind is int, asked.low, asked.high, asked.log, step)
    return dataclasses.replace(made, high=made.low + made.steps * step) if step else made


def kinds_of_keys(schema: Any, prefix: str = "") -> dict[str, type]:
    """The type of each dotted key of a tree of dataclasses, without its null."""
    kinds: dict[str, type] = {}
    for name, hint in get_type_hints(schema).items():
        (kind, *_) = [each for each in get_args(hint) if each is not NoneType] if NoneType in get_args(hint) else [hint]
        if dataclasses.is_dataclass(kind):
            kinds |= kinds_of_keys(kind, f"{prefix}{name}.")
        else:
            kinds[f"{prefix}{name}"] = kind
    return kinds


def grid(parameters: list[Parameter]) -> list[dict[str, Value]]:
    """Every combination; the last key's values change fastest."""
    values = itertools.product(*(each.grid() for each in parameters))
    return [dict(zip([each.key for each in parameters], combination, strict=True)) for combination in values]


def trials_of(sweep: SweepConfig, parameters: list[Parameter]) -> int:
    """How many trials a sweep has in all."""
    if sweep.sampler != SamplerKind.grid:
        assert sweep.trials is not None
        return sweep.trials
    size = math.prod(len(each.grid()) for each in parameters)
    return size if sweep.trials is None else min(size, sweep.trials)
