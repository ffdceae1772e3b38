"""Translation speed of the trained models, measured one after the other on an otherwise idle machine."""

import logging
import os
import time
from collections.abc import Sequence

from omegaconf import OmegaConf

from nmt.cli.questioning.runs import Runs, Training
from nmt.config import MachineConfig, SearchConfig, from_hydra
from nmt.data import read_json, write_json
from nmt.decoding import load_translator
from nmt.run import provenance
from nmt.runtime import setup_runtime

WARM_UP = 64
"""Number of sentences translated before the measurement, so that memory is already allocated."""
BUSY = 0.3
"""Load per core above which another process is assumed to run."""

log = logging.getLogger(__name__)


def measure_speeds(rows: Sequence[Training], runs: Runs) -> None:
    """Translate the test set on all cores with the search of each row that is not measured, and record the time."""
    missing = [row for row in rows if runs.translated(row) and not runs.speed_path(row).is_file()]
    load = os.getloadavg()[0]
    if missing and load > BUSY * (os.cpu_count() or 1):
        log.warning(
            "the load is %.1f: another process runs or ran a minute ago, so that measurements are too slow", load
        )
    for number, row in enumerate(missing, 1):
        speed = measure_speed(row, runs)
        path = runs.speed_path(row)
        path.parent.mkdir(exist_ok=True)
        write_json(path, speed | provenance([]))
        rate = speed["sentences_per_second"]
        log.info("%d of %d: %s, %s: %.0f sentences/s", number, len(missing), row.key, row.scores, rate)


def measure_speed(training: Training, runs: Runs) -> dict[str, float]:
    run = runs.run(training)
    translator, _ = load_translator(run, "best", search_of(training, runs), setup_runtime(MachineConfig()).device)
    lines = run.text("test")[0]
    translator.translate(lines[:WARM_UP])
    begun = time.perf_counter()
    translator.translate(lines)
    seconds = time.perf_counter() - begun
    return {"sentences": len(lines), "seconds": seconds, "sentences_per_second": len(lines) / seconds}


def search_of(training: Training, runs: Runs) -> SearchConfig:
    """Return the search that made the row's scores."""
    record = read_json(runs.scores_path(training))
    return from_hydra(SearchConfig, OmegaConf.create(record["made_by"]["search"]))
