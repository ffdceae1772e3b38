"""nmt-back-translate: train on machine translations of monolingual text, in rounds."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmt.back_translation import BackTranslation, Round
from nmt.cli import app
from nmt.config import BackTranslationConfig, Config, with_search
from nmt.data import locked, written
from nmt.lab.comparison.report import table_lines
from nmt.pipeline import check_identity, open_or_create, record_start, train
from nmt.run import RunDirectory
from nmt.runtime import Runtime, setup_runtime

REMEDY = "the same command continues"
HEADER = ("round", "synthetic pairs", "reverse BLEU", "BLEU", "chrF", "perplexity")


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    for key in ("text", "output"):
        app.required(cfg, key)
    config, search = with_search(BackTranslationConfig, cfg, run.config().search)
    runtime = setup_runtime(config.machine)
    work = BackTranslation(run, config, search, runtime, partial(finished_run, runtime=runtime))
    busy = f"output={config.output} is in use by another process"
    with locked(work.folder / ".lock", busy), app.interruptible(REMEDY):
        work.begin()
        rounds: list[Round] = []
        for done in work.rounds():
            rounds.append(done)
            show(rows(rounds))
            with written(str(work.folder / "report.md")) as report:
                report.write(markdown(rounds))
    best = max(rounds, key=lambda done: float(done.scores["bleu"]["score"]))
    print(best.run)


def finished_run(config: Config, path: Path, runtime: Runtime) -> RunDirectory:
    """Train a new or interrupted run to its end, and return it."""
    run, prepared = open_or_create(path, config)
    check_identity(config, run)
    if not run.finished:
        with run.locked(), app.logging_to(run.path / "train.log"):
            record_start(run, config, app.overrides())
            train(config, run, runtime, prepared)
    return run


def rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """Return the cells of the table, one row per round."""
    table = []
    for done in rounds:
        scores = [f"{done.scores[name]['score']:.2f}" for name in ("bleu", "chrf", "perplexity")]
        reverse = "" if done.reverse_scores is None else f"{done.reverse_scores['bleu']['score']:.2f}"
        table.append((str(done.number), f"{done.pairs:,}" if done.number else "", reverse, *scores))
    return table


def show(cells: Sequence[Sequence[str]]) -> None:
    """Print the table on standard error."""
    table = Table(*HEADER, title="validation set", title_justify="left")
    for row in cells:
        table.add_row(*map(escape, row))
    Console(stderr=True).print(table)


def markdown(rounds: Sequence[Round]) -> str:
    """Return the report: the table, the run of each round, and the signatures."""
    lines = ["# Back-translation", "", "Scores are of the validation set. Round 0 is the run that was given.", ""]
    lines += [*table_lines(HEADER, rows(rounds)), "Runs:", ""]
    lines += [f"- Round {done.number}: `{done.run}`" for done in rounds]
    lines += [f"- Round {done.number}, reverse: `{done.reverse}`" for done in rounds if done.reverse is not None]
    lines += ["", "Signatures:", ""]
    lines += [f"- {name}: `{score['signature']}`" for name, score in rounds[0].scores.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    app.run("back_translate", command)


if __name__ == "__main__":
    main()
