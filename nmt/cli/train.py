"""nmt-train: prepare, train, validate, keep the best, score the test set."""

import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.streams import prepare_streams
from nmt.cli.resume import apply_patience, differences, has_work
from nmt.config import Config, from_hydra
from nmt.data import UNK_ID, PairStore, prepare
from nmt.decoding import load_translator
from nmt.errors import Interrupted, UserError
from nmt.evaluation import draw_learning_curves, evaluate_split, show_scores
from nmt.metrics import Score, check_tokenizer
from nmt.run import (
    RunDirectory,
    forget_peak_memory,
    identity,
    newest_unfinished,
    peak_memory,
    provenance,
)
from nmt.runtime import Runtime, setup_runtime
from nmt.training import (
    SINGLE_PROCESS,
    DistributedContext,
    NoTracker,
    Tracker,
    Trainer,
    build_trainer,
    joined,
    restart_count,
)

log = logging.getLogger(__name__)


def command(cfg: DictConfig, processes: DistributedContext) -> None:
    if not processes.first:
        follow(processes)
        return
    try:
        config, run = resolve_run(cfg)
        machine = setup_runtime(config.machine)
        check_tokenizer(config.data.bleu_tokenize)
        if not run.exists:
            create_run(run, config)
        more = has_work(run, config)
    finally:
        app.remove_unused_run_dir()
    processes.broadcast_object({"run": str(run.path), "config": app.as_dict(config) if more else None})
    scores: dict[str, Score] = {}
    if not more:
        log.info("%s is finished; nothing to do", run.path)
    else:
        with run.locked(), app.logging_to(run.path / "train.log"):
            run.take_up(differences(config, run.first_config()))
            start = provenance(app.overrides())
            warn_of_other_threads(run, start["threads"])
            run.add_start(start)
            scores = train(config, run, machine, processes)
    if scores:  # after the run is marked as finished, which a full disk behind standard output must not prevent
        show_scores(scores)
    print(run.path)


def follow(processes: DistributedContext) -> None:
    """What the other processes do of a training: their share of each batch, in the run that the first has settled."""
    settled: dict[str, Any] = processes.broadcast_object({})
    app.remove_unused_run_dir()
    if settled["config"] is None:
        return
    logging.getLogger("nmt").setLevel(logging.WARNING)
    config, run = from_hydra(Config, settled["config"]), RunDirectory(Path(settled["run"]))
    machine = setup_runtime(config.machine)
    trainer = build_trainer(config, run, NoTracker(), machine.device, machine.bfloat16, processes)
    apply_patience(trainer)
    trainer.train()


def resolve_run(cfg: DictConfig) -> tuple[Config, RunDirectory]:
    """The configuration and the directory to train in: a new one, or the one to continue.

    Raises:
        UserError: the directory holds a run and nobody asked to continue it, or a run of another configuration.
    """
    resume = cfg.train.resume or ("auto" if restart_count() else None)
    if resume not in (None, "auto"):
        run = RunDirectory.open(resume)
        if ignored := app.chosen_files():
            log.warning("%s has its own configuration, and %s is not heeded", run.path, ", ".join(ignored))
        config = run.config(app.value_overrides())
    else:
        config = with_multirun_group(from_hydra(Config, cfg))
        if config.train.init_from is not None:
            config = fine_tuned(config, config.train.init_from, app.value_overrides())
        run = RunDirectory(app.run_dir())
        if resume == "auto" and (unfinished := newest_unfinished(app.other_runs(), config)):
            run = unfinished
            log.info("continuing %s", run.path)
        if not run.exists:
            if any((run.path / name).exists() for name in ("checkpoints", "metrics.jsonl")):
                raise UserError(f"hydra.run.dir={run.path} holds files that are no complete run; choose another folder")
            return config, run
        if resume is None:
            raise UserError(
                f"hydra.run.dir={run.path} holds a run; add train.resume=auto to continue it, or choose another folder"
            )
        run = RunDirectory.open(str(run.path))
    if identity(config) != run.identity:
        raise UserError(
            f"{run.path} was started with another data, model or seed configuration; train that in a folder of its own"
        )
    return config, run


def with_multirun_group(config: Config) -> Config:
    """The configuration with the name of the multirun, where this is a job of one, as the group of its runs."""
    if config.tracking.group is not None or app.multirun_name() is None:
        return config
    return replace(config, tracking=replace(config.tracking, group=app.multirun_name()))


def fine_tuned(config: Config, base: str, overrides: Collection[str] = ()) -> Config:
    """Return the configuration with the tokenizer of the run that it starts from.

    Args:
        config: of the new run.
        base: the run that it starts from.
        overrides: keys that the command line sets.

    Raises:
        UserError: the models differ in more than probabilities, or the command line sets another tokenizer.
    """
    given = RunDirectory.open(base).config()
    pairs = [
        (field.name, getattr(given.model, field.name), getattr(config.model, field.name))
        for field in fields(given.model)
    ]
    other = [(name, theirs, own) for name, theirs, own in pairs if theirs != own and not isinstance(theirs, float)]
    if other:
        said = ", ".join(f"model.{name}={theirs} (here {own})" for name, theirs, own in other)
        raise UserError(f"train.init_from={base} has {said}; give the same")
    for override in overrides:
        key = override.removeprefix("data.tokenizer.")
        if override.startswith("data.tokenizer.") and key in asdict(given.data.tokenizer):
            theirs, own = getattr(given.data.tokenizer, key), getattr(config.data.tokenizer, key)
            if theirs != own:
                raise UserError(
                    f"data.tokenizer.{key}={own} has no effect: train.init_from={base} brings its own tokenizer, with "
                    f"{key}={theirs}; leave the key out"
                )
    return replace(config, data=replace(config.data, tokenizer=given.data.tokenizer))


def warn_of_other_threads(run: RunDirectory, threads: int) -> None:
    before = [start.get("threads", threads) for start in run.record()["starts"]]
    if before and before[-1] != threads:
        message = "the run was trained with %d threads and goes on with %d: its numbers will differ in their last bits"
        log.warning(f"{message}; machine.threads=%d keeps them", before[-1], threads, before[-1])


def create_run(run: RunDirectory, config: Config) -> None:
    """Prepare the corpus, and make a new run of it.

    Raises:
        UserError: the corpus cannot be prepared, or the vocabulary of the run to start from cannot write it.
    """
    base = config.train.init_from
    prepared = prepare(config.data, RunDirectory.open(base).tokenizers() if base else None)
    if base is not None:
        check_unknown(prepared.store("train"), base, config.train.max_unknown)
    run.create(config, prepared)


def check_unknown(pairs: PairStore, base: str, most: float) -> None:
    """Report the share of pieces that the vocabulary of a run does not have.

    Raises:
        UserError: it is larger than `most` on a side.
    """
    for name, side in (("source", pairs.src), ("target", pairs.tgt)):
        unknown, total = side.share_of(UNK_ID)
        share = unknown / max(total, 1)
        if share > most:
            raise UserError(
                f"train.init_from={base}: {share:.1%} of the pieces of the {name} text are unknown to its vocabulary "
                f"(train.max_unknown={most:g}); train without init_from, which makes a vocabulary of this corpus, or "
                "remove the lines in other scripts"
            )
        if unknown:
            log.warning("%.2f %% of the pieces of the %s text are unknown to %s's vocabulary", 100 * share, name, base)


def train(
    config: Config, run: RunDirectory, machine: Runtime, processes: DistributedContext = SINGLE_PROCESS
) -> dict[str, Score]:
    """Train a new or interrupted run to its end, and return its scores on the test set, if there is one."""
    scores: dict[str, Score] = {}
    tracker = Tracker(run.path, config.tracking, app.as_dict(config))
    try:
        fit(config, run, machine, tracker, processes=processes)
        if run.has_split("test"):
            translator, step = load_translator(run, "best", config.search, machine.device)
            scores = evaluate_split(run, translator, "test", step, config)
            tracker.summary({f"test/{name}": score.score for name, score in scores.items()})
        run.finish()
    finally:
        tracker.close()
    return scores


def fit(
    config: Config,
    run: RunDirectory,
    machine: Runtime,
    tracker: Tracker,
    poor: Callable[[], bool] | None = None,
    processes: DistributedContext = SINGLE_PROCESS,
) -> Trainer:
    """Trains a new or interrupted run to its end, or until its validations are `poor`; leaves the test set alone.

    Raises:
        Interrupted: a signal asked to stop; a checkpoint was written.
        UserError: the training cannot begin, or fails.
    """
    forget_peak_memory()
    trainer = build_trainer(config, run, tracker, machine.device, machine.bfloat16, processes)
    if poor is None:
        apply_patience(trainer)
    else:
        trainer.poor = poor
    log.info("%s, %d process%s", machine, processes.count, "es" * (processes.count > 1))
    try:
        trainer.train()
    except Interrupted:
        log.warning("checkpoint of step %s kept; train.resume=%s continues", trainer.saved_step, run.path)
        raise
    finally:
        record_cost(run, trainer)
        draw(run)
    log.info("trained %d steps in %.1f minutes", trainer.progress.step, trainer.progress.seconds / 60)
    return trainer


def record_cost(run: RunDirectory, trainer: Trainer) -> None:
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    try:
        run.add_facts(parameters, trainer.progress.seconds, peak_memory())
    except OSError as error:  # as with the picture below
        log.warning("what the training cost cannot be recorded: %s", error.strerror)


def draw(run: RunDirectory) -> None:
    try:
        draw_learning_curves(run.metrics_path, run.folder("plots") / "learning_curves.png")
    except OSError as error:  # a full disk costs the picture, not the training
        log.warning("the learning curves cannot be drawn: %s", error.strerror)


def main() -> None:
    prepare_streams()  # before the processes meet: python may be started again
    with joined() as processes:
        app.run("train", partial(command, processes=processes), alone=processes.count == 1)


if __name__ == "__main__":
    main()
