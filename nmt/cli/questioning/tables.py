"""Tables of the questions: the trainings of each row, and the choice of its learning rate on the validation set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import Training, compose_train
from nmt.config import Question, QuestionPart, Row
from nmt.errors import UserError
from nmt.lab.questions.measure import chosen_rate


@dataclass(frozen=True)
class TableRow:
    """Row of a table with its trainings."""

    row: Row
    seeds: list[Training]
    """Training of each seed; empty until the learning rate is chosen."""
    candidates: list[Training]
    """Trainings of the first seed, one for each learning rate of the table; empty if the rate is given."""
    valid: dict[float, float]
    """Validation BLEU of the measured candidates by learning rate."""
    later: int = 0
    """Number of trainings that follow when the learning rate is chosen."""

    @property
    def trainings(self) -> list[Training]:
        """All trainings that are known so far."""
        return [*self.candidates, *self.seeds]


Table = list[TableRow]


def tables_of(question: Question, file: str, measurements: Measurements) -> list[Table]:
    """Return the tables of a question, one per part.

    Args:
        question: the question.
        file: path of its file, for messages.
        measurements: measurements so far, from which the learning rates are chosen.

    Raises:
        UserError: the overrides of a row do not compose.
    """
    tables = []
    for part in question.parts:
        table: Table = []
        for row in part.rows:
            try:
                table.append(table_row(part, row, question.seeds, measurements))
            except UserError as error:
                raise UserError(f"{file}, row {row.label!r}: {error}") from None
        tables.append(table)
    return tables


def table_row(part: QuestionPart, row: Row, seeds: Sequence[int], measurements: Measurements) -> TableRow:
    """Return a row with its trainings; those of the other seeds are known when all candidates are measured."""
    if not part.rates:
        return TableRow(row, [training_of(part, row, seed) for seed in seeds], [], {})
    candidates = {rate: training_of(part, row, seeds[0], rate) for rate in part.rates}
    found = {rate: measurements.of(candidate) for rate, candidate in candidates.items()}
    valid = {rate: float(one.valid["bleu"]["score"]) for rate, one in found.items() if one is not None}
    if len(valid) < len(candidates):
        return TableRow(row, [], list(candidates.values()), valid, len(seeds) - 1)
    rate = chosen_rate(valid)
    return TableRow(row, [training_of(part, row, seed, rate) for seed in seeds], list(candidates.values()), valid)


def training_of(part: QuestionPart, row: Row, seed: int, rate: float | None = None) -> Training:
    """Return the training of a row with one seed, and with a learning rate if one is given."""
    overrides = (*part.overrides, *row.overrides, *([] if rate is None else [f"optim.learning_rate={rate:g}"]))
    minutes = part.minutes if row.minutes is None else row.minutes
    return Training(replace(compose_train(overrides), seed=seed), overrides, minutes, tuple(row.search))


def trainings_of(tables: Iterable[Table]) -> list[Training]:
    """Return all trainings in order, without duplicates."""
    return list({training.key: training for table in tables for row in table for training in row.trainings}.values())


def rows_of(tables: Iterable[Table]) -> list[Training]:
    """Return all trainings with their searches in order, without duplicates."""
    trainings = [training for table in tables for row in table for training in row.trainings]
    return list({(training.key, training.scores): training for training in trainings}.values())
