"""scripts/questions.py: run the trainings that the questions need, compare them, and write the page of answers."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.launch.local_jobs import LocalJob, run_jobs
from nmt.cli.questioning.runs import (
    SPEED_SECONDS,
    SPLITS,
    TRANSLATION_SECONDS,
    Runs,
    Table,
    Training,
    rows_of,
    tables_of,
    training_job,
    trainings_of,
    translation_job,
)
from nmt.cli.questioning.speed import measure_speeds
from nmt.config import Question, QuestionPart, QuestionsConfig, conf_dir, from_hydra, load_config, user_path
from nmt.data import prepare
from nmt.errors import Interrupted, UserError
from nmt.lab.comparison.systems import ScoredRun, mean_cost, training_cost
from nmt.lab.plots.questions import draw_question
from nmt.lab.questions.measure import MeasuredTable, measure
from nmt.lab.questions.page import AnsweredQuestion, WorkTotals, claims_to_paste, questions_page
from nmt.processor import available_cores

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(QuestionsConfig, cfg)
    folder = Path(conf_dir()) / "questions" if config.folder is None else user_path(config.folder)
    questions = load_questions(folder)
    if config.question is not None and config.question not in questions:
        raise UserError(f"question={config.question} is not in {folder}; there are: {', '.join(questions)}")
    tables = {name: tables_of(question, f"{folder / name}.yaml") for name, question in questions.items()}
    selected = [table for name, parts in tables.items() if config.question in (None, name) for table in parts]
    runs = Runs(user_path(config.runs))
    if config.dry:
        show_missing(selected, runs)
        return
    failures: dict[str, str] = {}
    if config.measure:
        with runs.locked():
            measure_speeds(selected, runs)
    elif config.jobs > 0:
        with runs.locked():
            failures = run_missing(selected, runs, config)
            if config.then_measure:
                measure_speeds(selected, Runs(runs.folder))
    runs = Runs(runs.folder)
    page = user_path(config.page)
    entries = [answer(name, question, tables[name], runs, page.parent) for name, question in questions.items()]
    write_page(page, entries, [table for parts in tables.values() for table in parts], runs)
    print(page)
    for entry in entries:
        if entry.complete and (entry.stale or entry.question.answer is None):
            print(claims_to_paste(entry))
    report_problems(failures, entries, runs)


def write_page(page: Path, entries: Sequence[AnsweredQuestion], tables: Sequence[Table], runs: Runs) -> None:
    """Write the page of all questions, with the totals of their trainings."""
    trainings = trainings_of(tables)
    seconds = [runs.spent(training) for training in trainings if runs.trained(training)]
    longer = runs.longer(trainings)
    totals = WorkTotals(len(trainings), len(seconds), sum(seconds) / 3600, longer, describe_missing(tables, runs))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(questions_page(entries, totals), encoding="utf-8")


def load_questions(folder: Path) -> dict[str, Question]:
    """Return the questions of a folder by the name of their file.

    Raises:
        UserError: a file does not hold a question, or there are no files.
    """
    questions = {path.stem: load_config(Question, path) for path in sorted(folder.glob("*.yaml"))}
    if not questions:
        raise UserError(f"{folder} has no question; write one as NAME.yaml, see conf/questions")
    return questions


def show_missing(tables: Sequence[Table], runs: Runs) -> None:
    """Print the missing trainings with their estimated time, and the missing translations."""
    trainings = trainings_of(tables)
    seconds = runs.seconds(trainings)
    for training in trainings:
        if training.key in seconds:
            minutes = f"{seconds[training.key] / 60:.1f} min"
            print(f"{training.key}  {minutes}  {' '.join(training.overrides)} seed={training.config.seed}")
    for training, split in translations_of(tables):
        if not runs.scored(training, split):
            print(f"{training.key}  {' '.join([*training.search, f'split={split}'])}")
    print(describe_missing(tables, runs))


def translations_of(tables: Sequence[Table]) -> list[tuple[Training, str]]:
    """Return the translations that trainings do not make: the validation sets, and the test sets of other searches."""
    return [(row, split) for row in rows_of(tables) for split in SPLITS if row.search or split != "test"]


def describe_missing(tables: Sequence[Table], runs: Runs) -> str:
    """Return a line with the numbers of missing trainings, translations and measurements, and the estimated time."""
    trainings, rows = trainings_of(tables), rows_of(tables)
    seconds, searches = runs.seconds(trainings), translations_of(tables)
    untranslated = [(row, split) for row, split in searches if not runs.scored(row, split)]
    unmeasured = [row for row in rows if not runs.speed(row)]
    if not seconds and not untranslated and not unmeasured:
        return "nothing is missing"
    cores = available_cores()
    of_a_core = sum(seconds.values()) + TRANSLATION_SECONDS * len(untranslated)
    hours = (of_a_core / cores + SPEED_SECONDS * len(unmeasured)) / 3600
    rough = f", translations estimated at {TRANSLATION_SECONDS:.0f} s of one core each" if untranslated else ""
    return (
        f"{len(seconds)} of {len(trainings)} trainings, {len(untranslated)} of {len(searches)} translations and "
        f"{len(unmeasured)} of {len(rows)} measurements of speed are missing: about {hours:.1f} hours on "
        f"{cores} core{'s' * (cores > 1)}{rough}"
    )


def run_missing(tables: Sequence[Table], runs: Runs, config: QuestionsConfig) -> dict[str, str]:
    """Run the missing trainings and translations, and return the reason of each failure by the name of the job."""
    log.info(describe_missing(tables, runs))
    threads = max(1, available_cores() // config.jobs)
    seconds = runs.seconds(trainings_of(tables))
    missing = [training for training in trainings_of(tables) if training.key in seconds]
    prepare_corpora(missing, config.mirror)

    def log_remaining(job: LocalJob) -> None:
        if seconds.pop(job.name, None) is not None:
            hours = sum(seconds.values()) / available_cores() / 3600
            log.info("%s is trained; %d trainings left, about %.1f hours", job.name, len(seconds), hours)

    try:
        jobs = [training_job(training, runs, threads, config.mirror) for training in missing]
        failures = run_jobs(jobs, config.jobs, runs.folder / "logs", log_remaining)
        runs = Runs(runs.folder)
        rows = [row for row in rows_of(tables) if runs.trained(row)]
        jobs = [translation_job(row, split, runs, threads) for row in rows for split in runs.missing_splits(row)]
        return failures | run_jobs(jobs, config.jobs, runs.folder / "logs")
    except Interrupted as error:
        error.remedy = "the same command continues"
        raise


def prepare_corpora(trainings: Sequence[Training], mirror: str | None) -> None:
    """Prepare each corpus once before the trainings, so that preparation is not in the peak memory of the first one."""
    for data in {repr(training.config.data): training.config.data for training in trainings}.values():
        with suppress(UserError):  # each training that needs the corpus reports the error in its log
            prepare(data if mirror is None or data.download is None else replace(data, mirror=mirror))


def answer(name: str, question: Question, tables: Sequence[Table], runs: Runs, folder: Path) -> AnsweredQuestion:
    """Collect the measurements of a question, and draw its picture below the folder of the page."""
    done = [{row.label: sum(map(runs.translated, trainings)) for row, trainings in table} for table in tables]
    measured = [measure_part(part, table, runs) for part, table in zip(question.parts, tables, strict=True)]
    trained = [runs.run(training) for training in trainings_of(tables) if runs.trained(training)]
    speeds = [speed for row in rows_of(tables) if (speed := runs.speed(row))]
    picture = Path("pictures") / "questions" / f"{name}.png"
    shown = [(part, table) for part, table in zip(question.parts, measured, strict=True) if table is not None]
    if shown:
        draw_question(shown, folder / picture)
    return AnsweredQuestion(name, question, measured, done, trained, speeds, picture.as_posix() if shown else None)


def measure_part(part: QuestionPart, table: Table, runs: Runs) -> MeasuredTable | None:
    """Measure the rows of a part for which all seeds are translated; None if the first row, the baseline, is not."""
    if not all(map(runs.translated, table[0][1])):
        return None
    complete = {row.label: trainings for row, trainings in table if all(map(runs.translated, trainings))}
    rows = {
        label: [ScoredRun.open(runs.run(training), "test", name=training.scores) for training in trainings]
        for label, trainings in complete.items()
    }
    costs = {
        label: mean_cost([cost(training, runs) for training in trainings]) for label, trainings in complete.items()
    }
    valid = {
        label: [
            float(ScoredRun.open(runs.run(row), "valid", "bleu", row.scores_of("valid")).scores["bleu"]["score"])
            for row in trainings
        ]
        for label, trainings in complete.items()
    }
    return measure(rows, costs, part.by_length, runs.folder / "measured", valid)


def cost(training: Training, runs: Runs) -> dict[str, float]:
    """Return the cost of a training and the speed of its row's search."""
    speed = runs.speed(training)
    return training_cost(runs.run(training)) | {key: speed[key] for key in ("sentences_per_second",) if key in speed}


def report_problems(failures: dict[str, str], entries: Sequence[AnsweredQuestion], runs: Runs) -> None:
    """Raise an error for failed runs and outdated answers, which the page reports too.

    Raises:
        UserError: a run failed, or an answer contradicts the measurements.
    """
    if failures:
        name, reason = next(iter(failures.items()))
        raise UserError(
            f"{len(failures)} of the runs failed, first {name}: {reason}; the logs are in {runs.folder / 'logs'}, and "
            "the same command tries again"
        )
    if stale := [entry.name for entry in entries if entry.stale]:
        raise UserError(
            f"the answers of {', '.join(stale)} contradict the measurements; rewrite them in conf/questions"
        )


def main() -> None:
    app.run("questions", command)


if __name__ == "__main__":
    main()
