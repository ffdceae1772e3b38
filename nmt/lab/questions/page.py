"""The page of questions and answers: nothing on it that was not measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nmt.config import MOST_MINUTES, Claim, Part, Question
from nmt.evaluation.table import title_of
from nmt.lab.comparison.compare import Cell
from nmt.lab.comparison.report import cell_text, cost_text, interval_text, row_of
from nmt.lab.questions.measure import METRICS, Measured, claim_of, contradictions, literature_verdict, moved
from nmt.run import RunDirectory

HEADINGS = ["row", "sets", "validation BLEU", *map(title_of, METRICS), "parameters", "minutes", "sentences/s", "memory"]
COSTS = ("parameters", "seconds", "sentences_per_second", "peak_memory_bytes")

HOW = """Written by `make questions`, which trains what is missing, compares, and writes this page. By hand are only the
questions, and for each one sentence of answer (`conf/questions`, a file each). It is shown as long as the best row on
the validation set and the verdict on every row are those that it was written from, and is withheld otherwise.

    make questions                                     # all; goes on where it was stopped, trains nothing twice
    python scripts/questions.py question=NAME jobs=2   # one of them, two trainings at a time
    python scripts/questions.py measure=true           # how fast the trained models translate, once nothing else runs
    python scripts/questions.py dry=true               # only what is missing, and how many hours it will take
    python scripts/questions.py jobs=0                 # only this page, of what is there

**All answers hold for short trainings**: four minutes of one core at the most (what took more is named below), of small
models on few sentences. They say what helps there, not what is best in the end: what regularises, or learns slowly, has
its day later.

A table's first row is what the others are tested against; "sets" is what `scripts/train.py` gets besides the line above
the table. All scores are by the checkpoint that was best on the validation set.

- Validation BLEU: mean over the seeds ± their standard deviation, by the row's own search. The row marked best is
  chosen by it; the test set chooses nothing.
- BLEU and chrF are of the test set. Brackets: 95 % interval for other sentences and other seeds.
- p of the difference from the first row, by two tests ([compare.md](compare.md)): the paired bootstrap of the means
  over the seeds, to which Student's distribution adds the spread between the seeds (where only the seeds matter it is
  Welch's t-test; of searches that translate with the same trained models it is the spread of the change from one to the
  other); and approximate randomisation of the sentences, which takes the trained models as they are. corrected: the
  larger of both, corrected for the number of rows that the table tests (Holm 1979), for each score apart.
- The verdict on each row is one of three. **better** or **worse** than the first row: the corrected p is below .05.
  **undecided**: no difference was shown, which does not say that the rows are equal.
- detectable: the smallest true difference that the comparison would have found with a probability of 80 % (Bloom 1995,
  at the level .05 divided by the number of rows). These seeds and sentences are likely to miss a smaller one.
- Minutes: training with validation. `make questions` runs two trainings side by side, which slow each other down
  (threads of each: below the tables): the minutes compare rows.
- Sentences/s: translating the test set, measured apart, one model after the other on all cores.
- Memory: the most that was resident of a training's process. Python, torch and the corpus are in it, 0.3 GiB before the
  first step."""


@dataclass(frozen=True)
class Answered:
    """A question with what was measured of it."""

    name: str
    """Of its file."""
    question: Question
    tables: list[Measured | None]
    """Of each part; None until its first row is there."""
    done: list[dict[str, int]]
    """Of each part: seeds that are there, by row."""
    runs: list[RunDirectory]
    """All that are there."""
    speeds: list[dict[str, Any]]
    """Of each row that was measured: on what."""
    picture: str | None = None
    """Path from the page."""

    @property
    def complete(self) -> bool:
        rows = [(table, row) for part, table in zip(self.question.parts, self.tables, strict=True) for row in part.rows]
        return all(table is not None and row.label in table.rows for table, row in rows)

    @property
    def stale(self) -> list[str]:
        """What the written answer says and the measurements do not; nothing while rows are missing."""
        return [text for claim, table in self.claims for text in contradictions(claim, table)]

    @property
    def claims(self) -> list[tuple[Claim, Measured]]:
        """What the answer was written from, and what is measured now."""
        pairs = zip(self.question.parts, self.tables, strict=True)
        if self.question.answer is None or not self.complete:
            return []
        return [(part.claim, table) for part, table in pairs if part.claim is not None and table is not None]


@dataclass(frozen=True)
class Totals:
    trainings: int
    done: int
    core_hours: float
    """That those took."""
    longer: dict[str, float]
    """Minutes of a core of each training that took more than `MOST_MINUTES`, by what made it."""
    missing: str
    """What is not there yet, and how long it will take."""


def page(entries: Sequence[Answered], totals: Totals) -> str:
    """All of it, as Markdown."""
    state = f"{totals.done} of {totals.trainings} trainings are done, in {totals.core_hours:.1f} core hours"
    names = [f"- [{each.question.title}](#{anchor(each.question.title)}): {answer(each)}" for each in entries]
    head = ["# Questions and answers", "", HOW, "", f"{state}; {totals.missing}.", ""]
    if totals.longer:
        found = [f"- {minutes:.1f}: `{made_by}`" for made_by, minutes in totals.longer.items()]
        head += [f"**More than {MOST_MINUTES} minutes of a core** were taken by:", "", *found, ""]
    head += [*names, ""]
    return "\n".join([*head, *(section(each) for each in entries)])


def anchor(title: str) -> str:
    """The name that a heading gets from those who render Markdown."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def answer(entry: Answered) -> str:
    """The sentence of answer, or why there is none."""
    if entry.question.answer is None:
        return "no answer is written yet." if entry.complete else "not all of it has been run yet."
    if not entry.complete:
        return "withheld, not all of it has been run yet."
    if entry.stale:
        return f"**the written answer no longer holds and is withheld**: {'; '.join(entry.stale)}."
    figures = [text for claim, table in entry.claims for text in moved(claim, table)]
    since = f" (Written from other figures: {'; '.join(figures)}.)" if figures else ""
    return f"**{entry.question.answer}**{since}"


def section(entry: Answered) -> str:
    question = entry.question
    lines = [f"## {question.title}", "", f"*{question.question}*", "", f"Answer: {answer(entry)}", ""]
    lines += [f"- {note}" for note in question.notes] + [""] * bool(question.notes)
    for part, table, done in zip(question.parts, entry.tables, entry.done, strict=True):
        lines += part_lines(part, table, done, question.seeds)
    if entry.picture is not None:
        lines += [f"![{question.title}]({entry.picture})", ""]
    signatures = {
        f"{title_of(name, text)} `{text}`" for table in entry.tables if table for name, text in table.signatures.items()
    }
    lines += [
        f"Seeds {', '.join(map(str, question.seeds))}. {' '.join(f'{each}.' for each in sorted(signatures))}".rstrip()
    ]
    lines += [f"`python scripts/questions.py question={entry.name}`. {origin(entry.runs, entry.speeds)}".rstrip(), ""]
    return "\n".join(lines)


def part_lines(part: Part, table: Measured | None, done: dict[str, int], seeds: Sequence[int]) -> list[str]:
    lines = [
        f"### {part.name}",
        "",
        f"`{' '.join(part.overrides)}`" + (f", {table.sentences:,} sentences" if table else ""),
    ]
    lines += ["", row_of(HEADINGS), "|" + "---|" * len(HEADINGS)]
    for row in part.rows:
        sets = " ".join([*row.overrides, *row.search]) or "-"
        if table is not None and (found := table.rows.get(row.label)) is not None:
            cells = [valid_text(found.valid, row.label == table.best)]
            cells += [cell_text(found.scores[name]) for name in METRICS]
            cells += [cost_text(found.cost, name) for name in COSTS]
        else:
            some = f" ({done[row.label]} of {len(seeds)} seeds)" if done[row.label] else ""
            cells = [f"not run yet{some}", *[""] * (len(HEADINGS) - 3)]
        lines.append(row_of([row.label, sets, *cells]))
    lines.append("")
    if table is not None and table.groups:
        lines += [
            row_of([f"BLEU by {table.unit}s of the source", *table.groups]),
            "|" + "---|" * (len(table.groups) + 1),
        ]
        lines += [row_of([label, *map(short, found.lengths)]) for label, found in table.rows.items()]
        lines += [row_of(["sentences", *map(str, table.sizes)]), ""]
    found_of = [(each.says, literature_verdict(each, table) if table else "") for each in part.literature]
    lines += [f"- {says}. {found}".rstrip() for says, found in found_of] + [""] * bool(found_of)
    return lines


def valid_text(cell: Cell | None, best: bool) -> str:
    """Return the validation score of a row, and whether it is the highest of the table."""
    return "-" if cell is None else cell_text(cell) + "\nbest" * best


def short(cell: Cell) -> str:
    return f"{cell.mean:.1f}" + (f"\n{interval_text(cell.interval)}" if cell.interval else "")


def origin(runs: Sequence[RunDirectory], speeds: Sequence[Mapping[str, Any]]) -> str:
    """Machine, commit and date of the runs, and a warning where not all were made alike."""
    starts = [start for run in runs for start in run.record()["starts"]]
    if not starts:
        return ""

    def all_of(given: Sequence[Mapping[str, Any]], *names: str) -> list[str]:
        return sorted({" x ".join(str(each[name]) for name in names) for each in given})

    days = sorted(day.partition("T")[0] for day in all_of(starts, "time"))
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    commits = sorted({short_commit(start["commit"]) for start in starts})
    libraries = sorted({str(start["libraries"]["torch"]) for start in starts})
    threads, machines = all_of(starts, "threads"), all_of(starts, "cores", "processor")
    found = (
        f"{', '.join(machines)}; threads a training: {', '.join(threads)}"
        + (f", a translation: {', '.join(all_of(speeds, 'threads'))}" if speeds else "")
        + f"; torch {', '.join(libraries)}; commit {', '.join(commits)}; {when}."
    )
    mixed = {"commits": commits, "torch": libraries, "threads": threads, "machines": machines}
    if unlike := [name for name, values in mixed.items() if len(values) > 1]:
        found += f" **Not all runs have the same {' and '.join(unlike)}: a difference may be from there.**"
    return found


def short_commit(commit: str | None) -> str:
    """Seven digits, and the `+` of changes that were not committed."""
    return "unknown" if commit is None else commit[:7] + "+" * commit.endswith("+")


def claims_to_paste(entry: Answered) -> str:
    """What a person who writes the answer needs, as YAML for the question's file."""
    lines = [f"# {entry.name}.yaml, what is measured now:"]
    for part, table in zip(entry.question.parts, entry.tables, strict=True):
        assert table is not None
        lines.append(f"#   {part.name}\n    claim: {json.dumps(asdict(claim_of(table)), ensure_ascii=False)}")
    return "\n".join(lines)
