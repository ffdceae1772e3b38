"""nmt-train: prepare, train, validate, keep the best, score the test set."""

import logging
from dataclasses import replace
from typing import Any

import torch
from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.machine import Machine, settle
from nmt.config import Config, from_hydra
from nmt.data import BOS_ID, PAD_ID, TrainingBatches, prepare
from nmt.errors import UserError
from nmt.evaluation import draw_learning_curves, evaluate_split, load_translator, show_scores
from nmt.models import Vocabulary, build_model
from nmt.run import RunDirectory, load_checkpoint, provenance
from nmt.training import Interrupted, Schedule, Tracker, Trainer, Validator, build_optimizer, cross_entropy

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    try:
        config, run = settle_run(cfg)
        machine = settle(config.machine)
        if not run.exists:
            run.create(config, prepare(config.data))
    finally:
        app.remove_unused_run_dir()
    if run.finished:
        log.info("%s is finished; nothing to do", run.path)
    else:
        run.add_start(provenance(app.overrides()))
        with app.logging_to(run.path / "train.log"):
            train(config, run, machine)
    print(run.path)


def settle_run(cfg: DictConfig) -> tuple[Config, RunDirectory]:
    """The configuration and the directory to train in: a new one, or the one to continue.

    Raises:
        UserError: the directory holds a run and nobody asked to continue it, or a run of another configuration.
    """
    resume = cfg.train.resume
    if resume not in (None, "auto"):
        run = RunDirectory.open(resume)
        overrides = [given for given in app.value_overrides() if not given.startswith("train.resume=")]
        config = run.config(overrides)
    else:
        run = RunDirectory(app.run_dir())
        config = from_hydra(Config, cfg)
        if not run.exists:
            if any((run.path / name).exists() for name in ("checkpoints", "metrics.jsonl")):
                raise UserError(f"hydra.run.dir={run.path} holds files that are no complete run; choose another folder")
            return config, run
        if resume is None:
            raise UserError(
                f"hydra.run.dir={run.path} holds a run; add train.resume=auto to continue it, or choose another folder"
            )
        run = RunDirectory.open(str(run.path))
    for key in ("data", "model", "seed"):
        if essence(getattr(run.config(), key)) != essence(getattr(config, key)):
            raise UserError(
                f"{run.path} was started with another {key} configuration; train that in a folder of its own"
            )
    return config, run


def essence(part: Any) -> Any:
    """What of a part of the configuration must not change within a run: not where the files are."""
    return replace(part, root=None, mirror=None, cache=None) if hasattr(part, "mirror") else part


def train(config: Config, run: RunDirectory, machine: Machine) -> None:
    """Trains a new or interrupted run to its end, and scores it on the test set."""
    tracker = Tracker(run.path, config.tracking, app.as_dict(config))
    try:
        trainer = build_trainer(config, run, machine, tracker)
        try:
            trainer.train()
        except Interrupted:
            log.warning("checkpoint of step %d kept; train.resume=%s continues", trainer.progress.step, run.path)
            raise
        finally:
            draw_learning_curves(run.metrics_path, run.folder("plots") / "learning_curves.png")
        log.info("trained %d steps in %.1f minutes", trainer.progress.step, trainer.progress.seconds / 60)
        if run.has_split("test"):
            translator, step = load_translator(run, "best", config.search, machine.device)
            scores = evaluate_split(run, translator, "test", step, config)
            tracker.summary({f"test/{name}": score.score for name, score in scores.items()})
            show_scores(scores)
        run.finish()
    finally:
        tracker.close()


def build_trainer(config: Config, run: RunDirectory, machine: Machine, tracker: Tracker) -> Trainer:
    """Builds all that the loop needs, at the run's last checkpoint if it has one."""
    prepared = prepare(config.data)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    torch.manual_seed(config.seed)
    model = build_model(config.model, Vocabulary(src.size, tgt.size, PAD_ID, BOS_ID)).to(machine.device)
    log.info("%.2f million parameters, %s", sum(p.numel() for p in model.parameters()) / 1e6, machine)
    source, reference = run.text("valid")
    most = config.train.valid_sentences
    validator = Validator(
        model,
        prepared.store("valid"),
        (source[:most], reference[:most]),
        (src, tgt),
        config.search,
        config.data.bleu_tokenize,
    )
    trainer = Trainer(
        model=model,
        objective=cross_entropy(config.train.label_smoothing),
        optimizer=build_optimizer(model, config.optim),
        schedule=Schedule(config.optim, config.train.max_steps),
        batches=TrainingBatches(
            prepared.store("train"),
            config.train.batch_unit,
            config.train.batch_size,
            config.train.pool_batches,
            config.seed,
        ),
        validate=validator,
        tracker=tracker,
        checkpoints=run.checkpoints,
        config=config.train,
        clip_norm=config.optim.clip_norm,
        bfloat16=machine.bfloat16,
    )
    validator.check()
    if (run.checkpoints / "last").exists():
        trainer.restore(load_checkpoint(run.checkpoints, "last"))
        log.info("continuing at step %d", trainer.progress.step)
    else:
        tracker.lines.rewind(0)
    return trainer


def main() -> None:
    app.run("train", command)


if __name__ == "__main__":
    main()
