"""A question that trained runs answer, as a file of conf/questions, and what the command needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number

MOST_MINUTES = 4
"""Of a single training, on one core."""
VERDICTS = ("better", "worse", "undecided")


@dataclass
class Row:
    """One system of a table."""

    label: str
    """Its name in the table, of which there is one alone."""
    overrides: list[str] = field(default_factory=list)
    """What its training sets, as on the command line of `train`, besides what all rows of the table set."""
    search: list[str] = field(default_factory=list)
    """What its translation sets, as on the command line of `evaluate`; rows of one training differ in this alone."""
    minutes: float | None = None
    """As `minutes` of the part, where this training takes another time."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "minutes", 0, MOST_MINUTES)


@dataclass
class Literature:
    """What a paper reports of two rows, of which one is the table's first."""

    says: str
    """The finding as a direction, which is all that is tested, with its source."""
    better: str
    """Label of the row that it calls better ..."""
    worse: str
    """... and of the other."""


@dataclass
class Claim:
    """What an answer was written from."""

    best: str | None
    """The row with the highest mean BLEU on the validation set; null: not measured when the answer was written."""
    verdicts: dict[str, str]
    """The verdict on each row but the first, by BLEU of the test set: better, worse or undecided."""
    bleu: dict[str, float]
    """Mean test BLEU of each row, to two digits after the point."""

    def problems(self) -> Iterator[tuple[str, str]]:
        for label, verdict in self.verdicts.items():
            if verdict not in VERDICTS:
                yield "verdicts", f"of {label} is {verdict!r}; allowed: {', '.join(VERDICTS)}"


@dataclass
class Part:
    """One table: the first row, and rows that are tested against it."""

    name: str
    """What it is about, where a question has several tables."""
    overrides: list[str]
    """What all its trainings set."""
    rows: list[Row]
    """Two or more."""
    minutes: float
    """Of each training on one core, while another training has the other: the estimate as long as none is measured."""
    by_length: bool = False
    """Whether BLEU is shown by the length of the source too."""
    literature: list[Literature] = field(default_factory=list)
    """What others found; the page says where it was found otherwise here."""
    claim: Claim | None = None
    """Null until an answer is written."""

    def problems(self) -> Iterator[tuple[str, str]]:
        labels = [row.label for row in self.rows]
        if len(labels) < 2:
            yield "rows", f"has {len(labels)} rows; a table compares two or more"
        for row in self.rows:
            if labels.count(row.label) > 1:
                yield "rows", f"has the label {row.label!r} twice; give each row its own"
        yield from number(self, "minutes", 0, MOST_MINUTES)
        for each in self.literature:
            pair = (each.better, each.worse)
            if labels and (labels[0] not in pair or not set(pair) <= set(labels) or each.better == each.worse):
                yield "literature", f"speaks of {pair}; allowed: the first row, {labels[0]!r}, and another one"
        if self.claim is not None and set(self.claim.bleu) != set(labels):
            yield "claim.bleu", f"has {', '.join(self.claim.bleu)}; allowed: every row of the table and no other"


@dataclass
class Question:
    """What is asked, by which tables, and the answer that a person wrote from them."""

    title: str
    """Its heading."""
    question: str
    """What is asked, as a sentence."""
    parts: list[Part]
    """The tables that answer it."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    """Of each training."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know to judge the comparison."""
    answer: str | None = None
    """One sentence; every part has a `claim` then."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.parts:
            yield "parts", "is empty; a question has a table at least"
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield "seeds", f"is {self.seeds}; allowed: one or more different numbers"
        for number_, part in enumerate(self.parts):
            if self.answer is not None and part.claim is None:
                yield f"parts.{number_}.claim", "is null and there is an answer; say which figures it was written from"


@dataclass
class QuestionsConfig:
    """`questions`: trains what is not trained yet, compares, and writes the page."""

    question: str | None = None
    """The only question to train for, by the name of its file; null: all. The page has all of them anyway."""
    dry: bool = False
    """Only list what would be trained and translated, and how long it would take."""
    jobs: int = 1
    """Trainings at a time, which share the cores evenly: two at a time on two cores have one thread each, and get more
    done than one of two threads; 0: none, the page is written of what is there."""
    measure: bool = False
    """Instead of training: measure how fast the trained models translate, one after the other, each on all cores;
    nothing else should run then."""
    then_measure: bool = False
    """Measure it after the training, even if some of it failed."""
    folder: str | None = None
    """Folder with the questions; null: conf/questions."""
    runs: str = "runs/questions"
    """Folder for the runs. Rows of one configuration share a run, in whatever question they stand."""
    page: str = "docs/questions.md"
    """The page; its pictures go to `pictures/questions` beside it."""
    mirror: str | None = None
    """data.mirror of the corpora that are downloaded: a folder that has their files."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "jobs", 0, 64)
