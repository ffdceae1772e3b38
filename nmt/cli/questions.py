"""scripts/questions.py: trains what the questions need, compares, and writes the page of answers."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.launch.local_jobs import Job, run_jobs
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
from nmt.config import Part, Question, QuestionsConfig, conf_dir, from_hydra, load_config, path_of
from nmt.data import prepare
from nmt.errors import Interrupted, UserError
from nmt.lab.comparison import ScoredRun, cost_of, mean_cost
from nmt.lab.plots import draw_question
from nmt.lab.questions import Answered, Measured, Totals, claims_to_paste, measure, questions_page
from nmt.processor import available_cores

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    asked = from_hydra(QuestionsConfig, cfg)
    folder = Path(conf_dir()) / "questions" if asked.folder is None else path_of(asked.folder)
    questions = load_questions(folder)
    if asked.question is not None and asked.question not in questions:
        raise UserError(f"question={asked.question} is not in {folder}; there are: {', '.join(questions)}")
    tables = {name: tables_of(each, f"{folder / name}.yaml") for name, each in questions.items()}
    wanted = [table for name, each in tables.items() if asked.question in (None, name) for table in each]
    runs = Runs(path_of(asked.runs))
    if asked.dry:
        show_missing(wanted, runs)
        return
    failed: dict[str, str] = {}
    if asked.measure:
        with runs.locked():
            measure_speeds(wanted, runs)
    elif asked.jobs > 0:
        with runs.locked():
            failed = run_missing(wanted, runs, asked)
            if asked.then_measure:
                measure_speeds(wanted, Runs(runs.folder))
    runs = Runs(runs.folder)
    page = path_of(asked.page)
    entries = [answered(name, each, tables[name], runs, page.parent) for name, each in questions.items()]
    everything = trainings_of(table for each in tables.values() for table in each)
    done = [runs.spent(each) for each in everything if runs.trained(each)]
    missing = plan([table for each in tables.values() for table in each], runs)
    totals = Totals(len(everything), len(done), sum(done) / 3600, runs.longer(everything), missing)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(questions_page(entries, totals), encoding="utf-8")
    print(page)
    for each in entries:
        if each.complete and (each.stale or each.question.answer is None):
            print(claims_to_paste(each))
    complain(failed, entries, runs)


def load_questions(folder: Path) -> dict[str, Question]:
    """Each by the name of its file.

    Raises:
        UserError: a file is no question, or there is none.
    """
    found = {path.stem: load_config(Question, path) for path in sorted(folder.glob("*.yaml"))}
    if not found:
        raise UserError(f"{folder} has no question, a file NAME.yaml; see conf/questions")
    return found


def show_missing(tables: Sequence[Table], runs: Runs) -> None:
    trainings = trainings_of(tables)
    seconds = runs.seconds(trainings)
    for each in trainings:
        if each.key in seconds:
            minutes = f"{seconds[each.key] / 60:.1f} min"
            print(f"{each.key}  {minutes}  {' '.join(each.overrides)} seed={each.config.seed}")
    for each, split in translations_of(tables):
        if not runs.scored(each, split):
            print(f"{each.key}  {' '.join([*each.search, f'split={split}'])}")
    print(plan(tables, runs))


def translations_of(tables: Sequence[Table]) -> list[tuple[Training, str]]:
    """Return the translations that trainings do not make: every row's validation set, and the test set by searches."""
    return [(each, split) for each in rows_of(tables) for split in SPLITS if each.search or split != "test"]


def plan(tables: Sequence[Table], runs: Runs) -> str:
    """How much is missing, and how long it will take."""
    trainings, rows = trainings_of(tables), rows_of(tables)
    seconds, searches = runs.seconds(trainings), translations_of(tables)
    untranslated = [each for each in searches if not runs.scored(*each)]
    unmeasured = [each for each in rows if not runs.speed(each)]
    if not seconds and not untranslated and not unmeasured:
        return "nothing is missing"
    cores = available_cores()
    of_a_core = sum(seconds.values()) + TRANSLATION_SECONDS * len(untranslated)
    hours = (of_a_core / cores + SPEED_SECONDS * len(unmeasured)) / 3600
    rough = f", translations roughly, at {TRANSLATION_SECONDS:.0f} s of a core each" if untranslated else ""
    return (
        f"{len(seconds)} of {len(trainings)} trainings, {len(untranslated)} of {len(searches)} translations and "
        f"{len(unmeasured)} of {len(rows)} measurements of speed are missing: about {hours:.1f} hours of "
        f"{cores} core{'s' * (cores > 1)}{rough}"
    )


def run_missing(tables: Sequence[Table], runs: Runs, asked: QuestionsConfig) -> dict[str, str]:
    """Trains and translates; what failed, with the reason."""
    log.info(plan(tables, runs))
    threads = max(1, available_cores() // asked.jobs)
    seconds = runs.seconds(trainings_of(tables))
    missing = [each for each in trainings_of(tables) if each.key in seconds]
    prepare_corpora(missing, asked.mirror)

    def ended(job: Job) -> None:
        if seconds.pop(job.name, None) is not None:
            hours = sum(seconds.values()) / available_cores() / 3600
            log.info("%s is trained; %d left, about %.1f hours", job.name, len(seconds), hours)

    try:
        jobs = [training_job(each, runs, threads, asked.mirror) for each in missing]
        failed = run_jobs(jobs, asked.jobs, runs.folder / "logs", ended)
        runs = Runs(runs.folder)
        ready = [each for each in rows_of(tables) if runs.trained(each)]
        jobs = [translation_job(each, split, runs, threads) for each in ready for split in runs.missing_splits(each)]
        return failed | run_jobs(jobs, asked.jobs, runs.folder / "logs")
    except Interrupted as error:
        error.remedy = "the same command continues"
        raise


def prepare_corpora(trainings: Sequence[Training], mirror: str | None) -> None:
    """Each once and beforehand: the training that came first would have the memory for it in its peak."""
    for data in {repr(each.config.data): each.config.data for each in trainings}.values():
        with suppress(UserError):  # the trainings say so, each in its log
            prepare(data if mirror is None or data.download is None else replace(data, mirror=mirror))


def answered(name: str, question: Question, tables: Sequence[Table], runs: Runs, folder: Path) -> Answered:
    """What is measured of a question; draws its picture, below the page's folder."""
    done = [{row.label: sum(map(runs.translated, each)) for row, each in table} for table in tables]
    measured = [measured_part(part, table, runs) for part, table in zip(question.parts, tables, strict=True)]
    there = [runs.run(each) for each in trainings_of(tables) if runs.trained(each)]
    speeds = [found for each in rows_of(tables) if (found := runs.speed(each))]
    picture = Path("pictures") / "questions" / f"{name}.png"
    shown = [(part, table) for part, table in zip(question.parts, measured, strict=True) if table is not None]
    if shown:
        draw_question(shown, folder / picture)
    return Answered(name, question, measured, done, there, speeds, picture.as_posix() if shown else None)


def measured_part(part: Part, table: Table, runs: Runs) -> Measured | None:
    """Its rows of which every seed is there; None without the first row, which the others are tested against."""
    if not all(map(runs.translated, table[0][1])):
        return None
    there = {row.label: trainings for row, trainings in table if all(map(runs.translated, trainings))}
    rows = {
        label: [ScoredRun.open(runs.run(each), "test", name=each.scores) for each in trainings]
        for label, trainings in there.items()
    }
    costs = {label: mean_cost([cost(each, runs) for each in trainings]) for label, trainings in there.items()}
    valid = {
        label: [
            float(ScoredRun.open(runs.run(each), "valid", "bleu", each.scores_of("valid")).scores["bleu"]["score"])
            for each in trainings
        ]
        for label, trainings in there.items()
    }
    return measure(rows, costs, part.by_length, runs.folder / "measured", valid)


def cost(training: Training, runs: Runs) -> dict[str, float]:
    """Of the training, and of translating by the row's search."""
    speed = runs.speed(training)
    return cost_of(runs.run(training)) | {name: speed[name] for name in ("sentences_per_second",) if name in speed}


def complain(failed: dict[str, str], entries: Sequence[Answered], runs: Runs) -> None:
    """
    Raises:
        UserError: a run failed, or an answer is no longer what was measured; the page says so too.
    """
    if failed:
        name, reason = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of the runs failed, first {name}: {reason}; {runs.folder / 'logs'} has more, and the same "
            "command tries again"
        )
    if stale := [each.name for each in entries if each.stale]:
        raise UserError(f"the answers of {', '.join(stale)} no longer hold; write them anew in conf/questions")


def main() -> None:
    app.run("questions", command)


if __name__ == "__main__":
    main()
