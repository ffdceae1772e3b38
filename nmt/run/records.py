"""Checks of the files of a run, which may come from an untrusted source."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from nmt.data import read_all
from nmt.errors import UserError

CHANGEABLE = ("train.", "optim.", "search.")
"""Prefixes of the keys that may change when a run is continued."""


def refuse_links_out(folder: Path) -> None:
    """Check that no path in a run or a sweep leads out of it.

    The contents of the wandb folder are not checked, because nothing here reads them.

    Raises:
        UserError: the folder holds a link that leads out of it, or something that is neither a file nor a folder.
    """
    top = folder.resolve()
    for inner, folders, files in os.walk(folder):
        for path in (Path(inner, name) for name in (*folders, *files)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(top):
                raise UserError(f"{path} points out of the run directory; put a copy of what it points to there")
            if path.exists() and not path.is_file() and not path.is_dir():
                raise UserError(f"{path} is neither a file nor a folder; remove it from the run directory")
        if "wandb" in folders and (Path(inner) == folder or "run.json" in files):
            folders.remove("wandb")


def well_formed(record: dict[str, Any]) -> bool:
    """Return whether the values of `run.json` have the types that training writes."""
    return (
        isinstance(record["identity"], str)
        and isinstance(record["sha256"], dict)
        and "config.yaml" in record["sha256"]
        and isinstance(record["starts"], list)
        and all(isinstance(start, dict) and is_start(start) for start in record["starts"])
        and all(map(is_number, record.get("facts", {}).values()))
        and isinstance(record.get("adapted", {}), dict)
        and all(key.startswith(CHANGEABLE) and is_plain(value) for key, value in record.get("changed", {}).items())
    )


def is_plain(value: object) -> bool:
    """Return whether a changed setting is a plain value or a list of plain values; text must not hold a reference."""
    if isinstance(value, list):
        return not any(isinstance(item, list) for item in value) and all(map(is_plain, value))
    return value is None or is_number(value) or isinstance(value, bool) or (isinstance(value, str) and "$" not in value)


def is_start(start: dict[str, Any]) -> bool:
    """Return whether the record of a start has the types that training writes."""
    words = [start.get("overrides") or [], start.get("command") or []]
    return all(
        isinstance(items, list) and all(isinstance(word, str) for word in items) for items in words
    ) and isinstance(start.get("libraries") or {}, dict)


def is_number(value: object) -> bool:
    """Return whether a value is a number that fits into 64 bits."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a metrics.jsonl.

    Values that are not numbers are left out, and so are lines that are not objects with a step, such as an incomplete
    last line.

    Raises:
        UserError: the file cannot be read as text, or does not fit into memory.
    """
    lines = []
    for line in read_all(path) if path.is_file() else []:
        with suppress(ValueError, RecursionError):
            metrics = json.loads(line)
            if isinstance(metrics, dict) and is_number(metrics.get("step")):
                lines.append({key: value for key, value in metrics.items() if is_number(value)})
    return lines
