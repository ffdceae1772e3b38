"""Command lines on which runs are words without a key."""

import json
from collections.abc import Sequence
from pathlib import Path


def with_runs_as_key(words: Sequence[str]) -> list[str]:
    """Return the command line with the words that name runs collected in `runs=[...]`.

    The name of a folder can contain an equals sign, as in Hydra's multiruns. The word after an option is its value.
    """
    runs: list[str] = []
    others: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        is_run = not word.startswith("-") and not before.startswith("-") and ("=" not in word or Path(word).is_dir())
        (runs if is_run else others).append(word)
    return others + ([f"runs={json.dumps(runs, ensure_ascii=False)}"] if runs else [])
