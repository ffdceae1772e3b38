"""Configuration of optimisation: `optim.*`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number


class OptimizerKind(StrEnum):
    """Optimizers."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class ScheduleKind(StrEnum):
    """Learning-rate schedules after the warm-up."""

    constant = "constant"
    inverse_sqrt = "inverse_sqrt"
    cosine = "cosine"
    plateau = "plateau"
    halving = "halving"


@dataclass
class OptimConfig:
    """Optimizer, learning-rate schedule and gradient clipping."""

    kind: OptimizerKind = OptimizerKind.adam
    """Optimizer: adam (Kingma and Ba 2015), adamw (Loshchilov and Hutter 2019) or sgd."""
    learning_rate: float = 2e-3
    """Peak learning rate, reached at the end of the warm-up."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    """Decay rates of Adam's first and second moment estimates. The second is 0.98 as in Vaswani et al. 2017 (5.3)."""
    eps: float = 1e-8
    """Constant added to Adam's denominator."""
    momentum: float = 0.0
    """Momentum of SGD."""
    weight_decay: float = 0.0
    """Weight decay: decoupled for adamw (Loshchilov and Hutter 2019), an L2 gradient for adam and sgd. Includes
    biases."""
    l1: float = 0.0
    """Coefficient of the sum of absolute weights (without biases), added to the mean loss of a step."""
    l2: float = 0.0
    """Coefficient of half the sum of squared weights (without biases), added to the mean loss of a step."""
    schedule: ScheduleKind = ScheduleKind.cosine
    """Learning rate after the warm-up. constant; inverse_sqrt: proportional to 1 / sqrt(step); cosine: to `final_ratio`
    at `train.max_steps`; plateau: reduced when validation stops improving; halving: halved at fixed steps."""
    warmup_steps: int = 200
    """Steps of linear warm-up from zero."""
    final_ratio: float = 0.01
    """cosine: final learning rate as a fraction of the peak."""
    plateau_factor: float = 0.5
    """plateau: factor applied to the learning rate."""
    plateau_patience: int = 2
    """plateau: the factor is applied after more than this number of validations in a row without improvement."""
    halve_after: int = 0
    """halving: steps before the learning rate is first halved."""
    halve_every: int = 0
    """halving: steps between later halvings (Sutskever et al. 2014, 3.4; Luong et al. 2015, 4.1)."""
    clip_norm: float = 1.0
    """Maximum global norm of the gradients, which are scaled down to it (Pascanu et al. 2013); 0 disables clipping."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "learning_rate", 1e-12, 1e3)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            yield "betas", f"is {self.betas}; allowed: two numbers from 0 to below 1"
        for name in ("eps", "weight_decay", "l1", "l2", "warmup_steps", "clip_norm", "plateau_patience"):
            yield from number(self, name, 0)
        yield from number(self, "momentum", 0, 1)
        yield from number(self, "halve_after", 0)
        yield from number(self, "halve_every", 1 if self.schedule == ScheduleKind.halving else 0)
        yield from number(self, "final_ratio", 0, 1)
        yield from number(self, "plateau_factor", 0.01, 1)
