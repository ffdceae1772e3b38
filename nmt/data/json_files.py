"""JSON files: ours are written whole or not at all, and anybody may have written those we read."""

import json
from pathlib import Path
from typing import Any

MOST_IN_JSON = 1 << 26  # bytes


def read_json(path: Path) -> Any:
    """What a file holds.

    Raises:
        ValueError: it is not JSON, nested too deeply, larger than `MOST_IN_JSON`, or has a number of too many digits.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        text = file.read(MOST_IN_JSON + 1)
    if len(text) > MOST_IN_JSON:
        raise ValueError(f"larger than {MOST_IN_JSON:,} bytes")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(path: Path, content: object) -> None:
    """Whoever is killed meanwhile leaves the old file or the new one.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)
