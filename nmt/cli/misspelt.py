"""Hydra's and OmegaConf's complaints in one line, with the nearest key that exists."""

import dataclasses
import difflib
import re
from typing import Any, get_args, get_type_hints

from hydra.errors import OverrideParseException

from nmt.config import SearchConfig


def explain(error: Exception, schema: type) -> str:
    """One line that names the key and the remedy."""
    if isinstance(error, OverrideParseException):
        given = " ".join(error.override.split())
        return f"cannot read {given!r} as an override; write key=value, and quote special characters: 'key=\"a, b\"'"
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
        details = [
            line for line in lines if not re.match(r"full_key|object_type|Could not override|Error merging", line)
        ]
        return f"configuration key {name}: {' '.join(details[:1])}"
    if group := re.search(r"Could not find '([^']+)'", text):
        options = re.search(r"Available options in '[^']+':\s*(.*?)(?:Config search path|$)", text)
        return f"there is no configuration file {group[1]}" + (f"; there are: {options[1].strip()}" if options else "")
    return text


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
