"""scripts/questions.py: run the trainings that the questions need, compare them, and write the page of answers."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.launch.local_jobs import LocalJob, run_jobs
from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import Runs, Training, training_job, translation_job
from nmt.cli.questioning.speed import measure_speeds
from nmt.cli.questioning.tables import Table, possible_rows, rows_of, tables_of
from nmt.cli.questioning.work import QuestionWork
from nmt.config import Question, QuestionPart, QuestionsConfig, conf_dir, from_hydra, load_config, user_path
from nmt.data import prepare
from nmt.errors import Interrupted, UserError
from nmt.lab.plots.questions import draw_costs, draw_question
from nmt.lab.questions.measure import MeasuredTable, measure, without_verdicts
from nmt.lab.questions.measurement import Measurement
from nmt.lab.questions.page import AnsweredQuestion, WorkTotals, claims_to_paste, questions_page
from nmt.processor import available_cores

SHOWN_FILES = 3
"""Number of stale files that are named."""

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(QuestionsConfig, cfg)
    folder = Path(conf_dir()) / "questions" if config.folder is None else user_path(config.folder)
    questions = load_questions(folder)
    if config.question is not None and config.question not in questions:
        raise UserError(f"question={config.question} is not in {folder}; there are: {', '.join(questions)}")
    tables = {name: tables_of(question, f"{folder / name}.yaml") for name, question in questions.items()}
    selected = {name: parts for name, parts in tables.items() if config.question in (None, name)}
    runs, measurements = Runs(user_path(config.runs)), Measurements(user_path(config.measurements))
    everything = possible_rows(table for parts in tables.values() for table in parts)
    report_stale(measurements, everything)
    if config.dry:
        show_missing(QuestionWork(selected, runs, measurements))
        return
    store_finished(everything, runs, measurements)
    failures: dict[str, str] = {}
    if config.measure or config.jobs > 0:
        with runs.locked():
            if not config.measure:
                failures = run_missing(QuestionWork(selected, runs, measurements), config)
            runs = Runs(runs.folder)
            if config.measure or config.then_measure:
                measure_speeds(QuestionWork(selected, runs, measurements).shown, runs)
        store_finished(everything, runs, measurements)
    page = user_path(config.page)
    cache = runs.folder / "measured"
    entries = [answer(name, one, tables[name], measurements, page.parent, cache) for name, one in questions.items()]
    write_page(page, entries, QuestionWork(tables, runs, measurements))
    print(page)
    for entry in entries:
        if entry.complete and (entry.stale or entry.question.answer is None):
            print(claims_to_paste(entry))
    report_problems(failures, entries, runs)


def report_stale(measurements: Measurements, rows: Sequence[Training]) -> None:
    """Log the measurement files that belong to no present row; they are ignored."""
    if stale := measurements.stale(rows):
        shown = ", ".join(stale[:SHOWN_FILES]) + (", ..." if len(stale) > SHOWN_FILES else "")
        log.warning(
            "%d files in %s belong to no present row, because a setting or a question changed, and are ignored: %s",
            len(stale),
            measurements.folder,
            shown,
        )


def store_finished(rows: Sequence[Training], runs: Runs, measurements: Measurements) -> None:
    """Write the measurement files of all rows whose runs are finished."""
    if stored := measurements.store_finished(rows, runs):
        log.info("%d measurements of finished runs are written to %s", stored, measurements.folder)


def write_page(page: Path, entries: Sequence[AnsweredQuestion], work: QuestionWork) -> None:
    """Write the page of all questions, with the totals of their trainings."""
    seconds = [one.spent for row in work.trainings if (one := work.measurements.any_of(row)) is not None]
    longer = work.measurements.longer(work.trainings)
    needed = len(work.trainings) + len(work.pending(work.all_tables))
    totals = WorkTotals(needed, len(seconds), sum(seconds) / 3600, longer, work.describe())
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


def show_missing(work: QuestionWork) -> None:
    """Print the missing trainings with their estimated time, and the missing translations, in the order of the work."""
    rows = work.in_order()
    for training in trainings_in(rows, work):
        minutes = f"{work.seconds[training.key] / 60:.1f} min"
        print(f"{training.key}  {minutes}  {' '.join(training.overrides)} seed={training.config.seed}")
    for row, split in work.missing_translations(rows):
        print(f"{row.key}  {' '.join([*row.search, f'split={split}'])}")
    if unwritten := [row for row in rows if work.runs.translated(row)]:
        print(f"{len(unwritten)} rows have a finished run in {work.runs.folder}; the command writes their measurements")
    print(work.describe())


def trainings_in(rows: Sequence[Training], work: QuestionWork) -> list[Training]:
    """Return the missing trainings of the rows, in their order."""
    return [row for row in {row.key: row for row in rows}.values() if row.key in work.seconds]


def run_missing(work: QuestionWork, config: QuestionsConfig) -> dict[str, str]:
    """Run the missing trainings and translations, and return the reason of each failure by the name of the job.

    The translations of a training follow it, and the measurement of a row is written when it is translated. When the
    last of its learning rates is measured, the trainings of a row's other seeds follow.
    """
    log.info(work.describe())
    threads = max(1, available_cores() // config.jobs)
    until = math.inf if config.max_minutes is None else time.monotonic() + 60 * config.max_minutes
    rows, runs = work.in_order(), work.runs
    prepare_corpora(trainings_in(rows, work), config.mirror)
    started, row_of = dict[str, Training](), dict[str, Training]()
    unstored = without_corpus([row for row in rows if not runs.trained(row)])

    def translations(row: Training) -> list[LocalJob]:
        jobs = [translation_job(row, split, runs, threads, not row.search) for split in runs.missing_splits(row)]
        row_of.update({job.name: row for job in jobs})
        return jobs

    def jobs_of(new: Sequence[Training]) -> list[LocalJob]:
        """Return the jobs of rows without a measurement, and one of each of their trainings."""
        jobs = [job for row in new if runs.trained(row) for job in translations(row)]
        untrained = {row.key: row for row in new if not (runs.trained(row) or row.key in started | unstored)}
        started.update(untrained)
        return [*jobs, *(training_job(row, runs, threads, config.mirror) for row in untrained.values())]

    def after(job: LocalJob) -> list[LocalJob]:
        ended = [row for row in rows if row.key == job.name] or [row_of[job.name]]
        further: list[LocalJob] = []
        if job.name in started:
            runs.read_again(started[job.name])
            further = [job for row in ended for job in translations(row)]
        for row in ended:
            if runs.translated(row):
                try:
                    work.measurements.store(row, runs)
                except UserError as error:
                    unstored[f"{row.key}.{row.scores}"] = str(error)
        chosen = work.update()
        rows.extend(chosen)
        if job.name in started:
            hours = sum(work.seconds.values()) / available_cores() / 3600
            log.info("%s is trained; %d trainings left, about %.1f hours", job.name, len(work.seconds), hours)
        return [*further, *jobs_of(chosen)]

    try:
        failures = run_jobs(jobs_of(rows), config.jobs, runs.folder / "logs", after, until)
    except Interrupted as error:
        error.remedy = "the same command continues"
        raise
    if time.monotonic() >= until and work.seconds:
        log.info("max_minutes=%g: no further training was started; the same command continues", config.max_minutes)
    return failures | unstored


def without_corpus(rows: Sequence[Training]) -> dict[str, str]:
    """Return the keys of the trainings whose folder `data.root` is missing, each with the reason."""
    roots = {row.key: row.config.data.root for row in rows}
    return {
        key: f"{root}, the folder of its corpus, does not exist; make it or a link to it (docs/data.md)"
        for key, root in roots.items()
        if root is not None and not user_path(root).is_dir()
    }


def prepare_corpora(trainings: Sequence[Training], mirror: str | None) -> None:
    """Prepare each corpus once before the trainings, so that preparation is not in the peak memory of the first one."""
    for data in {repr(training.config.data): training.config.data for training in trainings}.values():
        with suppress(UserError):  # each training that needs the corpus reports the error in its log
            prepare(data if mirror is None or data.download is None else replace(data, mirror=mirror))


def answer(
    name: str, question: Question, tables: Sequence[Table], measurements: Measurements, folder: Path, cache: Path
) -> AnsweredQuestion:
    """Collect the measurements of a question, and draw its pictures below the folder of the page."""
    done = [
        {row.row.label: sum(map(measurements.measured, row.seeds(measurements))) for row in table} for table in tables
    ]
    rates = [{row.row.label: row.valid_bleu(measurements) for row in table} for table in tables]
    measured = [
        measure_part(part, table, measurements, cache) for part, table in zip(question.parts, tables, strict=True)
    ]
    existing = [one for row in rows_of(tables, measurements) if (one := measurements.of(row)) is not None]
    shown = [(part, table) for part, table in zip(question.parts, measured, strict=True) if table is not None]
    pictures = draw_pictures(name, shown, folder)
    return AnsweredQuestion(name, question, measured, done, rates, existing, pictures)


def draw_pictures(name: str, shown: Sequence[tuple[QuestionPart, MeasuredTable]], folder: Path) -> list[str]:
    """Draw the pictures of a question below the folder of the page, and return their paths relative to it."""
    by_cost = [(part, table) for part, table in shown if part.by_cost and table.trained_on_one]
    pictures = []
    for draw, parts, suffix in ((draw_question, shown, ""), (draw_costs, by_cost, "_costs")):
        if parts:
            picture = Path("pictures") / "questions" / f"{name}{suffix}.png"
            draw(parts, folder / picture)
            pictures.append(picture.as_posix())
    return pictures


def measure_part(part: QuestionPart, table: Table, measurements: Measurements, cache: Path) -> MeasuredTable | None:
    """Compare the rows of a part whose seeds are all measured; None if the first row, the baseline, is not.

    There are no verdicts until all rows are measured, because p is corrected for their number.
    """
    complete: dict[str, list[Measurement]] = {}
    for row in table:
        seeds = row.seeds(measurements)
        found = [one for seed in seeds if (one := measurements.of(seed)) is not None]
        if seeds and len(found) == len(seeds):
            complete[row.row.label] = found
    if table[0].row.label not in complete:
        return None
    measured = measure(complete, part.by_length, cache)
    return measured if len(complete) == len(table) else without_verdicts(measured)


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
