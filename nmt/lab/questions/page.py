"""The page of questions and answers, which shows measured results only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nmt.config import SHORT_MINUTES, Claim, Question, QuestionPart
from nmt.evaluation.table import title_of
from nmt.lab.comparison.cells import ScoreCell
from nmt.lab.comparison.report import (
    SCORE_HEADINGS,
    UNKNOWN,
    cost_text,
    interval_text,
    mean_text,
    score_columns,
    table_lines,
)
from nmt.lab.questions.measure import (
    MeasuredTable,
    changed_figures,
    chosen_rate,
    claim_of,
    contradictions,
    literature_verdict,
)
from nmt.lab.questions.measurement import METRICS, Measurement

COSTS = {
    "parameters": "parameters",
    "cpu_seconds": "core minutes",
    "sentences_per_second": "sentences/s",
    "peak_memory_bytes": "memory",
}
"""Quantities of a row's cost with their headings."""

INTRODUCTION = """`make questions` trains the missing systems, compares all of them and writes this page. Only the
questions and one sentence of answer for each are written by hand (`conf/questions`, one file per question). An answer
is shown while the best row on the validation set, the verdict on every row and the mean BLEU of every row are those
that it was written from. Otherwise it is withheld.

    make questions                                     # all questions; continues, and trains nothing twice
    python scripts/questions.py question=NAME jobs=2   # one question, two trainings at a time
    python scripts/questions.py max_minutes=60         # starts no training after an hour
    python scripts/questions.py measure=true           # decoding speed, on an otherwise idle machine
    python scripts/questions.py dry=true               # the missing work and the hours that it will take
    python scripts/questions.py jobs=0                 # only this page, from the measurements

Every row and seed has a file in `docs/measurements/questions`: settings, commit, processor, cost, scores, and the
n-gram counts of each test sentence, without any text. This page is computed from these files alone, so that the runs
need not be kept. A row whose settings changed counts as not measured.

**All answers hold for short trainings of small models on few sentences**, at most four minutes of one core each, unless
the question says otherwise (longer ones are listed below). Regularisation and methods that learn slowly may help only
in longer trainings.

The settings above a table apply to all its rows. The settings of a row are listed below the table. All scores use the
checkpoint with the best validation score. The other rows are tested against the first row.

- Validation BLEU: mean over the seeds ± standard deviation, with the search of the row. It selects the row marked
  *best*; the test set selects nothing.
- Learning rate: in tables with several rates, the first seed of each row is trained with each of them, and the other
  seeds with the one that has the highest validation BLEU. A rate at the edge of the list is marked: a rate beyond it
  may be better.
- BLEU and chrF: test set. The 95 % interval covers other sentences and other seeds.
- p bootstrap: the paired bootstrap of the means over the seeds, with the spread between the seeds added from Student's
  distribution ([compare.md](compare.md)).
- p randomisation: approximate randomisation of the sentences. It treats the trained models as fixed.
- p corrected: the larger p, corrected for the number of tested rows of the table (Holm 1979), separately per score.
- Verdict: *better* or *worse* than the first row if the corrected p is below .05. *Undecided* means that no difference
  was shown, not that the rows are equal. A table with missing rows has no tests.
- Detectable: the smallest true difference that the comparison finds with a probability of 80 % (Bloom 1995), at the
  level .05 divided by the number of tested rows; none: above 100 points. A smaller difference is likely to be missed.
- Core minutes: processor time of training with validation. Two trainings run side by side and slow each other down a
  little, so the minutes compare rows only. Costs are compared between rows that were trained on one processor in one
  precision; otherwise each row's cost stands below the table with its processor.
- Sentences/s: translation of the test set, measured separately for each model on all cores.
- Memory: peak resident memory of the training process. Python, torch and the corpus take 0.3 GiB of it."""


@dataclass(frozen=True)
class AnsweredQuestion:
    """Research question with the measurements made so far."""

    name: str
    """Name of its file."""
    question: Question
    tables: list[MeasuredTable | None]
    """Measurements of each part; None until its first row is measured."""
    done: list[dict[str, int]]
    """Number of measured seeds of each part, by row."""
    rates: list[dict[str, dict[float, float]]]
    """Validation BLEU of each part with the first seed, by row and learning rate; empty where the rate is given."""
    measurements: list[Measurement]
    """Existing measurements of the question."""
    pictures: list[str] = field(default_factory=list)
    """Paths of the pictures, relative to the page."""

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> list[str]:
        """Rows that are not measured with all seeds, with the name of their table."""
        texts = []
        for part, done in zip(self.question.parts, self.done, strict=True):
            rows = [row.label for row in part.rows if done[row.label] < len(self.question.seeds)]
            if rows:
                names = f"all {len(rows)} rows" if len(rows) == len(part.rows) else ", ".join(rows)
                texts.append(f"{names} ({part.name})")
        return texts

    @property
    def stale(self) -> list[str]:
        """Contradictions between the written answer and the measurements; empty while rows are missing."""
        checks = (contradictions, changed_figures)
        return [text for claim, table in self.claims for check in checks for text in check(claim, table)]

    @property
    def claims(self) -> list[tuple[Claim, MeasuredTable]]:
        """The claims of the written answer, each with the current measurements."""
        pairs = zip(self.question.parts, self.tables, strict=True)
        if self.question.answer is None or not self.complete:
            return []
        return [(part.claim, table) for part, table in pairs if part.claim is not None and table is not None]


@dataclass(frozen=True)
class WorkTotals:
    """Amount of finished and missing work of all questions."""

    trainings: int
    done: int
    core_hours: float
    """Core hours of the finished trainings."""
    longer: dict[str, float]
    """Core minutes of each training that took more than `SHORT_MINUTES`, by its overrides."""
    missing: str
    """Description of the missing work and the time that it will take."""


def questions_page(entries: Sequence[AnsweredQuestion], totals: WorkTotals) -> str:
    """Return the page as Markdown."""
    state = f"{totals.done} of {totals.trainings} trainings are done, in {totals.core_hours:.1f} core hours"
    answers = [f"- [{entry.question.title}](#{anchor(entry.question.title)}): {answer(entry)}" for entry in entries]
    head = ["# Questions and answers", "", INTRODUCTION, "", f"{state}; {totals.missing}.", ""]
    if totals.longer:
        longer = [f"- {minutes:.1f}: `{overrides}`" for overrides, minutes in totals.longer.items()]
        head += [f"**Trainings of more than {SHORT_MINUTES} core minutes** (core minutes: settings):", "", *longer, ""]
    head += [*answers, ""]
    return "\n".join([*head, *(section(entry) for entry in entries)])


def anchor(title: str) -> str:
    """Return the anchor that Markdown renderers give to a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def answer(entry: AnsweredQuestion) -> str:
    """Return the written answer, or the reason why it is not shown."""
    missing = f"not measured with all seeds: {'; '.join(entry.missing)}"
    if entry.question.answer is None:
        return "no answer is written yet." if entry.complete else f"no answer is written yet; {missing}."
    if not entry.complete:
        return f"withheld, because some rows are {missing}."
    if entry.stale:
        return f"**withheld, because the written answer no longer holds**: {'; '.join(entry.stale)}."
    return f"**{entry.question.answer}**"


def section(entry: AnsweredQuestion) -> str:
    """Return the section of one question."""
    question = entry.question
    lines = [f"## {question.title}", "", f"*{question.question}*", "", f"Answer: {answer(entry)}", ""]
    lines += [f"- {note}" for note in question.notes] + [""] * bool(question.notes)
    for part, table, done, rates in zip(question.parts, entry.tables, entry.done, entry.rates, strict=True):
        lines += part_lines(part, table, done, question.seeds)
        lines += rate_lines(part, rates, question.seeds[0])
    for picture in entry.pictures:
        lines += [f"![{question.title}]({picture})", ""]
    signatures = {
        f"{title_of(name, text)} `{text}`" for table in entry.tables if table for name, text in table.signatures.items()
    }
    seeds = f"Seeds {', '.join(map(str, question.seeds))}."
    lines += [" ".join([seeds, *(f"{signature}." for signature in sorted(signatures))])]
    lines += [f"`python scripts/questions.py question={entry.name}`. {origin(entry.measurements)}".rstrip(), ""]
    return "\n".join(lines)


def part_lines(
    part: QuestionPart, table: MeasuredTable | None, done: dict[str, int], seeds: Sequence[int]
) -> list[str]:
    """Return the lines of one part: rows with their cost, scores, lengths, settings and published findings."""
    sentences = f", {table.sentences:,} test sentences" if table else ""
    lines = [f"### {part.name}", "", f"`{' '.join(part.overrides)}`{sentences}", ""]
    costs = list(COSTS) if table is None or table.same_machine else ["parameters"]
    rows = []
    for row in part.rows:
        if table is not None and (measured := table.rows.get(row.label)) is not None:
            cells = [valid_text(measured.valid, row.label == table.best)]
            cells += [cost_text(measured.cost, name) for name in costs]
        else:
            seeds_done = f" ({done[row.label]} of {len(seeds)} seeds)" if done[row.label] else ""
            cells = [f"not measured yet{seeds_done}", *[""] * len(costs)]
        rows.append([row.label, *cells])
    lines += table_lines(["row", "validation BLEU", *(COSTS[name] for name in costs)], rows)
    if table is not None and not table.same_machine:
        lines += costs_in_words(table)
    if table is not None:
        for name in METRICS:
            rows = [[label, *score_columns(measured.scores[name])] for label, measured in table.rows.items()]
            lines += table_lines([title_of(name), *SCORE_HEADINGS], rows)
    if table is not None and table.groups:
        rows = [[label, *map(group_text, measured.lengths)] for label, measured in table.rows.items()]
        rows.append(["sentences", *map(str, table.sizes)])
        lines += table_lines([f"BLEU by {table.unit}s of the source", *table.groups], rows)
    settings = {row.label: " ".join([*row.overrides, *row.search]) for row in part.rows}
    lines += ["Settings of the rows:", ""]
    lines += [f"- {label}: " + (f"`{words}`" if words else "none") for label, words in settings.items()] + [""]
    findings = [(each.says, literature_verdict(each, table) if table else "") for each in part.literature]
    if findings:
        lines += ["Published findings:", "", *(f"- {says}. {verdict}".rstrip() for says, verdict in findings), ""]
    return lines


def rate_lines(part: QuestionPart, rates: Mapping[str, Mapping[float, float]], seed: int) -> list[str]:
    """Return a table of the validation scores that the learning rate of each row was chosen from; [] if it is given."""
    if not part.learning_rates:
        return []
    columns = sorted({rate for row in part.rows for rate in part.rates_of(row)})
    rows = []
    for row in part.rows:
        valid, tried = rates[row.label], part.rates_of(row)
        chosen = chosen_rate(valid) if len(valid) == len(tried) else None
        scores = {rate: f"{valid[rate]:.2f}" if rate in valid else "" for rate in columns}
        edge = " at the edge" * (chosen in (min(tried), max(tried)))
        rows.append([row.label, *(text + f", chosen{edge}" * (rate == chosen) for rate, text in scores.items())])
    text = f"Learning rate of each row: the highest validation BLEU with seed {seed}, which is one of the seeds above."
    return [
        text,
        "",
        *table_lines(["validation BLEU by learning rate", *(f"{rate:g}" for rate in columns)], rows),
    ]


def costs_in_words(table: MeasuredTable) -> list[str]:
    """Return the cost of each row with the processors that it was measured on, where costs cannot be compared."""
    lines = ["Costs are not compared, because the rows were measured on different processors or precisions:", ""]
    for label, row in table.rows.items():
        texts = [
            f"{cost_text(row.cost, name)} {heading} on {' and '.join(machines) or 'an unknown processor'}"
            for name, heading, machines in (
                ("cpu_seconds", "core minutes", row.trained_on),
                ("sentences_per_second", "sentences/s", row.translated_on),
            )
            if name in row.cost
        ]
        lines.append(f"- {label}: {'; '.join(texts) or 'not recorded'}")
    return [*lines, ""]


def valid_text(cell: ScoreCell | None, best: bool) -> str:
    """Return the validation score of a row, marked if it is the highest of the table."""
    return UNKNOWN if cell is None else mean_text(cell) + ", best" * best


def group_text(cell: ScoreCell) -> str:
    """Return the score of a group of sentences with its interval."""
    return f"{cell.mean:.1f}" + (f"\n{interval_text(cell.interval)}" if cell.interval else "")


def origin(measurements: Sequence[Measurement]) -> str:
    """Return machine, commit and date of the measurements, and a warning if they differ between them."""
    starts = [start for one in measurements for start in one.starts]
    if not starts:
        return ""

    def distinct(records: Sequence[Mapping[str, Any]], *names: str) -> list[str]:
        return sorted({" x ".join(str(record[name]) for name in names) for record in records})

    days = sorted(day.partition("T")[0] for day in distinct(starts, "time"))
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    commits = sorted({short_commit(start["commit"]) for start in starts})
    libraries, precisions = distinct(starts, "torch"), sorted({one.precision for one in measurements})
    threads, machines = distinct(starts, "threads"), distinct(starts, "cores", "processor")
    speeds = distinct([one.speed for one in measurements if one.speed], "threads")
    text = (
        f"{', '.join(machines)}; trained in {', '.join(precisions)}; threads per training: {', '.join(threads)}"
        + (f", per translation: {', '.join(speeds)}" if speeds else "")
        + f"; torch {', '.join(libraries)}; commit {', '.join(commits)}; {when}."
    )
    mixed = {"commits": commits, "torch": libraries, "threads": threads, "machines": machines, "precision": precisions}
    if differing := [name for name, values in mixed.items() if len(values) > 1]:
        text += f" **The runs differ in {' and '.join(differing)}, which may explain a difference.**"
    return text


def short_commit(commit: str | None) -> str:
    """Return seven digits of the commit, and the `+` that marks uncommitted changes."""
    return "unknown" if commit is None else commit[:7] + "+" * commit.endswith("+")


def claims_to_paste(entry: AnsweredQuestion) -> str:
    """Return the current claims of a question as YAML, to be pasted into its file when the answer is written."""
    lines = [f"# Current measurements for {entry.name}.yaml:"]
    for part, table in zip(entry.question.parts, entry.tables, strict=True):
        assert table is not None
        lines.append(f"#   {part.name}\n    claim: {json.dumps(asdict(claim_of(table)), ensure_ascii=False)}")
    return "\n".join(lines)
