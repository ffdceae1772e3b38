"""Hydra's and OmegaConf's complaints in one line, with the nearest key that exists."""

import dataclasses
import difflib
import re
import shlex
from typing import Any, get_args, get_type_hints

from hydra.errors import OverrideParseException

from nmt.config import SearchConfig


def explain(error: Exception, schema: type) -> str:
    """One line that names the key and the remedy."""
    if isinstance(error, OverrideParseException):
        given = " ".join(error.override.split())
        remedy = quoted(error.override) or "quote special characters: 'key=\"a, b\"'"
        return f"cannot read {given!r} as an override; write key=value, and {remedy}"
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in f"{error}\n{cause}".split("\n") if line.strip()]
    text = " ".join(dict.fromkeys(lines))
    if key := re.search(r"Could not override '([^']+)'|full_key: (\S+)", text):
        name = key[1] or key[2]
        if re.search(r"not in|Key '", text) and name not in (known := keys(schema)):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else "; see --help"
            return f"unknown configuration key {name}{hint}"
        where = re.search(r"In '([^']+)': \w+ raised while composing", text)
        place = f" (in the file {where[1]}.yaml)" if where else ""
        if "is not a ListConfig" in text:
            return (
                f"configuration key {name} takes a list{place}; write [VALUE], also for one value: {name}=[VALUE], or "
                f"{name.rpartition('.')[2]}: [VALUE] in a file"
            )
        details = [
            line
            for line in lines
            if not re.match(r"full_key|object_type|Could not override|Error merging|In '.* raised while", line)
        ]
        return f"configuration key {name}{place}: {' '.join(details[:1])}"
    if group := re.search(r"Could not find '([^']+)'", text):
        options = re.search(r"Available options in '[^']+':\s*(.*?)(?:Config search path|$)", text)
        return f"there is no configuration file {group[1]}" + (f"; there are: {options[1].strip()}" if options else "")
    return text


def quoted(override: str) -> str:
    """Return how to type an override so that its value is taken as it is; empty if it has no key and value."""
    match = re.fullmatch(r"([+~]*[\w./@-]+)=(.+)", override, re.DOTALL)
    if match is None:
        return ""
    key, value = match.groups()
    if value.startswith("[") and value.endswith("]"):
        value = f"[{','.join(in_quotes(item.strip()) for item in value[1:-1].split(','))}]"
    elif value[0] in "[{'\"":  # a list, a mapping or a quotation that does not end
        return ""
    else:
        value = in_quotes(value)
    return f"quote this value: {shlex.quote(f'{key}={value}')}"


def in_quotes(value: str) -> str:
    """Return text in the double quotes of Hydra's grammar, where a backslash counts only before a quote."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return '"' + escaped + "\\" * trailing + '"'


def keys(schema: type, prefix: str = "") -> list[str]:
    """All dotted keys of a tree of dataclasses."""
    found = []
    for name, hint in get_type_hints(schema).items():
        found.append(prefix + name)
        kinds: list[Any] = [kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)]
        if (
            name == "search" and hint == dict[str, Any]
        ):  # the search settings of a command, where the run's are still to come
            kinds = [SearchConfig]
        for kind in kinds:
            found.extend(keys(kind, f"{prefix}{name}."))
    return found
