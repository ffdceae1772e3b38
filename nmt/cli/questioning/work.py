"""Missing work of the questions: trainings, translations and measurements of speed, their order and estimated time."""

from collections.abc import Mapping, Sequence
from statistics import mean, median

from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import SPEED_SECONDS, SPLITS, START_SECONDS, TRANSLATION_SECONDS, Runs, Training
from nmt.cli.questioning.tables import Table, rows_of, trainings_of
from nmt.processor import available_cores


class QuestionWork:
    """Work that the rows of some questions need. A row with a measurement file needs none but its speed."""

    def __init__(self, tables: Mapping[str, Sequence[Table]], runs: Runs, measurements: Measurements) -> None:
        """`tables` has the tables of each question by its name."""
        self.runs = runs
        self.measurements = measurements
        self.tables = [table for parts in tables.values() for table in parts]
        self.rows = rows_of(self.tables)
        self.trainings = trainings_of(self.tables)
        self.by_question = {name: rows_of(parts) for name, parts in tables.items()}
        self.missing_rows = [row for row in self.rows if not measurements.measured(row)]
        needed = {row.key for row in self.missing_rows if not runs.trained(row)}
        self.missing_trainings = [training for training in self.trainings if training.key in needed]
        self.scale = self.measured_scale()
        self.seconds = self.estimate()

    @property
    def shown(self) -> list[Training]:
        """Rows of the tables with their seeds, without the trainings that only choose a learning rate."""
        seeds = [seed for table in self.tables for row in table for seed in row.seeds]
        return list({(seed.key, seed.scores): seed for seed in seeds}.values())

    @property
    def later(self) -> int:
        """Number of trainings that follow when the learning rates of their rows are chosen."""
        return sum(row.later for table in self.tables for row in table)

    @property
    def later_seconds(self) -> float:
        """Estimated core seconds of the trainings that follow when the learning rates of their rows are chosen."""
        rows = [row for table in self.tables for row in table]
        return sum(
            row.later * (60 * row.trainings[0].minutes * self.scale + START_SECONDS) for row in rows if row.later
        )

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

    def finished(self) -> list[Training]:
        """Return the trainings that are not missing."""
        missing = {training.key for training in self.missing_trainings}
        return [training for training in self.trainings if training.key not in missing]

    def measured_scale(self) -> float:
        """Return the median ratio of measured to estimated time over the finished trainings; 1 if there are none."""
        return median([self.spent(training) / (60 * training.minutes) for training in self.finished()] or [1.0])

    def estimate(self) -> dict[str, float]:
        """Return the estimated remaining core seconds of each missing training by key.

        The estimate is the mean over the finished seeds of the same row. If there are none, it is the estimate of the
        question's file times `scale`.
        """
        finished = self.finished()
        seconds = {}
        for training in self.missing_trainings:
            seeds = [self.spent(other) for other in finished if other.overrides == training.overrides]
            expected = mean(seeds) if seeds else 60 * training.minutes * self.scale
            seconds[training.key] = max(expected - self.spent(training), 0.0) + START_SECONDS
        return seconds

    def in_order(self) -> list[Training]:
        """Return the rows without a measurement, those of the question with the least remaining time first.

        Work that an earlier question does as well is not counted again.
        """
        left, done, ordered = dict(self.by_question), set[str](), list[Training]()
        while left:
            name = min(left, key=lambda name: self.remaining([row for row in left[name] if row.key not in done]))
            rows = left.pop(name)
            ordered += [row for row in rows if not self.measurements.measured(row)]
            done |= {row.key for row in rows}
        return list({(row.key, row.scores): row for row in ordered}.values())

    def remaining(self, rows: Sequence[Training]) -> float:
        """Return the estimated core seconds that the rows need."""
        trainings = sum(self.seconds.get(key, 0.0) for key in {row.key for row in rows})
        return trainings + TRANSLATION_SECONDS * len(self.missing_translations(rows))

    def describe(self) -> str:
        """Return a line with the numbers of missing trainings, translations and speeds, and the estimated time."""
        searches = [(row, split) for row in self.rows for split in SPLITS if row.search or split != "test"]
        untranslated = self.missing_translations(self.rows)
        shown = self.shown
        unmeasured = [row for row in shown if not self.measurements.speed(row)]
        if not self.missing_rows and not unmeasured and not self.later:
            return "nothing is missing"
        cores = available_cores()
        of_a_core = sum(self.seconds.values()) + self.later_seconds + TRANSLATION_SECONDS * len(untranslated)
        hours = (of_a_core / cores + SPEED_SECONDS * len(unmeasured)) / 3600
        rough = f", translations estimated at {TRANSLATION_SECONDS:.0f} s of one core each" if untranslated else ""
        missing, trainings = (len(each) + self.later for each in (self.missing_trainings, self.trainings))
        return (
            f"{missing} of {trainings} trainings, {len(untranslated)} of {len(searches)} "
            f"translations and {len(unmeasured)} of {len(shown)} measurements of speed are missing: about "
            f"{hours:.1f} hours on {cores} core{'s' * (cores > 1)}{rough}"
        )
