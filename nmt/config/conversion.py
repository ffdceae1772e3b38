"""Validated conversion of configurations from Hydra and YAML."""

import copy
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from nmt.config.checks import problems_in, texts_in, value_at
from nmt.config.flat_model import with_sides
from nmt.config.model import side_paths
from nmt.config.search import SearchConfig
from nmt.config.text_keys import restore_text
from nmt.errors import UserError, first_line

MAX_BYTES = 1 << 20  # of the configuration of a run, which usually has a few thousand
MAX_DIGITS = 100  # of a number; the time of the YAML loader grows with the square of the digits
NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxXoObB_:.]*")
MAX_LEVELS = 20  # a run has six; the time of the YAML loader grows with the square of the depth
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""YAML loader of libyaml where PyYAML was built with it, which is ten times as fast."""
T = TypeVar("T")
DEFAULTS: dict[type, DictConfig] = {}


def from_hydra(schema: type[T], *composed: Any, prefix: str = "") -> T:
    """Convert a composed or loaded configuration to validated dataclasses.

    Code behind this function never handles a DictConfig.

    Args:
        schema: dataclass of the root.
        composed: configurations from Hydra or YAML; later ones override earlier ones.
        prefix: text before the keys in error messages, for a part of a tree.

    Raises:
        UserError: all problems together, each with its key and the allowed values.
    """
    try:
        # Plain containers, because a node that Hydra made of a dataclass would add the keys of `+key=value` unchecked.
        layers = [layer if OmegaConf.is_config(layer) else OmegaConf.create(layer) for layer in composed]
        plain = [OmegaConf.to_container(layer) for layer in layers]
        merged = OmegaConf.merge(with_kinds(schema, plain, prefix), *plain)
        config = OmegaConf.to_object(merged)
        if any("${" in text for layer in plain for text in texts_in(layer)):
            OmegaConf.structured(config)  # checks resolved references against the type of their key
    except MissingMandatoryValue as error:
        key = first_line(f"{prefix}{error.full_key}")
        raise UserError(f"{key} is missing; give it as {key}=...") from None
    except OmegaConfBaseException as error:
        where = first_line(f" key {prefix}{error.full_key}") if error.full_key else ""  # a key can contain line breaks
        raise UserError(f"configuration{where}: {first_line(error)}") from None
    except (ValueError, OverflowError):  # raised by Python for numbers of thousands of digits
        raise UserError("configuration: a number has too many digits; shorten it") from None
    except RecursionError:
        raise UserError("configuration: nested too deeply; `--help` lists the keys") from None
    assert isinstance(config, schema)
    problems = list(problems_in(config, prefix))
    if problems:
        raise UserError("configuration: " + "; ".join(problems))
    return config


def defaults(schema: type) -> DictConfig:
    """Return the default values of a schema from a cache. Callers must not change the result; merging copies it."""
    if schema not in DEFAULTS:
        DEFAULTS[schema] = OmegaConf.structured(schema)
    return DEFAULTS[schema]


def with_kinds(schema: type, layers: list[Any], prefix: str = "") -> DictConfig:
    """Return the default values of a schema with the encoder and decoder of the kinds that the layers name.

    Raises:
        UserError: there is no such kind, or a layer has a key that the kind lacks.
    """
    tree = defaults(schema)
    for path, kinds in side_paths(schema).items():
        given = [side for layer in layers if isinstance(side := value_at(layer, path), dict)]
        kind = next((side["kind"] for side in reversed(given) if side.get("kind", "???") != "???"), None)
        if kind is None:
            kind = OmegaConf.select(tree, path).kind
        if not isinstance(kind, str) or kind not in kinds:
            noun, name = path.rpartition(".")[2], first_line(str(kind))[:80]
            raise UserError(
                f"{prefix}{path}.kind is {name}; allowed: {', '.join(kinds)}. For another one import the module that "
                f"calls nmt.register_{noun}({name!r}, ...)"
            )
        allowed = kinds[kind].__dataclass_fields__
        if unknown := [str(key) for side in given for key in side if key not in allowed]:
            key, group = first_line(f"{prefix}{path}.{unknown[0]}"), path.replace(".", "/")
            raise UserError(
                f"{key} is not a key of the kind {kind}; choose a kind as {group}=NAME, or of these keys: "
                f"{', '.join(allowed)}"
            )
        if kind != OmegaConf.select(tree, path).kind:
            tree = copy.deepcopy(tree)
            OmegaConf.update(tree, path, OmegaConf.structured(kinds[kind]), merge=False)
    return tree


def save_config(config: Any, path: Path) -> None:
    """Write the configuration as YAML."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.structured(config)), encoding="utf-8")


def load_config(schema: type[T], path: Path, overrides: Mapping[str, Any] | None = None) -> T:
    """Read a configuration written by `save_config`, with new values at some dotted keys.

    The file contains plain values only. Constructs that `save_config` never writes and that could be used for attacks
    are rejected: `${...}`, which can read the environment; aliases, which can expand one line to gigabytes; and tags.

    Raises:
        UserError: the file is missing, is not YAML, belongs to another version, or fails validation.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8")
        check_plain_values(text)
        loaded = OmegaConf.load(io.StringIO(text))
        if not isinstance(loaded, DictConfig):
            raise TypeError("it holds a list; a configuration file holds keys: write key: value")
        restore_text(schema, loaded, text)
        if "model.encoder" in side_paths(schema) and isinstance(loaded.get("model"), DictConfig):
            loaded["model"] = with_sides(loaded["model"])
        for key, value in (overrides or {}).items():
            OmegaConf.update(loaded, key, value, force_add=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; is this a run directory?") from None
    except (OmegaConfBaseException, YAMLError, TypeError, ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path} cannot be read as a configuration: {first_line(error)}") from None
    try:
        return from_hydra(schema, loaded)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def check_plain_values(text: str) -> None:
    """Reject YAML that contains more than mappings, lists and plain values.

    Raises:
        ValueError: the text is too long or contains other constructs.
        YAMLError: the text is not YAML.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES:,} bytes")
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_LEVELS:
            raise ValueError(f"it is nested deeper than {MAX_LEVELS} levels")
        value = getattr(event, "value", "")
        if len(value) > MAX_DIGITS and NUMBER.fullmatch(value):
            raise ValueError(f"a number has more than {MAX_DIGITS} digits")
        more = "*" if isinstance(event, yaml.AliasEvent) else getattr(event, "tag", None) or ""
        more = more or "${" * ("${" in value)
        if more:
            line = "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "
            raise ValueError(
                f"{line}{more} is not allowed in the configuration of a run, which contains plain values only"
            )


def with_search(schema: type[T], composed: DictConfig, trained: SearchConfig) -> tuple[T, SearchConfig]:
    """Return the configuration of a command, and its search settings merged over those of the run.

    A search setting `???` takes the value of the run: OmegaConf's merge keeps the left side where the right side is
    `???`.

    Raises:
        UserError: as in `from_hydra`.
    """
    search = from_hydra(SearchConfig, OmegaConf.structured(trained), composed.search, prefix="search.")
    rest = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "search"])
    return from_hydra(schema, rest), search
