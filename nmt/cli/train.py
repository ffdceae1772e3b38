"""nmt-train: prepare, train, validate, keep the best, score the test set."""

import logging
from functools import partial
from typing import Any

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.choose_run import choose_run
from nmt.cli.app.streams import prepare_streams
from nmt.evaluation import show_scores
from nmt.metrics import Score, check_tokenizer
from nmt.pipeline import create_run, record_start, train, train_worker, worker_assignment
from nmt.runtime import setup_runtime
from nmt.training import DistributedContext, join_process_group
from nmt.training.resume import has_work

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
            record_start(run, config, app.overrides())
            scores = train(config, run, runtime, prepared, distributed)
    if scores:  # after the run is marked as finished, which a full disk behind standard output must not prevent
        show_scores(scores)
    print(run.path)


def main() -> None:
    prepare_streams()  # before the process group is joined: it may start python again
    with join_process_group() as distributed:
        app.run("train", partial(command, distributed=distributed), alone=distributed.world_size == 1)


if __name__ == "__main__":
    main()
