"""Training pipeline that commands and sweeps call: create or continue a run, train it, score its test set."""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nmt.config import Config, Precision, from_hydra
from nmt.data import Prepared
from nmt.decoding import load_translator
from nmt.errors import Interrupted, UserError
from nmt.evaluation import draw_learning_curves, evaluate_split
from nmt.metrics import Score
from nmt.run import (
    RunDirectory,
    forget_peak_memory,
    identity,
    newest_unfinished,
    peak_memory,
    prepare_corpus,
    provenance,
)
from nmt.run_corpus import prepare_new_corpus, with_base_tokenizer
from nmt.runtime import Runtime, setup_runtime
from nmt.training import (
    SINGLE_PROCESS,
    DistributedContext,
    NoTracker,
    Tracker,
    Trainer,
    build_trainer,
    check_backend,
    check_embeddings,
    check_initial_weights,
)
from nmt.training.resume import INITIAL, changed_settings

log = logging.getLogger(__name__)


def train(
    config: Config,
    run: RunDirectory,
    runtime: Runtime,
    prepared: Prepared | None = None,
    distributed: DistributedContext = SINGLE_PROCESS,
    defer_signals: bool = True,
) -> dict[str, Score]:
    """Train a new or interrupted run to its end, and score its test set with the best checkpoint.

    Args:
        config: configuration of the run.
        run: existing run directory, locked by the caller.
        runtime: device and precision.
        prepared: corpus that `create_run` returned; None prepares it here.
        distributed: ranks that train together. Only rank 0 calls this function; the others call `train_worker`.
        defer_signals: as in `Trainer.train`.

    Returns:
        the scores on the test set; empty if the corpus has none.
    """
    scores: dict[str, Score] = {}
    tracker = Tracker(run.path, config.tracking, plain_dict(config))
    try:
        fit(config, run, runtime, tracker, prepared, distributed=distributed, defer_signals=defer_signals)
        if run.has_split("test"):
            translator, step = load_translator(run, "best", config.search, runtime.device)
            translator.model.prepare_search(Precision.float32)
            scores = evaluate_split(run, translator, "test", step, config)
            tracker.summary({f"test/{name}": score.score for name, score in scores.items()})
        run.finish()
    finally:
        tracker.close()
    return scores


def fit(
    config: Config,
    run: RunDirectory,
    runtime: Runtime,
    tracker: Tracker,
    prepared: Prepared | None = None,
    should_prune: Callable[[], bool] | None = None,
    distributed: DistributedContext = SINGLE_PROCESS,
    defer_signals: bool = True,
) -> Trainer:
    """Train a new or interrupted run to its end, or until `should_prune` holds. The test set is not used.

    `defer_signals` is that of `Trainer.train`.

    Raises:
        Interrupted: a signal stopped the training; a checkpoint was written.
        UserError: the training cannot begin, or fails.
    """
    forget_peak_memory()
    prepared = prepared or prepare_corpus(config, run)
    trainer = build_trainer(config, run, prepared, tracker, runtime.device, runtime.bfloat16, distributed, should_prune)
    log.info("%s, %d process%s", runtime, distributed.world_size, "es" * (distributed.world_size > 1))
    try:
        trainer.train(defer_signals)
    except Interrupted:
        log.warning("checkpoint of step %s kept; train.resume=%s continues", trainer.saved_step, run.path)
        raise
    finally:
        record_cost(run, trainer)
        plot_learning_curves(run)
    log.info("trained %d steps in %.1f minutes", trainer.progress.step, trainer.progress.seconds / 60)
    return trainer


def worker_assignment(config: Config | None, run: RunDirectory) -> dict[str, Any]:
    """Return the object that rank 0 broadcasts to the workers. A `config` of None ends them: no work is left."""
    return {"run": str(run.path), "config": None if config is None else plain_dict(config)}


def train_worker(assignment: Mapping[str, Any], distributed: DistributedContext) -> None:
    """Train as one of the ranks above 0, in the run that rank 0 has created.

    Args:
        assignment: what rank 0 made with `worker_assignment`.
        distributed: this rank and the world size.
    """
    if assignment["config"] is None:
        return
    logging.getLogger("nmt").setLevel(logging.WARNING)
    config, run = from_hydra(Config, assignment["config"]), RunDirectory(Path(assignment["run"]))
    runtime = setup_runtime(config.machine)
    prepared = prepare_corpus(config, run)
    build_trainer(config, run, prepared, NoTracker(), runtime.device, runtime.bfloat16, distributed).train()


def resolve_run(
    config: Config,
    folder: Path,
    resume: bool = False,
    siblings: Sequence[Path] = (),
    overrides: Collection[str] = (),
) -> tuple[Config, RunDirectory]:
    """Return the configuration and the directory of a new run, or of the unfinished run to continue.

    Args:
        config: configuration of the run.
        folder: run directory to use.
        resume: continue the run in `folder`, or the newest unfinished run of the same configuration beside it.
        siblings: `run.json` of the runs beside `folder`.
        overrides: keys that the command line sets.

    Raises:
        UserError: `folder` holds a run and `resume` is false, or a run with another data, model or seed configuration.
    """
    check_backend(config.tracking)
    if config.train.init_from is not None:
        config = with_base_tokenizer(config, config.train.init_from, overrides)
    run = RunDirectory(folder)
    if resume and (unfinished := newest_unfinished(siblings, config)):
        run = unfinished
        log.info("continuing %s", run.path)
    if not run.exists:
        if any((run.path / name).exists() for name in ("checkpoints", "metrics.jsonl")):
            raise UserError(f"hydra.run.dir={run.path} holds files that are no complete run; choose another folder")
        return config, run
    if not resume:
        raise UserError(
            f"hydra.run.dir={run.path} holds a run; add train.resume=auto to continue it, or choose another folder"
        )
    run = RunDirectory.open(str(run.path))
    check_identity(config, run)
    return config, run


def reopen_run(path: str, values: Mapping[str, Any], ignored: Collection[str] = ()) -> tuple[Config, RunDirectory]:
    """Return the configuration and the directory of a run that the user names.

    Args:
        path: run directory.
        values: values from the command line by dotted key, which replace those of the run.
        ignored: choices of configuration files on the command line, which have no effect.

    Raises:
        UserError: the path is not a run, or the values change its data, model or seed configuration.
    """
    run = RunDirectory.open(path)
    if ignored:
        log.warning("%s has its own configuration; %s has no effect", run.path, ", ".join(ignored))
    config, begun = run.config(values), run.config()
    for key in INITIAL:
        name = key.removeprefix("train.")
        if getattr(config.train, name) != getattr(begun.train, name):
            raise UserError(
                f"{key} has no effect on {run.path}, which has begun; leave it out, or start a new run from this one "
                f"with train.init_from={run.path}"
            )
    check_identity(config, run)
    return config, run


def check_identity(config: Config, run: RunDirectory) -> None:
    """Check that the configuration may continue the run.

    Raises:
        UserError: the run was started with another data, model or seed configuration.
    """
    if identity(config) != run.identity:
        raise UserError(
            f"{run.path} was started with another data, model or seed configuration; train that in a folder of its own"
        )


def with_multirun_group(config: Config, multirun: str | None) -> Config:
    """Return the configuration with the name of the multirun as tracking group, unless a group is configured."""
    if config.tracking.group is not None or multirun is None:
        return config
    return replace(config, tracking=replace(config.tracking, group=multirun))


def create_run(run: RunDirectory, config: Config) -> Prepared:
    """Prepare the corpus, create the run directory and return the prepared corpus.

    Raises:
        UserError: the corpus cannot be prepared, too much of it is unknown to a vocabulary that is not its own, or the
            initial weights or frozen parts cannot be as configured.
    """
    check_initial_weights(config)
    prepared = prepare_new_corpus(config)
    check_embeddings(config, prepared)
    run.create(config, prepared)
    return prepared


def open_or_create(folder: Path, config: Config) -> tuple[RunDirectory, Prepared | None]:
    """Return the run in a folder; a new one is created and returned with its prepared corpus.

    Raises:
        UserError: the run is damaged, or cannot be created (see `create_run`).
    """
    run = RunDirectory(folder)
    return (RunDirectory.open(str(folder)), None) if run.exists else (run, create_run(run, config))


def record_start(run: RunDirectory, config: Config, overrides: list[str], command: list[str] | None = None) -> None:
    """Record in `run.json` a start of a training and the settings that it changes; the caller has locked the run.

    Args:
        run: existing run directory.
        config: configuration of this start.
        overrides: overrides of the configuration.
        command: words of the command; None: those of the command line.
    """
    run.take_up(changed_settings(config, run.first_config()))
    start = provenance(overrides, command)
    warn_of_other_threads(run, start["threads"])
    run.add_start(start)


def warn_of_other_threads(run: RunDirectory, threads: int) -> None:
    """Warn if the last start of the run used another number of threads."""
    earlier = [start.get("threads", threads) for start in run.record()["starts"]]
    if earlier and earlier[-1] != threads:
        log.warning(
            "the run was trained with %d threads and continues with %d, which changes its numbers in their last bits; "
            "machine.threads=%d keeps them",
            earlier[-1],
            threads,
            earlier[-1],
        )


def record_cost(run: RunDirectory, trainer: Trainer) -> None:
    """Record parameters, training time and peak memory in `run.json`."""
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    try:
        run.add_facts(parameters, trainer.progress.seconds, trainer.progress.cpu_seconds, peak_memory())
    except OSError as error:  # a full disk must not end the training
        log.warning("the cost of the training cannot be recorded: %s", error.strerror)


def plot_learning_curves(run: RunDirectory) -> None:
    """Write RUN/plots/learning_curves.png."""
    try:
        draw_learning_curves(run.metrics_path, run.folder("plots") / "learning_curves.png")
    except OSError as error:  # a full disk must not end the training
        log.warning("the learning curves cannot be drawn: %s", error.strerror)


def plain_dict(config: Config) -> dict[str, Any]:
    """Return a configuration as nested dictionaries of JSON values."""
    tree: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return tree
