"""JSON files, written atomically and read with limits, because files of a run may come from anyone."""

import json
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 1 << 26


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ValueError: the file is not JSON, is nested too deeply, is larger than `MAX_JSON_BYTES`, or has a number of too
            many digits.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"larger than {MAX_JSON_BYTES:,} bytes")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(path: Path, content: object, compact: bool = False) -> None:
    """Write a JSON file atomically: a process killed meanwhile leaves the old file or the new one.

    `compact` leaves out line breaks and spaces.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_suffix(".tmp")
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
    temporary.write_text(json.dumps(content, ensure_ascii=False, **layout), encoding="utf-8")
    temporary.replace(path)
