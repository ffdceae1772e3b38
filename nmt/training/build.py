"""Construction of a trainer from a configuration, a run directory and its prepared corpus."""

import logging
from collections.abc import Callable, Sequence

import torch

from nmt.config import OBJECTIVES, Config, ObjectiveKind, OptimConfig, TrainConfig
from nmt.data import (
    Prepared,
    Tokenizer,
    TrainingBatches,
    build_sampling,
    temperature_shares,
    tokenizer_advice,
)
from nmt.metrics import sentence_scores
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import RunDirectory
from nmt.training.average import WeightAverage
from nmt.training.distributed import SINGLE_PROCESS, DistributedContext
from nmt.training.freezing import freeze
from nmt.training.initial_weights import load_initial_weights
from nmt.training.objectives.likelihood import Objective, TokenLoss, cross_entropy, with_weight_penalty
from nmt.training.objectives.r_drop import r_drop
from nmt.training.objectives.risk import risk
from nmt.training.objectives.scheduled_sampling import scheduled_sampling, teacher_forcing_probability
from nmt.training.optim import Schedule, build_optimizer
from nmt.training.progress import Progress
from nmt.training.resume import checkpoint_to_continue
from nmt.training.tracking import Tracker
from nmt.training.trainer import Optimization, Trainer, TrainerSettings
from nmt.training.validation import Validator

log = logging.getLogger(__name__)


def build_trainer(
    config: Config,
    run: RunDirectory,
    prepared: Prepared,
    tracker: Tracker,
    device: torch.device,
    bfloat16: bool,
    distributed: DistributedContext = SINGLE_PROCESS,
    should_prune: Callable[[], bool] | None = None,
) -> Trainer:
    """Build a trainer and restore the run's last checkpoint, if it has one.

    Args:
        config: configuration of the run.
        run: existing run directory.
        prepared: the run's corpus.
        tracker: receives the metrics.
        device: device to train on.
        bfloat16: train under bfloat16 autocast.
        distributed: rank and world size.
        should_prune: returns whether to stop for poor validations; replaces patience when a run is continued.

    Raises:
        UserError: the checkpoint is damaged, or does not fit the configuration.
    """
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    begun = (run.checkpoints / "last").is_symlink() or (run.checkpoints / "last").exists()
    vocabulary = Vocabulary(src.size, tgt.size, src.factor_sizes)

    def load(model: Seq2Seq) -> None:
        if not begun:
            load_initial_weights(config, run, prepared, model)

    model = initial_model(config, vocabulary, device, distributed, load)
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    log.info("%.2f million parameters on %s in %s", size, device, "bfloat16" if bfloat16 else "float32")
    text = run.text("valid")
    if distributed.is_main and (advice := tokenizer_advice(text[1], config.data.bleu_tokenize)):
        log.warning(advice)
    validator = build_validator(config, prepared, model, (src, tgt), text)
    progress = Progress()
    trainer = Trainer(
        model=model,
        objective=build_objective(config.train, config.optim, tgt, config.data.bleu_tokenize, lambda: progress.step),
        optimization=build_optimization(model, config),
        batches=build_batches(config, prepared, (src, tgt), distributed),
        validate=validator,
        tracker=tracker,
        settings=TrainerSettings(config.train, run.checkpoints, run.identity, bfloat16),
        progress=progress,
        distributed=distributed,
        should_prune=should_prune,
    )
    validator.check()
    if begun:
        trainer.load_checkpoint(checkpoint_to_continue(run, config.train.resume_step))
        if should_prune is None:  # patience may have been changed
            trainer.apply_patience()
        log.info("continuing at step %d", trainer.progress.step)
    else:
        tracker.rewind(0)
    return trainer


def initial_model(
    config: Config,
    vocabulary: Vocabulary,
    device: torch.device,
    distributed: DistributedContext,
    load: Callable[[Seq2Seq], None],
) -> Seq2Seq:
    """Build the model with the same initial weights on every rank, freeze parts of it, and seed the rank's dropout.

    Args:
        config: configuration of the run.
        vocabulary: sizes and special ids.
        device: device of the model.
        distributed: rank and world size.
        load: replaces random weights on rank 0 by those of another run or of pretrained embeddings.
    """
    torch.manual_seed(config.seed)
    model = build_model(config.model, vocabulary).to(device)
    if distributed.is_main:
        load(model)
    distributed.broadcast_parameters(model)
    freeze(model, config.train.freeze)
    if not distributed.is_main:  # every rank draws its own dropout masks
        torch.manual_seed(config.seed + (distributed.rank << 32))
    return model


def build_optimization(model: Seq2Seq, config: Config) -> Optimization:
    """Build optimizer, learning-rate schedule and weight average of a model."""
    return Optimization(
        build_optimizer(model, config.optim),
        Schedule(config.optim, config.train.max_steps),
        WeightAverage(model, config.train.ema_decay),
        config.optim.clip_norm,
    )


def build_validator(
    config: Config,
    prepared: Prepared,
    model: Seq2Seq,
    tokenizers: tuple[Tokenizer, Tokenizer],
    text: tuple[list[str], list[str]],
) -> Validator:
    """Build the validation of a model; the first `train.valid_sentences` of the text are decoded."""
    count = config.train.valid_sentences
    return Validator(
        model,
        prepared.store("valid"),
        (text[0][:count], text[1][:count]),
        tokenizers,
        config.search,
        config.data.bleu_tokenize,
        config.train.label_smoothing,
        config.data.src_lang,
    )


def build_batches(
    config: Config, prepared: Prepared, tokenizers: tuple[Tokenizer, Tokenizer], distributed: DistributedContext
) -> TrainingBatches:
    """Build the training batches of this rank."""
    pairs, train = prepared.store("train"), config.train
    sampling = None
    if train.subword_sampling is not None:
        sampling = build_sampling(pairs, tokenizers, train.subword_sampling, config.seed)
    shares: list[tuple[Sequence[range], int]] = []
    if train.direction_temperature != 1:
        shares = temperature_shares(prepared.direction_ranges(), train.direction_temperature)
    return TrainingBatches(
        pairs,
        train.batch_unit,
        train.batch_size * distributed.world_size,
        train.pool_batches,
        config.seed,
        sampling,
        (distributed.rank, distributed.world_size),
        train.both_directions,
        shares,
    )


def build_objective(
    train: TrainConfig, optim: OptimConfig, tgt: Tokenizer, bleu_tokenize: str, step: Callable[[], int]
) -> Objective:
    """Build the objective that the configuration names.

    Args:
        train: kind and strengths of the objective.
        optim: strengths of the penalties on the weights.
        tgt: decodes ids to text for the metric of minimum risk training.
        bleu_tokenize: sacrebleu's tokenizer.
        step: returns the number of steps taken, for scheduled sampling.
    """

    def sentence_losses(hypotheses: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> list[float]:
        texts = tgt.decode(hypotheses), tgt.decode(references)
        return [100 - score for score in sentence_scores(*texts, train.risk_metric, bleu_tokenize)]

    match train.objective:
        case ObjectiveKind.cross_entropy:
            objective = cross_entropy(train.label_smoothing, train.ar, train.tar)
        case ObjectiveKind.r_drop:
            objective = r_drop(TokenLoss(train.label_smoothing, train.ar, train.tar), train.r_drop_alpha)
        case ObjectiveKind.risk:
            objective = risk(
                sentence_losses, train.risk_samples, train.risk_alpha, train.risk_temperature, train.risk_reference
            )
        case name:
            objective = OBJECTIVES.find(name)(train)
    if train.scheduled_sampling is not None:
        objective = scheduled_sampling(objective, lambda: teacher_forcing_probability(train, step()))
    if optim.l1 or optim.l2:
        objective = with_weight_penalty(objective, optim.l1, optim.l2)
    return objective
