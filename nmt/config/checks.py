"""Validation of configuration values. One pass over the tree reports all problems with their full keys."""

import dataclasses
import itertools
import re
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

# Terminals interpret control characters, paths end at a zero byte, and the stored configuration of a run must not
# contain references.
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]|[$][{]")


def problems_in(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield one sentence per problem in a tree of dataclasses, depth first, each beginning with its dotted key.

    A node may define a method `problems()` that yields `(field, sentence)`; this function prepends the path.
    """
    nested = list(containers_in(config))
    yield from (
        f"{prefix}{field} holds a list or mapping instead of a plain value; give a plain value" for field in nested
    )
    if hasattr(config, "problems") and not nested:
        for field, sentence in config.problems():
            yield f"{prefix}{field} {sentence}"
    for field in dataclasses.fields(config):
        child = getattr(config, field.name)
        if dataclasses.is_dataclass(child):
            yield from problems_in(child, f"{prefix}{field.name}.")
        elif isinstance(child, list) and any(map(dataclasses.is_dataclass, child)):
            for index, item in enumerate(child):
                yield from problems_in(item, f"{prefix}{field.name}.{index}.")
        elif isinstance(child, dict) and any(map(dataclasses.is_dataclass, child.values())):
            for key, item in child.items():
                yield from problems_in(item, f"{prefix}{field.name}.{key}.")
        elif any(_REFUSED.search(text) for text in texts_in(child)):
            yield f"{prefix}{field.name} holds control characters or ${{; remove them"


def containers_in(config: Any) -> Iterator[str]:
    """Yield the fields typed as containers of plain values that hold nested containers, which OmegaConf accepts."""
    for name in fields_of_plain_containers(config.__class__):
        child = getattr(config, name)
        if isinstance(child, (list, dict)):
            values = child.values() if isinstance(child, dict) else child
            if any(isinstance(value, (list, dict)) for value in values):
                yield name


@cache  # reading type hints takes longer than all other checks
def fields_of_plain_containers(kind: type) -> list[str]:
    """Return the names of the fields that are typed as containers of strings or numbers."""
    hints = typing.get_type_hints(kind)
    return [name for name, hint in hints.items() if typing.get_args(hint)[-1:] in ((str,), (int,), (float,))]


def texts_in(value: Any) -> Iterator[str]:
    """Yield all strings in a value, including mapping keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(texts_in, itertools.chain(value, value.values())))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(texts_in, value))


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one dictionary with dotted keys."""
    if not isinstance(tree, dict):
        return {prefix[:-1]: tree}
    return {key: value for name, child in tree.items() for key, value in flatten(child, f"{prefix}{name}.").items()}


def value_at(tree: Any, key: str) -> Any:
    """Return the value at a dotted key, or the value that replaces a mapping above it; None if there is none."""
    for name in key.split("."):
        if not isinstance(tree, dict):
            return tree
        tree = tree.get(name)
    return tree


def number(config: Any, field: str, low: float, high: float = float("inf")) -> Iterator[tuple[str, str]]:
    """Yield a problem unless `low <= config.field <= high`; null passes where the type of the field allows it."""
    value = getattr(config, field)
    if value is None or low <= value <= high:
        return
    allowed = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
    huge = isinstance(value, int) and value.bit_length() > 1000  # Python refuses to convert it to text
    yield field, f"is {'too large' if huge else value}; allowed: {allowed}"


def one_standard_input(**inputs: str | list[str] | None) -> Iterator[tuple[str, str]]:
    """Yield a problem if several fields name standard input, which can be read only once."""
    names = [
        (key, name) for key, value in inputs.items() for name in ([value] if isinstance(value, str) else value or [])
    ]
    keys = [key for key, name in names if name in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")]
    if len(keys) > 1:
        yield keys[0], f"and {keys[1]} are both standard input, which can be read once; give a file for one of them"


def one_of(config: Any, field: str, allowed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a problem unless the field holds one of `allowed`."""
    if getattr(config, field) not in allowed:
        yield field, f"is {getattr(config, field)!r}; allowed: {', '.join(allowed)}"
