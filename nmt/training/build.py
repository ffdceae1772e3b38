"""A trainer from a configuration and a run directory: the one place where its parts are put together."""

import logging
from collections.abc import Callable, Sequence

import torch

from nmt.config import Config, ObjectiveKind, OptimConfig, TrainConfig
from nmt.data import BOS_ID, PAD_ID, Tokenizer, TrainingBatches, build_sampling, prepare, tokenizer_advice
from nmt.errors import UserError
from nmt.metrics import sentence_scores
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, folder_name, go_back, load_checkpoint, load_weights, newest_whole
from nmt.training.average import WeightAverage
from nmt.training.distributed import SINGLE_PROCESS, DistributedContext
from nmt.training.objectives.likelihood import Objective, TokenLoss, cross_entropy, with_weight_penalty
from nmt.training.objectives.r_drop import r_drop
from nmt.training.objectives.risk import risk
from nmt.training.objectives.scheduled_sampling import scheduled_sampling, share_of_truth
from nmt.training.optim import Schedule, build_optimizer
from nmt.training.tracking import Tracker
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator

log = logging.getLogger(__name__)


def build_trainer(
    config: Config,
    run: RunDirectory,
    tracker: Tracker,
    device: torch.device,
    bfloat16: bool,
    processes: DistributedContext = SINGLE_PROCESS,
) -> Trainer:
    """Builds all that the loop needs, at the run's last checkpoint if it has one.

    Raises:
        UserError: the corpus cannot be prepared, or the checkpoint is damaged.
    """
    prepared = prepare(config.data, run.tokenizers() if config.train.init_from else None)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    torch.manual_seed(config.seed)
    model = build_model(config.model, Vocabulary(src.size, tgt.size, PAD_ID, BOS_ID)).to(device)
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    log.info("%.2f million parameters on %s in %s", size, device, "bfloat16" if bfloat16 else "float32")
    begun = (run.checkpoints / "last").is_symlink() or (run.checkpoints / "last").exists()
    if config.train.init_from and not begun:
        start_from(config.train.init_from, model)
    processes.broadcast_parameters(model)
    if not processes.first:  # each draws its own dropout
        torch.manual_seed(config.seed + (processes.rank << 32))
    source, reference = run.text("valid")
    if processes.first and (advice := tokenizer_advice(reference, config.data.bleu_tokenize)):
        log.warning(advice)
    most = config.train.valid_sentences
    validator = Validator(
        model,
        prepared.store("valid"),
        (source[:most], reference[:most]),
        (src, tgt),
        config.search,
        config.data.bleu_tokenize,
        config.train.label_smoothing,
    )
    pairs, strength = prepared.store("train"), config.train.subword_sampling
    kind = config.data.tokenizer.type
    sampling = None if strength is None else build_sampling(pairs, (src, tgt), kind, strength, config.seed)
    trainer = Trainer(
        model=model,
        objective=build_objective(
            config.train, config.optim, tgt, config.data.bleu_tokenize, lambda: trainer.progress.step
        ),
        optimizer=build_optimizer(model, config.optim),
        schedule=Schedule(config.optim, config.train.max_steps),
        average=WeightAverage(model, config.train.ema_decay),
        batches=TrainingBatches(
            pairs,
            config.train.batch_unit,
            config.train.batch_size * processes.count,
            config.train.pool_batches,
            config.seed,
            sampling,
            (processes.rank, processes.count),
            config.train.both_directions,
        ),
        validate=validator,
        tracker=tracker,
        checkpoints=run.checkpoints,
        config=config.train,
        clip_norm=config.optim.clip_norm,
        bfloat16=bfloat16,
        run=run.identity,
        processes=processes,
    )
    validator.check()
    if begun:
        trainer.restore(checkpoint_to_continue(run, config.train.resume_step))
        log.info("continuing at step %d", trainer.progress.step)
    else:
        tracker.rewind(0)
    return trainer


def start_from(path: str, model: Seq2Seq) -> None:
    """Gives a model the best weights of a run.

    Raises:
        UserError: the run has another model, or is damaged.
    """
    base = RunDirectory.open(path)
    link = base.checkpoint_link("best")
    step, weights = load_weights(base.checkpoints, link, base.identity)
    model.load_weights(weights)
    log.info("starting from step %d of %s, its %s checkpoint", step, path, link)


def build_objective(
    train: TrainConfig, optim: OptimConfig, tgt: Tokenizer, bleu_tokenize: str, step: Callable[[], int]
) -> Objective:
    """What the loop minimises.

    Args:
        train: chooses it.
        optim: has the penalties on the weights.
        tgt: makes text of ids for the metric of risk training.
        bleu_tokenize: sacrebleu's tokenizer.
        step: gives the steps taken so far, for what changes with them.
    """

    def loss(hypotheses: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> list[float]:
        texts = tgt.decode(hypotheses), tgt.decode(references)
        return [100 - score for score in sentence_scores(*texts, train.risk_metric, bleu_tokenize)]

    match train.objective:
        case ObjectiveKind.cross_entropy:
            objective = cross_entropy(train.label_smoothing, train.ar, train.tar)
        case ObjectiveKind.r_drop:
            objective = r_drop(TokenLoss(train.label_smoothing, train.ar, train.tar), train.r_drop_alpha)
        case ObjectiveKind.risk:
            objective = risk(loss, train.risk_samples, train.risk_alpha, train.risk_temperature, train.risk_reference)
    if train.scheduled_sampling is not None:
        objective = scheduled_sampling(objective, lambda: share_of_truth(train, step()))
    if optim.l1 or optim.l2:
        objective = with_weight_penalty(objective, optim.l1, optim.l2)
    return objective


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
