"""The folder of measurement files: which rows are measured, and which files belong to no present row."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nmt.cli.questioning.runs import SPLITS, Runs, Training, key_of
from nmt.config import SHORT_MINUTES, Config, from_hydra
from nmt.errors import UserError
from nmt.lab.questions.measurement import Measurement, SetLengths, measure_run, read_measurement, write_measurement
from nmt.run import corpus_settings

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""Time before every training."""


class Measurements:
    """The folder of measurement files. Its contents are read once, at the first access."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def files(self) -> dict[Path, Measurement]:
        """All measurements by the path of their file.

        Raises:
            UserError: a file is damaged.
        """
        sets: dict[str, SetLengths] = {}
        return {path: read_measurement(path, sets) for path in sorted(self.folder.glob("*.json"))}

    @cached_property
    def paths(self) -> dict[tuple[str, str], Path]:
        """Paths by the key that the training has in the present version, and the name of the scores.

        Of two files of one row, the one with the present key in its name is taken.
        """
        paths: dict[tuple[str, str], Path] = {}
        keys: dict[str, str | None] = {}
        for path, measurement in self.files.items():
            text = repr((measurement.settings, measurement.seed))
            if text not in keys:
                keys[text] = present_key(measurement)
            key = keys[text]
            row = (key or measurement.key, measurement.scores_name)
            if key is not None and (row not in paths or measurement.key == key):
                paths[row] = path
        return paths

    @cached_property
    def begun(self) -> dict[str, datetime]:
        """Start of the last training that was measured, by its key."""
        begun: dict[str, datetime] = {}
        for (key, _), path in self.paths.items():
            begun[key] = max(begun.get(key, EARLIEST), start_of(self.files[path]))
        return begun

    def of(self, training: Training) -> Measurement | None:
        """Return the measurement of a row with one seed; None if it is not measured.

        A measurement does not count if the training was run again for another search, because all searches of a
        training have to be measured with the same weights.
        """
        path = self.paths.get((training.key, training.scores))
        if path is None or start_of(self.files[path]) < self.begun[training.key]:
            return None
        # The recorded key is another one if configurations have got more keys since.
        return replace(self.files[path], key=training.key)

    def measured(self, training: Training) -> bool:
        return self.of(training) is not None

    def any_of(self, training: Training) -> Measurement | None:
        """Return a measurement of a training with any search; None if there is none."""
        rows = [path for (key, _), path in self.paths.items() if key == training.key]
        return self.files[rows[0]] if rows else None

    def speed(self, training: Training) -> dict[str, Any]:
        measurement = self.of(training)
        return {} if measurement is None else measurement.speed

    def stale(self, rows: Iterable[Training]) -> list[str]:
        """Return the names of the files that belong to none of the rows, because a setting or a question changed."""
        present = {self.paths.get((row.key, row.scores)) for row in rows}
        return [path.name for path in self.files if path not in present]

    def store(self, training: Training, runs: Runs) -> None:
        """Write the file of a row whose run is finished and translated; keep the scores of an existing file.

        An existing file gets the speed if it lacks it. It is replaced if its training was run again later.

        Raises:
            UserError: scores or translations of the run are damaged.
        """
        before, speed, run = self.of(training), runs.speed(training), runs.run(training)
        if before is not None and time_of(run.record()["starts"][0]) > start_of(before):
            before = None
        if before is not None and (before.speed or not speed):
            return
        made = measure_run(
            run,
            training.key,
            settings_of(training.config),
            list(training.overrides),
            list(training.search),
            {split: training.scores_of(split) for split in SPLITS},
            speed,
        )
        if before is not None:
            if any(not (before.tables[name] == table).all() for name, table in made.tables.items()):
                return  # the speed is that of another model
            made = replace(before, speed=made.speed)
        path = write_measurement(made, self.folder)
        self.files[path] = made
        self.paths[training.key, training.scores] = path
        self.begun[training.key] = max(self.begun.get(training.key, EARLIEST), start_of(made))

    def store_finished(self, rows: Sequence[Training], runs: Runs) -> int:
        """Write the files of all rows whose runs are translated, and return the number of new ones."""
        missing = [row for row in rows if runs.translated(row)]
        before = sum(map(self.measured, missing))
        for row in missing:
            self.store(row, runs)
        return sum(map(self.measured, missing)) - before

    def longer(self, trainings: Sequence[Training]) -> dict[str, float]:
        """Return the core minutes, by command, of the trainings over the limit that the page states."""
        found = [(row, measurement) for row in trainings if (measurement := self.any_of(row)) is not None]
        minutes = {f"{' '.join(row.overrides)} seed={row.config.seed}": one.spent / 60 for row, one in found}
        return {command: spent for command, spent in minutes.items() if spent > SHORT_MINUTES}


def start_of(measurement: Measurement) -> datetime:
    """Return the time at which the training began."""
    return time_of(measurement.starts[0])


def time_of(start: dict[str, Any]) -> datetime:
    """Return the time of a recorded start, which is in UTC unless it names its time zone."""
    time = datetime.fromisoformat(str(start["time"]))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def settings_of(config: Config) -> dict[str, Any]:
    """Return the settings that a training's key is computed from, as plain values without locations and the seed."""
    train = replace(config.train, resume=None, resume_step=None)
    settings = asdict(replace(config, train=train, machine=replace(config.machine, threads=None)))
    del settings["seed"], settings["tracking"]
    return settings | {"data": corpus_settings(config.data)}


def present_key(measurement: Measurement) -> str | None:
    """Return the key that the training has in the present version; None if the version cannot read its settings."""
    settings, data = measurement.settings, measurement.settings["data"]
    if not any(data.get(name) for name in ("download", "phrasebook", "strings")):
        settings = settings | {"data": data | {"root": "corpus"}}  # its location is not recorded, but is required
    try:
        config = from_hydra(Config, OmegaConf.create(settings), {"seed": measurement.seed})
    except UserError:
        return None
    return key_of(config)
