"""The table of a paper: one row per system, one column per test set, mean and spread over seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from nmt.config import DataConfig, with_described_tests
from nmt.errors import UserError
from nmt.evaluation.sets import EvaluationSet
from nmt.evaluation.table import SHOWN, title_of
from nmt.lab.comparison.report import UNKNOWN, TitledTable, cost_text, mean_text
from nmt.lab.comparison.statistics import recorded_cell
from nmt.lab.comparison.systems import (
    ScoredRun,
    System,
    check_same_signatures,
    check_same_test_set,
    group_by_seed,
    iterate_runs,
    system_labels,
)
from nmt.run import RunDirectory


@dataclass(frozen=True)
class TestedRun:
    """A run with its scores on the test sets of its corpus."""

    run: RunDirectory
    data: DataConfig
    scored: dict[str, ScoredRun]
    """Scores by test set; sets without scores are left out."""

    @property
    def first(self) -> ScoredRun:
        """Scores on the first test set, which stand for the run where only settings, seed or cost count."""
        return next(iter(self.scored.values()))


def paper_tables(paths: Sequence[str], metrics: Sequence[str]) -> list[TitledTable]:
    """Return one table per metric from the recorded scores of runs; a path is a run or a folder of runs.

    Raises:
        UserError: a run has no scores or lacks a metric, or scores of two runs cannot stand in one column.
    """
    runs = [open_run(run) for run in iterate_runs(paths)]
    all_names = dict.fromkeys(["test", *(name for run in runs for name in run.data.tests)])
    names = [name for name in all_names if any(name in run.scored for run in runs)]
    for name in names:
        check_column(name, [run.scored[name] for run in runs if name in run.scored], metrics)
    systems = group_by_seed([run.first for run in runs])
    tested = {run.run.path: run for run in runs}
    rows = [[tested[first.run.path] for first in system.runs] for system in systems]
    for system, label in zip(systems, system_labels(systems), strict=True):
        system.label = label
    return [metric_table(metric, names, rows, systems) for metric in metrics]


def open_run(run: RunDirectory) -> TestedRun:
    """Read the scores of a run on every test set of its corpus.

    Raises:
        UserError: it has no scores, or the sets were translated in different ways.
    """
    data = with_described_tests(run.config().data)
    recorded = [name for name in ("test", *data.tests) if (run.path / "scores" / f"{name}.json").is_file()]
    scored = {name: ScoredRun.open(run, name) for name in recorded}
    if not scored:
        raise UserError(
            f"{run.path} has no scores of a test set; compute them with: nmt-evaluate run={run.path} splits=all"
        )
    first = next(iter(scored.values()))
    for other in scored.values():
        if differing := [key for key, value in other.settings.items() if first.settings.get(key) != value]:
            raise UserError(
                f"{other.stem}.json and {first.stem.name}.json were made with another {', '.join(differing)}; score "
                f"both in one way: nmt-evaluate run={run.path} splits=all"
            )
        if other.step != first.step:
            raise UserError(
                f"{other.stem}.json is of step {other.step} and {first.stem.name}.json of step {first.step}; score all "
                f"sets again: nmt-evaluate run={run.path} splits=all"
            )
    return TestedRun(run, data, scored)


def check_column(name: str, scored: Sequence[ScoredRun], metrics: Sequence[str]) -> None:
    """Check that scores can stand in one column.

    Raises:
        UserError: the test set or a signature differs.
    """
    first = scored[0]
    for run in scored:
        if not run.test_set or not first.test_set:  # recorded by an older version, which scored splits of the run only
            check_same_test_set(run, first, EvaluationSet.of_run(first.run, name))
        elif any(run.test_set[key] != first.test_set[key] for key in ("src_sha256", "ref_sha256")):
            raise UserError(
                f"{name} of {run.run.path} has other lines than that of {first.run.path}; make a table per corpus, or "
                f"score it again: {run.command}"
            )
        shown = {metric: score for metric, score in run.scores.items() if metric in metrics}
        check_same_signatures(replace(run, scores=shown), scored)


def metric_table(
    metric: str, names: Sequence[str], rows: Sequence[Sequence[TestedRun]], systems: Sequence[System]
) -> TitledTable:
    """Return the table of one metric; each row has the runs of one system.

    Raises:
        UserError: a run lacks the metric.
    """
    cells, signatures, missing = [], [], []
    digits = SHOWN[metric][1]
    for row, system in zip(rows, systems, strict=True):
        line = [system.label, " ".join(map(str, system.seeds))]
        for name in names:
            scored = [run.scored[name] for run in row if name in run.scored]
            missing += [str(run.run.path) for run in row if name not in run.scored and name in run.data.test_names]
            cell = recorded_cell(metric, [run.scores for run in scored]) if len(scored) == len(row) else None
            if scored and cell is None and len(scored) == len(row):
                raise UserError(
                    f"metrics={metric}: {scored[0].stem}.json lacks it; compute it with: {scored[0].command}"
                )
            signatures += [run.scores[metric]["signature"] for run in scored if metric in run.scores]
            line.append(UNKNOWN if cell is None else mean_text(cell, digits))
        cells.append(line)
    title = title_of(metric, signatures[0])
    sizes = [
        next(len(run.scored[name].hypotheses) for row in rows for run in row if name in run.scored) for name in names
    ]
    first = rows[0][0].data
    notes = [f"{title}: {signature}" for signature in dict.fromkeys(signatures)]
    if any(len(row) > 1 for row in rows):
        notes.insert(0, "Mean ± standard deviation over the seeds (n - 1 degrees of freedom).")
    notes.append(
        "Sentences: " + ", ".join(f"{heading(first, n)} {size:,}" for n, size in zip(names, sizes, strict=True)) + "."
    )
    notes += [f"{system.label}: {', '.join(system_facts(system))}." for system in systems]
    if missing:
        runs = ", ".join(dict.fromkeys(missing))
        notes.append(f"{UNKNOWN}: not scored; score with: nmt-evaluate run=RUN splits=all, for {runs}.")
    pair = f"{first.src_lang}-{first.tgt_lang}"
    return TitledTable(
        f"{title}, {first.name} {pair}", ["system", "seeds", *(heading(first, name) for name in names)], cells, notes
    )


def heading(data: DataConfig, name: str) -> str:
    """Return the heading of a test set's column: for `test`, the name of its file without language and suffix."""
    if name != "test" or len(data.test.src) != 1:
        return name
    return PurePosixPath(data.test.src[0]).name.partition(".")[0]


def system_facts(system: System) -> Iterator[str]:
    """Yield how the scores of a system were made and what they cost."""
    settings = system.runs[0].settings
    kind = str(settings.get("search.kind"))
    yield f"beam {settings.get('search.beam_size')}" if kind == "beam" else f"search {kind}"
    yield f"length penalty {settings.get('search.length_penalty')} {settings.get('search.alpha')}"
    if settings.get("ensemble"):
        yield f"ensemble with {settings['ensemble']}"
    yield f"checkpoint {settings['checkpoint']}, steps {' '.join(str(run.step) for run in system.runs)}"
    yield str(settings["precision"])
    yield f"parameters {cost_text(system.cost, 'parameters')}"
    yield f"minutes of training {cost_text(system.cost, 'seconds')}"
    starts = [start for run in system.runs for start in run.run.record()["starts"]]
    commits = {str(start.get("commit")) for start in starts if start.get("commit")}
    yield f"commit {' '.join(sorted(commit[:12] for commit in commits)) or UNKNOWN}"
    yield f"runs {' '.join(str(run.run.path) for run in system.runs)}"
