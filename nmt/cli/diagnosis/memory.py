"""diagnose.py memory: train the models to compare, and measure how well each translates distant verbs."""

import logging
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.cli import app
from nmt.cli.diagnosis.output import save_numbers
from nmt.config import (
    CellKind,
    Config,
    DiagnoseConfig,
    SearchConfig,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    user_path,
)
from nmt.console import escape_control_characters
from nmt.data import locate
from nmt.decoding import load_translator
from nmt.errors import Interrupted, UserError
from nmt.evaluation import translate_with_bar
from nmt.lab.benchmark.training import TrainingBenchmark
from nmt.lab.comparison.systems import group_seeds, iterate_runs, system_settings
from nmt.lab.diagnostics.memory import (
    Contestant,
    MeanAccuracy,
    accuracies,
    chance,
    contestants,
    draw_clauses,
    model_name,
)
from nmt.lab.plots.diagnostics import draw_memory
from nmt.pipeline import create_run, train
from nmt.run import RunDirectory, provenance
from nmt.runtime import Runtime

STEPS = 2000
HELD_OUT_SEED = 7_000_000
"""Seed of the sentences to translate, which are in no training set."""
CELLS = (CellKind.rnn, CellKind.gru, CellKind.lstm)
MEASURED = 8
"""Number of steps per training from which the total time is estimated, after the same number of warm-up steps."""

log = logging.getLogger(__name__)


def memory(config: DiagnoseConfig, search: SearchConfig, runtime: Runtime, folder: Path) -> None:
    """Write FOLDER/memory.json and memory.png, and print the table."""
    models = open_or_train_runs(config, search, runtime)
    runs = [run for seeds in models.values() for run in seeds]
    classes = draw_clauses(config.sentences, HELD_OUT_SEED, depth(runs), training_sentences(runs))
    clauses = [clause for members in classes.values() for clause in members]
    accuracy: dict[str, list[MeanAccuracy]] = {}
    for name, seeds in models.items():
        of_seeds = []
        for run in seeds:
            log.info("translating %d sentences: %s", len(clauses), run.path)
            translator, _ = load_translator(run, config.checkpoint, search, runtime.device)
            translations = translate_with_bar(translator, [clause.en for clause in clauses])
            of_seeds.append(accuracies(classes, [best.text for best, *_ in translations]))
        accuracy[name] = [MeanAccuracy(by_class) for by_class in zip(*of_seeds, strict=True)]
    labels = [f"{low} to {high}" for low, high in classes]
    by_chance = [MeanAccuracy((accuracy,)) for accuracy in chance(classes)]
    table = Table("distance in words", *labels, title="right verbs, in percent", title_justify="left")
    for name, values in [*accuracy.items(), ("chance", by_chance)]:
        table.add_row(Text(escape_control_characters(name)), *(cell(value) for value in values))
    Console(width=140).print(table)
    record = {
        "runs": {name: [str(run.path) for run in seeds] for name, seeds in models.items()},
        "distances": labels,
        "accuracy": {name: [numbers(value) for value in values] for name, values in accuracy.items()},
        "chance": [numbers(value) for value in by_chance],
    }
    save_numbers(folder, "memory", record)
    draw_memory(finding(accuracy, by_chance, labels[-1]), labels, accuracy, by_chance, folder / "memory.png")


def finding(accuracy: dict[str, list[MeanAccuracy]], by_chance: list[MeanAccuracy], last: str) -> str:
    """Return the title: the accuracies of the best and the worst model at the largest distance."""
    ranked = sorted(accuracy, key=lambda name: -accuracy[name][-1].share)
    shares = [f"{100 * accuracy[name][-1].share:.0f} % by {name}" for name in dict.fromkeys((ranked[0], ranked[-1]))]
    return f"Verbs at a distance of {last} words:\n{', '.join(shares)}, {100 * by_chance[-1].share:.0f} % by chance"


def cell(value: MeanAccuracy) -> str:
    low, high = value.interval
    return f"{100 * value.share:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def numbers(value: MeanAccuracy) -> dict[str, Any]:
    low, high = value.interval
    right = [accuracy.hits for accuracy in value.of_seeds]
    return {"share": value.share, "low": low, "high": high, "right": right, "of": value.of_seeds[0].of}


def depth(runs: Sequence[RunDirectory]) -> int:
    """Return the deepest nesting that all runs were trained on.

    Raises:
        UserError: a run does not translate the phrasebook into German.
    """
    depths = []
    for run in runs:
        data = run.config().data
        if data.phrasebook is None or data.tgt_lang != "de":
            raise UserError(
                f"{run.path} was not trained on the phrasebook into German, the only corpus that memory supports"
            )
        depths.append(data.phrasebook.depth)
    return min(depths)


def training_sentences(runs: Sequence[RunDirectory]) -> set[str]:
    """Return the English sentences of all corpora: models were trained or selected on them."""
    corpora = {str(data.phrasebook): replace(data, most_pairs=None) for data in (run.config().data for run in runs)}
    return {en for data in corpora.values() for source in locate(data).values() for en, _ in source.pairs()}


def open_or_train_runs(config: DiagnoseConfig, search: SearchConfig, runtime: Runtime) -> dict[str, list[RunDirectory]]:
    """Return the runs to compare by the name of their model; train those that do not exist."""
    if config.runs:
        return name_models(group_runs(iterate_runs(config.runs)))
    base = Config(
        data=config.data,
        model=config.model,
        optim=config.optim,
        train=training(config.steps or STEPS),
        search=search,
        tracking=TrackingConfig(mode=TrackingMode.disabled),
        machine=config.machine,
        seed=config.seed,
    )
    models = contestants(base, config.cells or CELLS)
    runs = {model.name: RunDirectory(user_path(config.trainings) / model.folder) for model in models}
    missing = [model for model in models if not (runs[model.name].exists and runs[model.name].finished)]
    if missing:
        log_estimated_time(missing, runtime)
    for model in missing:
        run_training(model, runs[model.name], runtime)
    return {name: [RunDirectory.open(str(run.path))] for name, run in runs.items()}


def group_runs(runs: Iterable[RunDirectory]) -> list[list[RunDirectory]]:
    """Return the runs, those together that differ only in their seed, in the order of their first runs."""
    return group_seeds(runs, lambda run: system_settings(run.config()), lambda run: run.config().seed)


def name_models(groups: Sequence[list[RunDirectory]]) -> dict[str, list[RunDirectory]]:
    """Return the groups by cell and attention, or by the path of the first run where models share these."""
    names = [model_name(group[0].config().model) for group in groups]
    return {
        name if name and names.count(name) == 1 else str(group[0].path): group
        for name, group in zip(names, groups, strict=True)
    }


def training(steps: int) -> TrainConfig:
    """Return the settings of a training that is validated only at its end."""
    return TrainConfig(batch_size=64, max_steps=steps, validate_every=steps, valid_sentences=100)


def log_estimated_time(missing: Sequence[Contestant], runtime: Runtime) -> None:
    """Log the time of all trainings, estimated from a few steps of each."""
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="nmt-diagnose-") as folder:
        for model in missing:
            path = Path(folder) / model.folder
            benchmark = TrainingBenchmark(model.config, path, runtime.device, runtime.bfloat16, MEASURED, peak=1.0)
            benchmark.repeat()
            seconds += benchmark.repeat()["seconds_per_step"] * model.config.train.max_steps
    message = "%d trainings of %d steps: at most about %.0f minutes; the same command continues stopped trainings"
    log.info(message, len(missing), missing[0].config.train.max_steps, seconds / 60)


def run_training(contestant: Contestant, run: RunDirectory, runtime: Runtime) -> None:
    """Train a model as `nmt-train` does, or continue its run."""
    config = contestant.config
    prepared = None if run.exists else create_run(run, config)
    log.info("%s: %s", contestant.name, run.path)
    try:
        # Standard output is for the comparison alone, without the scores of each training.
        with run.locked(), app.logging_to(run.path / "train.log"), redirect_stdout(sys.stderr):
            run.add_start(provenance([]))
            train(config, run, runtime, prepared)
    except Interrupted as error:
        app.fail(f"stopped by {error}; the same command continues", error.exit_code)
