"""What is asked of the files of a run, which may come from anybody, before they are believed."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from nmt.data import read_all
from nmt.errors import UserError

CHANGEABLE = ("train.", "optim.", "search.")
"""What the keys begin with that a continuation of a run may change."""


def refuse_links_out(folder: Path) -> None:
    """What is read in a run or a sweep, and written to it, is in it.

    wandb's own folder, which nothing here reads, is left alone; but it is a folder, and no link to one.

    Raises:
        UserError: it holds a link that leads out of it, or what is neither file nor folder.
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
    """Whether all that is read of `run.json` has the types that are written."""
    return (
        isinstance(record["identity"], str)
        and isinstance(record["sha256"], dict)
        and "config.yaml" in record["sha256"]
        and isinstance(record["starts"], list)
        and all(isinstance(start, dict) and is_start(start) for start in record["starts"])
        and all(map(is_number, record.get("facts", {}).values()))
        and all(key.startswith(CHANGEABLE) and is_plain(value) for key, value in record.get("changed", {}).items())
    )


def is_plain(value: object) -> bool:
    """Whether a changed setting is a plain value, or a list of such; text must not hold a reference."""
    if isinstance(value, list):
        return not any(isinstance(each, list) for each in value) and all(map(is_plain, value))
    return value is None or is_number(value) or isinstance(value, bool) or (isinstance(value, str) and "$" not in value)


def is_start(start: dict[str, Any]) -> bool:
    """Whether what is known of a start has the types that are written."""
    words = [start.get("overrides") or [], start.get("command") or []]
    return all(isinstance(each, list) and all(isinstance(word, str) for word in each) for each in words) and isinstance(
        start.get("libraries") or {}, dict
    )


def is_number(value: object) -> bool:
    """Whether it is one, of a size that a computation can take."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a metrics.jsonl. What is no number is left out, and so is a line that is no object or has no step,
    such as half a line at the end.

    Raises:
        UserError: it cannot be read as text, or has more than fits into memory.
    """
    found = []
    for line in read_all(path) if path.is_file() else []:
        with suppress(ValueError, RecursionError):
            metrics = json.loads(line)
            if isinstance(metrics, dict) and is_number(metrics.get("step")):
                found.append({key: value for key, value in metrics.items() if is_number(value)})
    return found
