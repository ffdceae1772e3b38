"""nmt-train: prepare, train, validate, keep the best, score the test set."""

import logging
from functools import partial
from typing import Any

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.streams import prepare_streams
from nmt.config import Config, from_hydra
from nmt.evaluation import show_scores
from nmt.metrics import Score, check_tokenizer
from nmt.pipeline import (
    create_run,
    reopen_run,
    resolve_run,
    train,
    train_worker,
    warn_of_other_threads,
    with_multirun_group,
    worker_assignment,
)
from nmt.run import RunDirectory, provenance
from nmt.runtime import setup_runtime
from nmt.training import DistributedContext, join_process_group, restart_count
from nmt.training.resume import changed_settings, has_work

log = logging.getLogger(__name__)


def command(cfg: DictConfig, distributed: DistributedContext) -> None:
    if not distributed.is_main:
        assignment: dict[str, Any] = distributed.broadcast_object({})
        app.remove_unused_run_dir()
        train_worker(assignment, distributed)
        return
    try:
        config, run = choose_run(cfg)
        runtime = setup_runtime(config.machine)
        check_tokenizer(config.data.bleu_tokenize)
        prepared = None if run.exists else create_run(run, config)
        more = has_work(run, config)
    finally:
        app.remove_unused_run_dir()
    distributed.broadcast_object(worker_assignment(config if more else None, run))
    scores: dict[str, Score] = {}
    if not more:
        log.info("%s is finished; nothing to do", run.path)
    else:
        with run.locked(), app.logging_to(run.path / "train.log"):
            run.take_up(changed_settings(config, run.first_config()))
            start = provenance(app.overrides())
            warn_of_other_threads(run, start["threads"])
            run.add_start(start)
            scores = train(config, run, runtime, prepared, distributed)
    if scores:  # after the run is marked as finished, which a full disk behind standard output must not prevent
        show_scores(scores)
    print(run.path)


def choose_run(cfg: DictConfig) -> tuple[Config, RunDirectory]:
    """Return the configuration and the directory of the run that the command line names, continues or begins.

    Raises:
        UserError: the directory cannot be used; see `nmt.pipeline.resolve_run` and `reopen_run`.
    """
    resume = cfg.train.resume or ("auto" if restart_count() else None)
    if resume not in (None, "auto"):
        return reopen_run(resume, app.value_overrides(), app.chosen_files())
    config = with_multirun_group(from_hydra(Config, cfg), app.multirun_name())
    siblings = app.other_runs() if resume else []
    return resolve_run(config, app.run_dir(), bool(resume), siblings, app.value_overrides())


def main() -> None:
    prepare_streams()  # before the process group is joined: it may start python again
    with join_process_group() as distributed:
        app.run("train", partial(command, distributed=distributed), alone=distributed.world_size == 1)


if __name__ == "__main__":
    main()
