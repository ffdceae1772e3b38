"""Tables of the questions: the trainings of each row, and the choice of its learning rate on the validation set."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import Training, compose_train
from nmt.config import Question, QuestionPart, Row
from nmt.errors import UserError
from nmt.lab.questions.measure import chosen_rate


@dataclass(frozen=True)
class TableRow:
    """Row of a table with its possible trainings."""

    row: Row
    by_rate: dict[float, list[Training]]
    """Training of each seed by learning rate. A rate that the settings give is the only one."""

    @property
    def candidates(self) -> list[Training]:
        """Trainings of the first seed that choose the learning rate; empty if the settings give it."""
        return [trainings[0] for trainings in self.by_rate.values()] if len(self.by_rate) > 1 else []

    @property
    def possible(self) -> list[Training]:
        """Trainings of all seeds with all learning rates."""
        return [training for trainings in self.by_rate.values() for training in trainings]

    def valid_bleu(self, measurements: Measurements) -> dict[float, float]:
        """Return the validation BLEU of the measured candidates by learning rate; empty if the settings give it."""
        if not self.candidates:
            return {}
        found = {rate: measurements.of(trainings[0]) for rate, trainings in self.by_rate.items()}
        return {rate: float(one.valid["bleu"]["score"]) for rate, one in found.items() if one is not None}

    def seeds(self, measurements: Measurements) -> list[Training]:
        """Return the training of each seed; none while the learning rate is not chosen."""
        if not self.candidates:
            return self.possible
        valid_bleu = self.valid_bleu(measurements)
        return self.by_rate[chosen_rate(valid_bleu)] if len(valid_bleu) == len(self.by_rate) else []

    def known(self, measurements: Measurements) -> list[Training]:
        """Return the trainings that are known to be needed."""
        return [*self.candidates, *self.seeds(measurements)]

    def pending(self, measurements: Measurements) -> list[Training]:
        """Return one training for each that follows when the learning rate is chosen, with the first rate instead."""
        return [] if self.seeds(measurements) else next(iter(self.by_rate.values()))[1:]


Table = list[TableRow]


def tables_of(question: Question, file: str) -> list[Table]:
    """Return the tables of a question, one per part.

    `file` is the file of the question, for messages.

    Raises:
        UserError: the overrides of a row do not compose.
    """
    tables = []
    for part in question.parts:
        table: Table = []
        for row in part.rows:
            try:
                table.append(table_row(question, part, row))
            except UserError as error:
                raise UserError(f"{file}, row {row.label!r}: {error}") from None
        tables.append(table)
    return tables


def table_row(question: Question, part: QuestionPart, row: Row) -> TableRow:
    """Return a row with its possible trainings."""
    overrides = (*part.overrides, *row.overrides)
    config = compose_train(overrides)
    minutes = part.minutes if row.minutes is None else row.minutes
    by_rate = {}
    for rate in part.rates_of(row) or [config.optim.learning_rate]:
        tuned = replace(config, optim=replace(config.optim, learning_rate=rate))
        words = (*overrides, *([f"optim.learning_rate={rate:g}"] if part.learning_rates else []))
        by_rate[rate] = [
            Training(replace(tuned, seed=seed), words, minutes, tuple(row.search)) for seed in question.seeds
        ]
    return TableRow(row, by_rate)


def possible_rows(tables: Iterable[Table]) -> list[Training]:
    """Return all trainings with their searches that a choice of learning rates can need."""
    return distinct_rows(one for table in tables for row in table for one in row.possible)


def rows_of(tables: Iterable[Table], measurements: Measurements) -> list[Training]:
    """Return the known trainings with their searches in order, without duplicates."""
    return distinct_rows(one for table in tables for row in table for one in row.known(measurements))


def identity(training: Training) -> tuple[str, str]:
    """Return what distinguishes two rows of one seed: training and search."""
    return training.key, training.scores


def distinct_rows(trainings: Iterable[Training]) -> list[Training]:
    """Return the trainings with their searches in order, each combination once."""
    return list({identity(training): training for training in trainings}.values())
