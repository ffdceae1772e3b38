"""Messages of one line for the errors of Hydra and OmegaConf, with the nearest existing key."""

import dataclasses
import difflib
import re
import shlex
from typing import Any, get_args, get_type_hints

from hydra.errors import OverrideParseException

from nmt.config import SearchConfig
from nmt.config.flat_model import MOVED
from nmt.config.model import KINDS, side_paths


def explain(error: Exception, schema: type) -> str:
    """Return one line that names the key and the remedy."""
    if isinstance(error, OverrideParseException):
        override = " ".join(error.override.split())
        remedy = suggest_quotes(error.override) or "quote special characters: 'key=\"a, b\"'"
        return f"cannot read {override!r} as an override; write key=value, and {remedy}"
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in f"{error}\n{cause}".split("\n") if line.strip()]
    text = " ".join(dict.fromkeys(lines))
    if key := re.search(r"Could not override '([^']+)'|full_key: (?!object_type)(\S+)", text):
        return explain_key(key[1] or key[2], text, lines, schema)
    if group := re.search(r"Could not find '([^']+)'", text):
        options = re.search(r"Available options in '[^']+':\s*(.*?)(?:Config search path|$)", text)
        return f"there is no configuration file {group[1]}" + (f"; there are: {options[1].strip()}" if options else "")
    return f"configuration{file_note(text)}: {first_detail(lines)}" if "object_type=" in text else text


def explain_key(name: str, text: str, lines: list[str], schema: type) -> str:
    """Return one line about a key that does not exist or has a wrong value, from the error message and its lines."""
    place = file_note(text)
    if name == "model.architecture":
        return f"configuration key {name}{place} does not exist any more; give model/encoder=NAME model/decoder=NAME"
    if name in ("model.encoder", "model.decoder"):
        return f"configuration key {name}{place} has keys of its own; choose its kind as {name.replace('.', '/')}=NAME"
    if moved := MOVED.get(name.removeprefix("model.")):
        now = " and ".join(f"model.{key}" for key in moved)
        return f"configuration key {name}{place} does not exist any more; give {now}"
    known = dotted_keys(schema)
    if re.search(r"not in|Key '", text) and name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "; see --help"
        return f"unknown configuration key {name}{hint}"
    if "is not a ListConfig" in text:
        return (
            f"configuration key {name} takes a list{place}; write [VALUE], also for one value: {name}=[VALUE], or "
            f"{name.rpartition('.')[2]}: [VALUE] in a file"
        )
    side, _, key = name.rpartition(".")
    having = [kind for kind, config in side_paths(schema).get(side, {}).items() if key in config.__dataclass_fields__]
    if having and "Key '" in text:
        option = side.replace(".", "/")
        return f"configuration key {name}{place} is a key of {option}={'|'.join(having)} only; leave it out"
    if "Cannot convert 'list' to string" in text:
        further = f"further_{name}s"
        remedy = f"give the others as {further}=[VALUE]" if further in known else "run the command once per value"
        return f"configuration key {name}{place} takes one value, not a list; {remedy}"
    return f"configuration key {name}{place}: {first_detail(lines)}"


def file_note(text: str) -> str:
    """Return the file that an error message names, in brackets; empty if it names none."""
    file = re.search(r"In '([^']+)': \w+ raised while composing", text)
    return f" (in the file {file[1]}.yaml)" if file else ""


def first_detail(lines: list[str]) -> str:
    """Return the first line of an error message that describes the error itself."""
    noise = r"full_key|object_type|Could not override|To append to your config|Error merging|In '.* raised while"
    return next((line for line in lines if not re.match(noise, line)), "")


def suggest_quotes(override: str) -> str:
    """Return how to quote an override so that its value is read literally; empty if there is no key and value."""
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


def dotted_keys(schema: type, prefix: str = "") -> list[str]:
    """Return all dotted keys of a tree of dataclasses."""
    keys = []
    for name, hint in get_type_hints(schema).items():
        keys.append(prefix + name)
        kinds: list[Any] = [kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)]
        if name == "search" and hint == dict[str, Any]:  # overrides of the run's search, without a schema of their own
            kinds = [SearchConfig]
        kinds = [*KINDS.get(hint, {}).values()] or kinds
        for kind in kinds:
            keys.extend(key for key in dotted_keys(kind, f"{prefix}{name}.") if key not in keys)
    return keys
