"""nmt-compare: runs side by side: scores with intervals and tests, costs, by length and frequency, sentences."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import CompareConfig, from_hydra
from nmt.lab.comparison import Comparison, gather, grids, show_grids, write_comparison
from nmt.lab.plots import draw_comparison

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    asked = from_hydra(CompareConfig, cfg)
    folder = None if asked.output is None else app.new_path(asked.output)
    systems, test = gather(asked.runs, asked.split, asked.metric, asked.testset)
    comparison = Comparison(systems, test, asked.metric)
    differences = comparison.differences(asked.sentences) if asked.sentences else []
    breakdowns = comparison.breakdowns(asked.buckets)
    try:
        show_grids(grids(comparison, breakdowns, differences))
        sys.stdout.flush()
    finally:  # files are written also where standard output fails, and shown where they cannot be written
        if folder is not None:
            folder.mkdir(parents=True)
            write_comparison(comparison, breakdowns, differences, folder)
            draw_comparison(comparison, breakdowns, folder / "compare.png")
            log.info("%s has compare.md, compare.json and compare.png", folder)


def with_runs_as_key(words: Sequence[str]) -> list[str]:
    """The command line with the words that name runs as `runs=[...]`.

    A folder may have an equals sign in its name, as hydra's multiruns can; what follows an option is its value.
    """
    runs: list[str] = []
    others: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        named = not word.startswith("-") and not before.startswith("-") and ("=" not in word or Path(word).is_dir())
        (runs if named else others).append(word)
    return others + ([f"runs={json.dumps(runs, ensure_ascii=False)}"] if runs else [])


def main() -> None:
    sys.argv[1:] = with_runs_as_key(sys.argv[1:])
    app.run("compare", command)


if __name__ == "__main__":
    main()
