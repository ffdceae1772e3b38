"""How the weights move."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number


class OptimizerKind(StrEnum):
    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class ScheduleKind(StrEnum):
    constant = "constant"
    inverse_sqrt = "inverse_sqrt"
    cosine = "cosine"
    plateau = "plateau"
    halving = "halving"


@dataclass
class OptimConfig:
    """Optimizer, learning-rate schedule and clipping."""

    kind: OptimizerKind = OptimizerKind.adam
    learning_rate: float = 2e-3
    """The highest learning rate, reached at the end of the warm-up."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    """Decay of Adam's first and second moment."""
    eps: float = 1e-8
    """Adam's guard against division by zero."""
    momentum: float = 0.0
    """SGD's momentum."""
    weight_decay: float = 0.0
    """Decoupled for adamw (Loshchilov and Hutter 2019), an L2 gradient for adam and sgd."""
    l1: float = 0.0
    """Added to the mean loss of a step: this times the sum of the weights' absolute values, biases left out."""
    l2: float = 0.0
    """Added likewise: half of this times the sum of the weights' squares."""
    schedule: ScheduleKind = ScheduleKind.cosine
    """After the warm-up: constant; inverse square root of the step; cosine to `final_ratio`; lower on a plateau;
    halved on a timetable."""
    warmup_steps: int = 200
    """Steps of linear warm-up from zero."""
    final_ratio: float = 0.01
    """The cosine's last learning rate, as a share of the highest."""
    plateau_factor: float = 0.5
    """The plateau schedule multiplies the learning rate by this ..."""
    plateau_patience: int = 2
    """... after more than this many validations in a row without improvement."""
    halve_after: int = 0
    """The halving schedule halves the learning rate after this many steps ..."""
    halve_every: int = 0
    """... and again after each time this many more (Sutskever et al. 2014, 3.4; Luong et al. 2015, 4.1)."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm (Pascanu et al. 2013); 0 turns clipping off."""

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
