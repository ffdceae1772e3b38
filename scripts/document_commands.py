"""Write docs/commands.md and docs/keys.md from the typed configurations and the help: `make commands`."""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from nmt.cli.app import SCHEMAS
from nmt.cli.app.composing import composed
from nmt.config import Config, flatten, from_hydra
from nmt.config.model import KINDS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
COMMANDS = """# Commands

Written by `make commands` from the commands' own configurations; do not edit it by hand. From a checkout a command is
`python scripts/NAME.py key=value ...`; an installed package has most of them as `nmt-NAME`. `--help` of a command lists
the same keys with their current values.

Groups of keys that several commands share are in [keys.md](keys.md). `group=NAME` chooses a file of `conf/group/`, and
`group.key=value` sets one key.
"""
KEYS = """# Configuration keys

Written by `make commands` from the typed dataclasses of `nmt/config/`; do not edit it by hand. Each section is a
group of keys that several commands share. It names the file and the class that define the keys and check their values.
The keys of a single command are in [commands.md](commands.md).

`group=NAME` chooses a file of `conf/group/`, and `group.key=value` sets one key. Brackets hold type and default;
`null` is an empty value.

The default is that of the dataclass. A file of `conf/`, as `experiment=NAME` or `model=NAME` chooses it, replaces it,
and a key on the command line replaces both. `train.py` without arguments uses the files {files}
(`conf/train.yaml`). Where these set another value than the dataclass, the brackets have it behind `train.py:`.
`python scripts/train.py experiment=phrasebook --help` prints the values that this command would use.

`hydra.run.dir=FOLDER` names the run directory and `seed=N` the seed
([training.md](training.md#run-directory-and-seed)).
"""


KINDS_NOTE = """`model/{side}=KIND` chooses the kind of the {side}, and the keys that exist depend on it. An item with
`Kinds:` names the kinds that have the key with this default; an item without it holds for all kinds: {kinds}."""


def docs_of(config: type) -> dict[str, str]:
    """Return the docstring of each field of a dataclass, on one line; inherited fields are included."""
    docs: dict[str, str] = {}
    for base in reversed([base for base in config.__mro__ if is_dataclass(base)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                docs[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return docs


def type_text(kind: Any, key: Field[Any] | None = None) -> str:
    """Return a type as the command line takes it: choices of an enum or registry, `null` where the key may be empty."""
    if key is not None and "registry" in key.metadata:
        null = ["null"] * (NoneType in get_args(kind))
        return " or ".join([", ".join(key.metadata["registry"].builtin), *null, "a registered name"])
    args = get_args(kind)
    if args and get_origin(kind) in (dict, list) and is_dataclass(args[-1]):
        entry = f"mappings with the keys {', '.join(field.name for field in fields(args[-1]))}"
        return f"list of {entry}" if get_origin(kind) is list else f"mapping of names to {entry}"
    if get_origin(kind) is dict:
        return "mapping"
    if args:
        if NoneType in args:
            return " or ".join([type_text(each) for each in args if each is not NoneType] + ["null"])
        return f"{getattr(kind, '__name__', str(kind))} of {type_text(args[0])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(str(member.value) for member in kind)
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(kind, "value")


def default_text(field: Field[Any]) -> str | None:
    """Return a key's default as YAML writes it; None for a required key."""
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    return None if value in ("???", MISSING) else value_text(value)


def value_text(value: Any) -> str:
    """Return a value as YAML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return "{}" if isinstance(value, dict) else str(value)


def source_line(config: type) -> str:
    """Return the line that names the file and the class of a configuration."""
    path = Path(inspect.getsourcefile(config) or "").resolve().relative_to(ROOT).as_posix()
    return f"Source: `{path}`, class `{config.__name__}`."


def nested_config(kind: Any) -> type | None:
    """Return the configuration whose keys a field of this type contains; None for a key, a list or a mapping."""
    if get_origin(kind) in (list, dict):
        return None
    return next((each for each in [kind, *get_args(kind)] if is_dataclass(each)), None)


@cache
def train_values() -> dict[str, str]:
    """Return the value of each key of `train.py` without arguments, by dotted name."""
    with composed("train", []) as cfg:
        values = flatten(asdict(from_hydra(Config, cfg)))
    return {key: value_text(value) for key, value in values.items()}


def key_lines(config: Any, prefix: str = "", values: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield one list item per key of a configuration, without the keys of nested configurations.

    Args:
        config: dataclass of the configuration.
        prefix: dotted name of the group.
        values: values of `train.py`, which are printed where they differ from the defaults; None: not printed.
    """
    hints, docs = get_type_hints(config), docs_of(config)
    for field in fields(config):
        if nested_config(hints[field.name]) is None:
            default = default_text(field)
            state = "required" if default is None else f"default `{default}`" if default else "default empty"
            chosen = (values or {}).get(f"{prefix}{field.name}", default)
            if chosen != default:
                state += f"; train.py: `{chosen}`"
            meaning = f": {docs[field.name]}" if field.name in docs else ""
            yield f"- `{prefix}{field.name}` ({type_text(hints[field.name], field)}; {state}){meaning}"


def group_lines(group: str, config: type) -> Iterator[str]:
    """Yield the section of a group of keys, and a subsection for each configuration nested in it."""
    lines = lines_of_kinds if config in KINDS else key_lines
    keys = list(lines(config, f"{group}.", train_values()))
    if keys:
        yield from [f"{'##' if '.' not in group else '###'} Keys of {group}", "", source_line(config), ""]
    if files := sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml")):
        yield from [f"Files of `conf/{group}/`: {', '.join(f'`{name}`' for name in files)}.", ""]
    if group == "model":
        yield from [*model_rows(files), ""]
    if config in KINDS:
        yield from [KINDS_NOTE.format(side=group.partition(".")[2], kinds=", ".join(KINDS[config])), ""]
    if keys:
        yield from [*keys, ""]
    hints = {} if config in KINDS else get_type_hints(config)
    for field in [field for field in fields(config) if field.name in hints]:
        if (nested := nested_config(hints[field.name])) is not None:
            yield from group_lines(f"{group}.{field.name}", nested)


def model_rows(names: Iterable[str]) -> Iterator[str]:
    """Yield the rows of a table of the files of conf/model."""
    yield from ["| `model=` | embedding | hidden | encoder | decoder | attention | dropout |", f"|{'---|' * 7}"]
    for name in names:
        with composed("train", [f"model={name}"]) as cfg:
            model = from_hydra(Config, cfg).model
        sides = [f"{side.layers} × {getattr(side, 'cell', side.kind)}" for side in (model.encoder, model.decoder)]
        attention = value_text(getattr(model.decoder, "attention", model.decoder.kind))
        hidden = "-" if model.encoder.kind == model.decoder.kind == "transformer" else model.hidden_size
        cells = [f"`{name}`", model.embed_size, hidden, *sides, attention, model.dropout]
        yield f"| {' | '.join(map(value_text, cells))} |"


def lines_of_kinds(side: type, prefix: str, values: Mapping[str, str]) -> Iterator[str]:
    """Yield one list item per key of an encoder or decoder, with the kinds that have it."""
    kinds: dict[str, list[str]] = {}
    for name, config in KINDS[side].items():
        for line in key_lines(config, prefix, values if name == values[f"{prefix}kind"] else None):
            kinds.setdefault(line, []).append(name)
    for line, names in kinds.items():
        if not line.startswith(f"- `{prefix}kind`"):
            yield line if len(names) == len(KINDS[side]) else f"{line} Kinds: {', '.join(names)}."


def header_lines(name: str) -> list[str]:
    """Return the header of a command's help; indented lines are examples and become a code block."""
    header = yaml.safe_load((ROOT / "conf" / f"{name}.yaml").read_text(encoding="utf-8"))["hydra"]["help"]["header"]
    return [f"    {line.strip()}" if line.startswith(" ") else line for line in header.strip().split("\n")]


def pages() -> dict[str, str]:
    """Return the texts of the generated pages by file name."""
    commands, groups = [COMMANDS], dict[str, type]()
    for name, schema in SCHEMAS.items():
        commands += [f"## {name}", "", *header_lines(name), ""]
        hints = get_type_hints(schema)
        shared = {field.name: hints[field.name] for field in fields(schema) if is_dataclass(hints[field.name])}
        groups |= {group: config for group, config in shared.items() if group not in groups}
        if shared:
            commands += [f"Groups: {', '.join(f'[`{group}`](keys.md#keys-of-{group})' for group in shared)}.", ""]
        if own := list(key_lines(schema)):
            commands += [source_line(schema), "", *own, ""]
    files = yaml.safe_load((ROOT / "conf" / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    chosen = [
        f"`{group}={name}`" for entry in files if isinstance(entry, dict) for group, name in entry.items() if name
    ]
    keys = [
        KEYS.format(files=", ".join(chosen)),
        *(line for group, config in groups.items() for line in group_lines(group, config)),
    ]
    return {"commands.md": "\n".join(commands), "keys.md": "\n".join(keys)}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
