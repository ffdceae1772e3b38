"""Types of configuration keys, read from the dataclasses, to decide which values are text.

YAML derives the type of a value from its form: 1.20 is a number and `no` is false. Converted back to text, they become
1.2 and False. Here the type of the key decides.
"""

import dataclasses
import types
from collections.abc import Iterator
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from nmt.config.search import SearchConfig

LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""YAML loader that reads every scalar as text."""


def type_at(hint: Any, key: str) -> Any:
    """Return the type of a dotted key below `hint`; `Any` if the key is unknown or has no fixed type."""
    for name in key.split("."):
        hint = child(hint, name)
    return hint


def child(hint: Any, name: str) -> Any:
    """Return the type of a field of a dataclass, of the values of a mapping, or of the items of a list."""
    hint = without_none(hint)
    if dataclasses.is_dataclass(hint):
        kind: Any = hint
        field_hint = hints_of(kind).get(name, Any)
        # The search settings of a command are a plain mapping until they are merged over those of the run.
        return SearchConfig if name == "search" and field_hint == dict[str, Any] else field_hint
    return get_args(hint)[-1] if get_origin(hint) in (dict, list) else Any


def is_text(hint: Any) -> bool:
    """Return whether values of this type are text."""
    return without_none(hint) is str


def is_list(hint: Any) -> bool:
    """Return whether values of this type are lists."""
    return get_origin(without_none(hint)) is list


def without_none(hint: Any) -> Any:
    """Return the type of an optional value without None."""
    if get_origin(hint) in (Union, types.UnionType):
        others = [part for part in get_args(hint) if part is not type(None)]
        return others[0] if len(others) == 1 else Any
    return hint


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def restore_text(hint: Any, tree: Any, written: str, package: str = "") -> None:
    """Restore the text of values of text keys that YAML parsed as numbers or booleans.

    Args:
        hint: type of the root of the tree.
        tree: content of the file as loaded by YAML and OmegaConf, below the keys of its package; modified in place.
        written: text of the file.
        package: dotted key under which the content of the file is placed; empty for the root.
    """
    paths = list(misread(hint, tree, ()))
    if not paths:
        return
    texts = scalars_as_text(written)
    depth = len(package.split(".")) if package else 0
    for path in paths:
        text = follow(texts, path[depth:])
        if isinstance(text, str):
            OmegaConf.update(tree, "".join(f"[{name}]" for name in path), text)


def scalars_as_text(written: str) -> Any:
    """Parse a YAML document into mappings, lists and text; tags have no effect."""
    loader = LOADER(written)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def misread(hint: Any, node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of values that are not text although their key has the type text."""
    if isinstance(node, (DictConfig, ListConfig)):
        if node._is_none() or node._is_missing() or node._is_interpolation():
            return
        pairs = node.items_ex(resolve=False) if isinstance(node, DictConfig) else enumerate(node._iter_ex(False))
        for name, value in pairs:
            yield from misread(child(hint, str(name)), value, (*path, str(name)))
    elif is_text(hint) and isinstance(node, (bool, int, float)):
        yield path


def follow(tree: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of nested mappings and lists, or None if it does not exist."""
    for name in path:
        if isinstance(tree, list) and name.isdecimal() and int(name) < len(tree):
            tree = tree[int(name)]
        elif isinstance(tree, dict):
            tree = tree.get(name)
        else:
            return None
    return tree
