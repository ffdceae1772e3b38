"""Optimizers, learning-rate schedules and gradient clipping."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from nmt.config import OptimConfig, OptimizerKind, ScheduleKind
from nmt.models import Seq2Seq


def build_optimizer(model: Seq2Seq, config: OptimConfig) -> Optimizer:
    """Build Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) or SGD with momentum, in fused form."""
    parameters = list(model.parameters())
    beta1, beta2 = config.betas
    match config.kind:
        case OptimizerKind.adam:
            return Adam(
                parameters,
                lr=config.learning_rate,
                betas=(beta1, beta2),
                eps=config.eps,
                weight_decay=config.weight_decay,
                fused=True,
            )
        case OptimizerKind.adamw:
            return AdamW(
                parameters,
                lr=config.learning_rate,
                betas=(beta1, beta2),
                eps=config.eps,
                weight_decay=config.weight_decay,
                fused=True,
            )
        case OptimizerKind.sgd:
            return SGD(
                parameters,
                lr=config.learning_rate,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                fused=True,
            )


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors, named by the index of the parameter and the moment, as `3.exp_avg`."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, moments in state.items()
        for name, value in moments.items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` returned, except for parameters that have been frozen since.

    Raises:
        ValueError: a tensor belongs to another optimizer or model, or is not finite.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        if value.shape not in ((), parameters[int(index)].shape) or value.dtype != torch.float32:
            raise ValueError(f"optimizer.{key} does not fit its parameter")
        if not value.isfinite().all():
            raise ValueError(f"optimizer.{key} is not finite")
        if parameters[int(index)].requires_grad:
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


class Schedule:
    """Learning rate as a function of the step."""

    def __init__(self, config: OptimConfig, max_steps: int) -> None:
        self.config = config
        self.max_steps = max_steps
        self.lowered = 1.0
        """Factor of the plateau schedule so far."""
        self.since_best = 0
        """Number of validations without progress, for the plateau schedule."""

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of step 1, 2, ...: a linear warm-up, then the schedule."""
        config = self.config
        if step < config.warmup_steps:
            return config.learning_rate * step / config.warmup_steps
        match config.schedule:
            case ScheduleKind.constant:
                share = 1.0
            case ScheduleKind.inverse_sqrt:  # Vaswani et al. 2017, eq. 3, scaled to a maximum of 1
                share = math.sqrt(max(config.warmup_steps, 1) / step)
            case ScheduleKind.cosine:  # Loshchilov and Hutter 2017, eq. 5, without restarts
                done = min(1.0, (step - config.warmup_steps) / max(1, self.max_steps - config.warmup_steps))
                share = config.final_ratio + (1 - config.final_ratio) * (1 + math.cos(math.pi * done)) / 2
            case ScheduleKind.plateau:
                share = self.lowered
            case ScheduleKind.halving:
                since = step - 1 - config.halve_after  # steps taken since the first halving
                share = 0.5 ** (1 + since // config.halve_every) if since >= 0 and config.halve_every else 1.0
        return config.learning_rate * share

    def update_plateau(self, improved: bool) -> None:
        """Count a validation for the plateau schedule, and lower the learning rate after too many without progress."""
        self.since_best = 0 if improved else self.since_best + 1
        if self.since_best > self.config.plateau_patience:
            self.lowered *= self.config.plateau_factor
            self.since_best = 0

    def state_dict(self) -> dict[str, float]:
        return {"lowered": self.lowered, "since_best": self.since_best}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.lowered, self.since_best = float(state["lowered"]), int(state["since_best"])


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def clip_gradients(model: torch.nn.Module, max_norm: float) -> Tensor:
    """Scale the gradients down to a global norm (Pascanu et al. 2013) and return the norm before; 0 disables it."""
    return torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm or math.inf, foreach=True)
