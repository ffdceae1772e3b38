"""Configuration of the command `questions`, and schema of a question file in conf/questions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number

SHORT_MINUTES = 4
"""Duration of a short training on one core, in minutes. The page lists the longer ones."""
VERDICTS = ("better", "worse", "undecided")
"""Outcomes of a comparison with the first row."""


@dataclass
class Row:
    """Row of a table: one system."""

    label: str
    """Unique name in the table."""
    overrides: list[str] = field(default_factory=list)
    """Training settings in addition to those of the table, as on the command line of `train`."""
    search: list[str] = field(default_factory=list)
    """Search settings, as on the command line of `evaluate`. Rows that share a training differ in these only."""
    minutes: float | None = None
    """Duration of the training in minutes, where it differs from `minutes` of the table."""
    learning_rates: list[float] = field(default_factory=list)
    """Learning rates to choose from in addition to those of the table, where the best of those is at the edge."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "minutes", 0)


@dataclass
class Literature:
    """Finding of a paper about two rows, one of which is the first row of the table."""

    says: str
    """The finding and its source. Only its direction is tested."""
    better: str
    """Label of the row that the paper finds better."""
    worse: str
    """Label of the other row."""


@dataclass
class Claim:
    """Results that an answer was written from."""

    best: str | None
    """Row with the highest mean validation BLEU; null: not measured when the answer was written."""
    verdicts: dict[str, str]
    """Verdict on each row but the first, by test BLEU: better, worse or undecided."""
    bleu: dict[str, float]
    """Mean test BLEU of each row, to two decimal places."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for label, verdict in self.verdicts.items():
            if verdict not in VERDICTS:
                yield "verdicts", f"of {label} is {verdict!r}; allowed: {', '.join(VERDICTS)}"


@dataclass
class QuestionPart:
    """Table: a first row, and rows that are tested against it."""

    name: str
    """Subject of the table, for questions with several tables."""
    overrides: list[str]
    """Training settings shared by all rows."""
    rows: list[Row]
    """At least two rows."""
    minutes: float
    """Estimated duration of each training in minutes, on one core while another training uses a second core. Measured
    durations replace the estimate."""
    learning_rates: list[float] = field(default_factory=list)
    """Learning rates to choose from for each row: the first seed is trained with each of them, and the other seeds with
    the one of the highest validation BLEU. Empty: the learning rate of the settings."""
    by_length: bool = False
    """Show BLEU by source length as well."""
    by_cost: bool = False
    """Draw BLEU against the core minutes of training in a picture of its own."""
    literature: list[Literature] = field(default_factory=list)
    """Findings of papers. The page reports where the results here disagree."""
    claim: Claim | None = None
    """Results behind the answer; null until an answer is written."""

    def rates_of(self, row: Row) -> list[float]:
        """Return the learning rates that a row is trained with; empty: that of the settings."""
        return [*self.learning_rates, *row.learning_rates]

    def problems(self) -> Iterator[tuple[str, str]]:
        labels = [row.label for row in self.rows]
        if len(labels) < 2:
            yield "rows", f"has {len(labels)} rows; a table needs at least two"
        for row in self.rows:
            if labels.count(row.label) > 1:
                yield "rows", f"has the label {row.label!r} twice; give each row its own"
        yield from number(self, "minutes", 0)
        rates = self.learning_rates
        for row in self.rows:
            every = [*rates, *row.learning_rates]
            if row.learning_rates and (not rates or len(set(every)) < len(every) or min(every) <= 0):
                said = f"{row.learning_rates} in row {row.label!r}"
                yield "rows", f"has the learning_rates {said}; allowed: positive numbers that a table with rates lacks"
        if len(rates) == 1 or len(set(rates)) < len(rates) or min(rates, default=1) <= 0:
            yield "learning_rates", f"is {rates}; allowed: empty, or two or more distinct positive numbers"
        for row in self.rows if rates else []:
            if any(word.startswith("optim.learning_rate=") for word in row.overrides):
                yield "learning_rates", f"is {rates} but row {row.label!r} sets optim.learning_rate; remove one of them"
        for finding in self.literature:
            pair = (finding.better, finding.worse)
            if labels and (labels[0] not in pair or not set(pair) <= set(labels) or finding.better == finding.worse):
                yield "literature", f"compares {pair}; allowed: the first row, {labels[0]!r}, and one other row"
        if self.claim is not None and set(self.claim.bleu) != set(labels):
            yield "claim.bleu", f"has {', '.join(self.claim.bleu)}; allowed: exactly the rows of the table"


@dataclass
class Question:
    """Research question, its tables, and the answer that a person wrote from them."""

    title: str
    """Heading."""
    question: str
    """The question, as a sentence."""
    parts: list[QuestionPart]
    """Tables that answer the question."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    """Seeds of each training."""
    notes: list[str] = field(default_factory=list)
    """Facts that are necessary to judge the comparison."""
    answer: str | None = None
    """Answer in one sentence. If it is given, every part needs a `claim`."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.parts:
            yield "parts", "is empty; a question needs at least one table"
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield "seeds", f"is {self.seeds}; allowed: one or more distinct numbers"
        for number_, part in enumerate(self.parts):
            if self.answer is not None and part.claim is None:
                yield (
                    f"parts.{number_}.claim",
                    "is null but there is an answer; give the results that the answer was written from",
                )


@dataclass
class QuestionsConfig:
    """`questions`: run missing trainings, compare the systems and write the page."""

    question: str | None = None
    """Train only for this question, given by the name of its file; null: for all. The page always contains all
    questions."""
    dry: bool = False
    """List the missing trainings and translations with their estimated time, without running them."""
    jobs: int = 1
    """Number of trainings at a time, which share the cores evenly; 0: none, only write the page and the measurements of
    finished runs. On two cores, two
    trainings with one thread each have a higher total throughput than one training with two threads."""
    max_minutes: float | None = None
    """Start no training after this number of minutes, and no translation with another search. Trainings that run are
    finished and translated. null: no limit."""
    measure: bool = False
    """Instead of training, measure the translation speed of the trained models, one after the other, each on all cores.
    The machine should be idle otherwise during this measurement."""
    then_measure: bool = False
    """Measure the translation speed after training, even if some trainings failed."""
    folder: str | None = None
    """Folder with the question files; null: conf/questions."""
    runs: str = "runs/questions"
    """Folder for the runs. Rows with the same configuration share a run, across questions. A run can be deleted
    when the measurements of its rows are written."""
    measurements: str = "docs/measurements/questions"
    """Folder of the measurements, one file per row and seed, from which the page is computed. A row whose file is there
    is not trained again, unless a setting changed."""
    page: str = "docs/questions.md"
    """Page to write; its plots go to `pictures/questions` beside it."""
    mirror: str | None = None
    """Folder with local copies of downloaded corpora: data.mirror of every training."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "jobs", 0, 64)
        yield from number(self, "max_minutes", 0)
