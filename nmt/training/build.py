"""A trainer from a configuration and a run directory: the one place where its parts are put together."""

import logging

import torch

from nmt.config import Config
from nmt.data import BOS_ID, PAD_ID, TrainingBatches, prepare
from nmt.errors import UserError
from nmt.models import Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, folder_name, go_back, load_checkpoint, newest_whole
from nmt.training.objectives import cross_entropy
from nmt.training.optim import Schedule, build_optimizer
from nmt.training.tracking import Tracker
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator

log = logging.getLogger(__name__)


def build_trainer(config: Config, run: RunDirectory, tracker: Tracker, device: torch.device, bfloat16: bool) -> Trainer:
    """Builds all that the loop needs, at the run's last checkpoint if it has one.

    Raises:
        UserError: the corpus cannot be prepared, or the checkpoint is damaged.
    """
    prepared = prepare(config.data)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    torch.manual_seed(config.seed)
    model = build_model(config.model, Vocabulary(src.size, tgt.size, PAD_ID, BOS_ID)).to(device)
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    log.info("%.2f million parameters on %s in %s", size, device, "bfloat16" if bfloat16 else "float32")
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
        bfloat16=bfloat16,
        run=run.identity,
    )
    validator.check()
    if (run.checkpoints / "last").is_symlink() or (run.checkpoints / "last").exists():
        trainer.restore(checkpoint_to_continue(run, config.train.resume_step))
        log.info("continuing at step %d", trainer.progress.step)
    else:
        tracker.lines.rewind(0)
    return trainer


def checkpoint_to_continue(run: RunDirectory, step: int | None) -> Checkpoint:
    """The last checkpoint, or that of a step.

    Raises:
        UserError: it is damaged; the newest whole one is offered.
    """
    folder, identity = run.checkpoints, run.identity
    if step is not None:
        found = load_checkpoint(folder, folder_name(step), identity)
        go_back(folder, step)
        return found
    try:
        return load_checkpoint(folder, "last", identity)
    except UserError as error:
        whole = newest_whole(folder, identity)
        offer = (
            "no other is left" if whole is None else f"train.resume_step={whole} continues from the newest whole one"
        )
        raise UserError(f"{error}; {offer}") from None
