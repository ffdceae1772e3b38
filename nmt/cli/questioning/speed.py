"""How fast the trained models translate: measured apart, one after the other, while nothing else should run."""

import logging
import os
import time
from collections.abc import Sequence

from omegaconf import OmegaConf

from nmt.cli.questioning.runs import Runs, Table, Training, rows_of
from nmt.config import MachineConfig, SearchConfig, from_hydra
from nmt.data import read_json, write_json
from nmt.decoding import load_translator
from nmt.run import provenance
from nmt.runtime import setup_runtime

WARM_UP = 64
"""Sentences that are translated before, so that no memory is fetched for the first time in what is measured."""
BUSY = 0.3
"""Load of a core beyond which something else runs."""

log = logging.getLogger(__name__)


def without_speed(tables: Sequence[Table], runs: Runs) -> list[Training]:
    """The rows that are translated and not measured."""
    return [each for each in rows_of(tables) if runs.translated(each) and not runs.speed_path(each).is_file()]


def measure_speeds(tables: Sequence[Table], runs: Runs) -> None:
    """Translates the test set of each with all cores, and notes how long it took."""
    missing = without_speed(tables, runs)
    load = os.getloadavg()[0]
    if missing and load > BUSY * (os.cpu_count() or 1):
        log.warning(
            "the load is %.1f: something else runs, or did a minute ago, and what is measured may be slow", load
        )
    for number, each in enumerate(missing, 1):
        found = speed(each, runs)
        path = runs.speed_path(each)
        path.parent.mkdir(exist_ok=True)
        write_json(path, found | provenance([]))
        rate = found["sentences_per_second"]
        log.info("%d of %d: %s, %s: %.0f sentences a second", number, len(missing), each.key, each.scores, rate)


def speed(training: Training, runs: Runs) -> dict[str, float]:
    run = runs.run(training)
    translator, _ = load_translator(run, "best", search_of(training, runs), setup_runtime(MachineConfig()).device)
    lines = run.text("test")[0]
    translator.translate(lines[:WARM_UP])
    begun = time.perf_counter()
    translator.translate(lines)
    seconds = time.perf_counter() - begun
    return {"sentences": len(lines), "seconds": seconds, "sentences_per_second": len(lines) / seconds}


def search_of(training: Training, runs: Runs) -> SearchConfig:
    """The search that made the row's scores."""
    record = read_json(runs.scores_path(training))
    return from_hydra(SearchConfig, OmegaConf.create(record["made_by"]["search"]))
