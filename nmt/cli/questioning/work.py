"""Missing work of the questions: trainings, translations and measurements of speed, their order and estimated time."""

from collections.abc import Mapping, Sequence
from statistics import mean, median

from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import SPEED_SECONDS, SPLITS, START_SECONDS, TRANSLATION_SECONDS, Runs, Training
from nmt.cli.questioning.tables import Table, distinct_rows, identity, rows_of
from nmt.processor import available_cores


class QuestionWork:
    """Work that the rows of some questions need. A row with a measurement file needs none but its speed."""

    def __init__(self, tables: Mapping[str, Sequence[Table]], runs: Runs, measurements: Measurements) -> None:
        """`tables` has the tables of each question by its name."""
        self.runs = runs
        self.measurements = measurements
        self.tables = tables
        self.all_tables = [table for parts in tables.values() for table in parts]
        self.missing_rows: list[Training] = []
        self.update()

    def update(self) -> list[Training]:
        """Read the state of runs and measurements again, and return the rows that have become missing.

        Those are the other seeds of a row whose learning rate is chosen now, and the other searches of a training that
        was run again.
        """
        before = {identity(row) for row in self.missing_rows}
        self.rows = rows_of(self.all_tables, self.measurements)
        self.trainings = list({row.key: row for row in self.rows}.values())
        self.missing_rows = [row for row in self.rows if not self.measurements.measured(row)]
        needed = {row.key for row in self.missing_rows if not self.runs.trained(row)}
        self.missing_trainings = [training for training in self.trainings if training.key in needed]
        self.seconds = self.estimate()
        return [row for row in self.missing_rows if identity(row) not in before]

    @property
    def shown(self) -> list[Training]:
        """Rows of the tables with their seeds, without the trainings that only choose a learning rate."""
        rows = [row for table in self.all_tables for row in table]
        return distinct_rows(seed for row in rows for seed in row.seeds(self.measurements))

    def pending(self, tables: Sequence[Table]) -> list[Training]:
        """Return one training for each that follows when the learning rate of its row is chosen."""
        rows = [row for table in tables for row in table]
        pending = {one.key: one for row in rows for one in row.pending(self.measurements)}
        return [one for one in pending.values() if not self.measurements.measured(one) and not self.runs.trained(one)]

    def missing_translations(self, rows: Sequence[Training]) -> list[tuple[Training, str]]:
        """Return the translations that rows without a measurement need and that their training does not make."""
        return [
            (row, split)
            for row in rows
            if not self.measurements.measured(row)
            for split in SPLITS
            if not self.runs.scored(row, split) and (row.search or split != "test" or self.runs.trained(row))
        ]

    def spent(self, training: Training) -> float:
        """Return the processor seconds of a training so far."""
        measurement = self.measurements.any_of(training)
        return self.runs.spent(training) if measurement is None else measurement.spent

    def estimate(self) -> dict[str, float]:
        """Return the estimated remaining core seconds of each missing or pending training by key.

        The estimate is the mean over the finished seeds of the same row. If there are none, it is the estimate of the
        question's file, scaled by the median ratio of measured to estimated time over the finished trainings.
        """
        missing = {training.key for training in self.missing_trainings}
        finished = [training for training in self.trainings if training.key not in missing]
        spent = {training.key: self.spent(training) for training in finished}
        scale = median([spent[training.key] / (60 * training.minutes) for training in finished] or [1.0])
        seconds = {}
        for training in [*self.missing_trainings, *self.pending(self.all_tables)]:
            seeds = [spent[other.key] for other in finished if other.overrides == training.overrides]
            expected = mean(seeds) if seeds else 60 * training.minutes * scale
            seconds[training.key] = max(expected - self.spent(training), 0.0) + START_SECONDS
        return seconds

    def in_order(self) -> list[Training]:
        """Return the rows without a measurement, those of the question with the least remaining time first.

        Work that an earlier question does as well is not counted again.
        """
        left, done, ordered = dict(self.tables), set[str](), list[Training]()
        while left:
            name = min(left, key=lambda name: self.remaining(left[name], done))
            rows = rows_of(left.pop(name), self.measurements)
            ordered += [row for row in rows if not self.measurements.measured(row)]
            done |= {row.key for row in rows}
        return distinct_rows(ordered)

    def remaining(self, tables: Sequence[Table], done: set[str]) -> float:
        """Return the estimated core seconds that the tables need besides the trainings `done`."""
        rows = [row for row in rows_of(tables, self.measurements) if row.key not in done]
        pending = self.pending(tables)
        trainings = sum(self.seconds.get(key, 0.0) for key in {row.key for row in [*rows, *pending]})
        return trainings + TRANSLATION_SECONDS * (len(self.missing_translations(rows)) + len(pending))

    def describe(self) -> str:
        """Return a line with the numbers of missing trainings, translations and speeds, and the estimated time."""
        pending = len(self.pending(self.all_tables))
        searches = [(row, split) for row in self.rows for split in SPLITS if row.search or split != "test"]
        untranslated = len(self.missing_translations(self.rows)) + pending
        shown = self.shown
        unmeasured = len([row for row in shown if not self.measurements.speed(row)]) + pending
        if not self.missing_rows and not unmeasured:
            return "nothing is missing"
        cores = available_cores()
        of_a_core = sum(self.seconds.values()) + TRANSLATION_SECONDS * untranslated
        hours = (of_a_core / cores + SPEED_SECONDS * unmeasured) / 3600
        rough = f", translations estimated at {TRANSLATION_SECONDS:.0f} s of one core each" if untranslated else ""
        return (
            f"{len(self.missing_trainings) + pending} of {len(self.trainings) + pending} trainings, {untranslated} of "
            f"{len(searches) + pending} translations and {unmeasured} of {len(shown) + pending} measurements of speed "
            f"are missing: about {hours:.1f} hours on {cores} core{'s' * (cores > 1)}{rough}"
        )
