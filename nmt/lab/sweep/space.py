"""Search space of a sweep, checked key by key before the first training."""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from nmt.config import Config, InitVocabulary, Metric, ParameterConfig, SamplerKind, SweepConfig, from_hydra, refusal
from nmt.errors import UserError

Value = float | int | str | bool | None

FIXED = ("machine.", "tracking.", "train.resume", "train.metric", "model.encoder.kind", "model.decoder.kind")
"""Prefixes of keys that cannot be searched: all trials share their values, or they do not affect the score."""


@dataclass(frozen=True)
class Parameter:
    """A configuration key with the values to try: `choices`, or the range from `low` to `high`."""

    key: str
    integer: bool = False
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] | None = None

    def number(self, value: float) -> float | int:
        """Round a value of the range for the configuration: to an integer, or to six significant digits."""
        if self.integer:
            return round(value)
        return min(max(float(f"{value:.6g}"), self.low), self.high)

    def grid(self) -> tuple[Value, ...]:
        """Return all values.

        Raises:
            UserError: the range is continuous.
        """
        if self.choices is not None:
            return self.choices
        if self.step is None or self.log:
            raise UserError(
                f"sweep.parameters.{self.key} is continuous, which a grid does not allow; give choices, or a step"
            )
        return tuple(self.number(self.low + self.step * index) for index in range(self.steps + 1))

    @property
    def steps(self) -> int:
        """Number of whole steps in the range."""
        return math.floor((self.high - self.low) / (self.step or 1) + 1e-9)

    def samples(self) -> tuple[Value, ...]:
        """Return the values to check: all choices; or both ends of the range and the second value."""
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
    """Return a value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def search_space(sweep: SweepConfig, base: Config) -> list[Parameter]:
    """Return the parameters of a sweep, which change `base`, in the order of the file.

    Raises:
        UserError: a key does not exist or cannot be searched, or a value is not allowed.
    """
    space = [make_parameter(key, node, base) for key, node in entries(sweep.parameters)]
    if not space:
        raise UserError("sweep.parameters is empty; choose a file as sweep=bayesian, or give keys and ranges")
    tokenizers = any(parameter.key.startswith("data.tokenizer.") for parameter in space)
    if tokenizers and base.train.init_from is not None and base.train.init_vocabulary == InitVocabulary.base:
        raise UserError(
            "sweep.parameters has data.tokenizer keys, but train.init_from fixes the tokenizer; remove one of them, or "
            "add train.init_vocabulary=corpus"
        )
    if tokenizers and base.train.metric != Metric.bleu:
        raise UserError(
            f"sweep.parameters has data.tokenizer keys and train.metric is {base.train.metric}, which is per piece and "
            "cannot be compared between tokenizers; use train.metric=bleu"
        )
    return space


def entries(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the dotted key of each parameter and its mapping of settings."""
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


def make_parameter(key: str, node: Mapping[str, Any], base: Config) -> Parameter:
    """Make and check the parameter of a key.

    Raises:
        UserError: the key does not exist or cannot be searched, or a value is not allowed.
    """
    where = f"sweep.parameters.{key}"
    kinds, parts = kinds_of_keys(base), key.split(",")
    if wrong := [part for part in parts if part not in kinds]:
        near = difflib.get_close_matches(wrong[0], kinds, n=1, cutoff=0.5)
        raise UserError(
            f"{where} is not a key of the training configuration" + (f"; did you mean {near[0]}?" if near else "")
        )
    if any(part.startswith(FIXED) for part in parts):
        raise UserError(f"{where} cannot be searched: all trials share its value; remove it")
    settings = from_hydra(ParameterConfig, dict(node), prefix=f"{where}.")
    if settings.choices is None:
        parameter = make_range(key, kinds[parts[0]], settings)
    else:
        parameter = Parameter(key, choices=tuple(settings.choices))
    for value in parameter.samples():
        if not (value is None or isinstance(value, str | int | float)):
            raise UserError(f"{where}.choices has {value!r}; allowed: text, numbers, true, false, null")
    # A combination that is invalid only together with values of other keys fails in its trial.
    if reason := refusal(base, key, parameter.samples()):
        raise UserError(f"{where}: {reason}")
    return parameter


def make_range(key: str, kind: type, settings: ParameterConfig) -> Parameter:
    """Make a parameter with a range, of integers where the key has an integer type."""
    where = f"sweep.parameters.{key}"
    if kind not in (int, float):
        raise UserError(f"{where} has a range but its values are not numbers; give choices")
    assert settings.low is not None
    assert settings.high is not None
    numbers = {"low": settings.low, "high": settings.high, "step": settings.step or 0.0}
    if kind is int and (broken := [name for name, value in numbers.items() if value % 1]):
        raise UserError(f"{where}.{broken[0]} is {numbers[broken[0]]:g}; allowed: whole numbers")
    step = 1.0 if kind is int and settings.step is None and not settings.log else settings.step
    parameter = Parameter(key, kind is int, settings.low, settings.high, settings.log, step)
    return dataclasses.replace(parameter, high=parameter.low + parameter.steps * step) if step else parameter


def kinds_of_keys(schema: Any, prefix: str = "") -> dict[str, type]:
    """Return the type of each dotted key of a tree of dataclasses, with None removed from optional types.

    An instance has the keys of its own encoder and decoder.
    """
    kinds: dict[str, type] = {}
    for name, hint in get_type_hints(schema if isinstance(schema, type) else type(schema)).items():
        kind = next(arg for arg in get_args(hint) if arg is not NoneType) if NoneType in get_args(hint) else hint
        if dataclasses.is_dataclass(kind):
            kinds |= kinds_of_keys(getattr(schema, name, None) or kind, f"{prefix}{name}.")
        else:
            kinds[f"{prefix}{name}"] = kind
    return kinds


def grid(parameters: list[Parameter]) -> list[dict[str, Value]]:
    """Return every combination; the values of the last key change fastest."""
    values = itertools.product(*(parameter.grid() for parameter in parameters))
    keys = [parameter.key for parameter in parameters]
    return [dict(zip(keys, combination, strict=True)) for combination in values]


def trials_of(sweep: SweepConfig, parameters: list[Parameter]) -> int:
    """Return the total number of trials of a sweep."""
    if sweep.sampler != SamplerKind.grid:
        assert sweep.trials is not None
        return sweep.trials
    size = math.prod(len(parameter.grid()) for parameter in parameters)
    return size if sweep.trials is None else min(size, sweep.trials)
