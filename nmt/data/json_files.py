"""Reads JSON that anybody may have written."""

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
