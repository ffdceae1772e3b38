"""Training: objectives, optimizers, distributed data parallelism, validation, tracking and the loop."""

from nmt.training.average import WeightAverage
from nmt.training.build import build_trainer
from nmt.training.distributed import SINGLE_PROCESS, DistributedContext, join_process_group, restart_count
from nmt.training.initial_weights import check_embeddings, check_initial_weights
from nmt.training.objectives.likelihood import cross_entropy
from nmt.training.optim import Schedule, build_optimizer
from nmt.training.signals import StopSignals
from nmt.training.tracking import NoTracker, Tracker, check_backend
from nmt.training.trainer import Optimization, Trainer, TrainerSettings
from nmt.training.validation import Validator

__all__ = [
    "SINGLE_PROCESS",
    "DistributedContext",
    "NoTracker",
    "Optimization",
    "Schedule",
    "StopSignals",
    "Tracker",
    "Trainer",
    "TrainerSettings",
    "Validator",
    "WeightAverage",
    "build_optimizer",
    "build_trainer",
    "check_backend",
    "check_embeddings",
    "check_initial_weights",
    "cross_entropy",
    "join_process_group",
    "restart_count",
]
