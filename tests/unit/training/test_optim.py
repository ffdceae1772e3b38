"""Learning rates against their formulas and torch's schedulers; optimizers against the papers' updates by hand."""

import itertools
import json
import math
import random

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from nmt.config import OptimConfig, OptimizerKind, ScheduleKind
from nmt.training.optim import (
    Schedule,
    build_optimizer,
    clip_gradients,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
)

PEAK = 0.8


def schedule(kind: str, warmup: int = 4, max_steps: int = 24, **changes: float) -> Schedule:
    config = OptimConfig(schedule=ScheduleKind(kind), learning_rate=PEAK, warmup_steps=warmup, **changes)
    return Schedule(config, max_steps)


@pytest.mark.parametrize("kind", list(ScheduleKind))
def test_warm_up_is_linear_and_goes_over_into_every_schedule_without_a_jump(kind: str) -> None:
    rates = schedule(kind)
    assert [rates.learning_rate(step) for step in (1, 2, 3, 4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    long = schedule(kind, warmup=10_000, max_steps=30_000)
    assert long.learning_rate(10_000) == PEAK
    assert long.learning_rate(10_001) == pytest.approx(PEAK, rel=1e-3)
    assert long.learning_rate(9_999) == pytest.approx(PEAK, rel=1e-3)


@pytest.mark.parametrize("kind", list(ScheduleKind))
def test_without_warm_up_the_first_step_has_the_highest_rate(kind: str) -> None:
    assert schedule(kind, warmup=0, max_steps=10_000).learning_rate(1) == pytest.approx(PEAK)


def test_constant_stays() -> None:
    assert {schedule("constant").learning_rate(step) for step in range(4, 100)} == {PEAK}


def test_inverse_square_root_is_equation_3_of_vaswani_over_its_highest_value() -> None:
    rates, warmup = schedule("inverse_sqrt"), 4
    for step in range(1, 60):
        paper = min(step**-0.5, step * warmup**-1.5)
        assert rates.learning_rate(step) == pytest.approx(PEAK * paper / warmup**-0.5)
    assert rates.learning_rate(16) == pytest.approx(PEAK / 2)


def test_cosine_is_torchs_and_ends_at_its_last_ratio() -> None:
    warmup, max_steps, ratio = 4, 24, 0.1
    rates = schedule("cosine", warmup, max_steps, final_ratio=ratio)
    dummy = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    theirs = CosineAnnealingLR(dummy, T_max=max_steps - warmup, eta_min=PEAK * ratio)
    for step in range(warmup, max_steps + 1):
        assert rates.learning_rate(step) == pytest.approx(theirs.get_last_lr()[0])
        dummy.step()
        theirs.step()
    assert rates.learning_rate(14) == pytest.approx(PEAK * (1 + ratio) / 2)  # half way
    assert rates.learning_rate(max_steps) == pytest.approx(PEAK * ratio)
    assert rates.learning_rate(max_steps + 5) == pytest.approx(PEAK * ratio)


def test_halving_follows_its_timetable() -> None:
    rates = schedule("halving", warmup=0, halve_after=6, halve_every=3)
    actual = [rates.learning_rate(step) / PEAK for step in range(1, 15)]
    assert actual == [1] * 6 + [1 / 2] * 3 + [1 / 4] * 3 + [1 / 8] * 2
    assert [key for key, _ in OptimConfig(schedule=ScheduleKind.halving).problems()] == ["halve_every"]


def test_plateau_halves_after_one_validation_more_than_its_patience() -> None:
    rates = schedule("plateau", plateau_patience=2)
    actual = []
    for improved in (True, False, False, True, False, False, False, False, False, False):
        rates.update_plateau(improved)
        actual.append(rates.learning_rate(50) / PEAK)
    assert actual == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_plateau_lowers_when_torchs_scheduler_does(patience: int) -> None:
    rates = schedule("plateau", plateau_patience=patience, plateau_factor=0.7)
    dummy = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    theirs = ReduceLROnPlateau(dummy, mode="max", factor=0.7, patience=patience, threshold=0.0, eps=0.0)
    random_source, score = random.Random(patience), 0
    for validation in range(60):
        improved = validation == 0 or random_source.random() < 0.3
        score += improved
        theirs.step(score if improved else -1)
        rates.update_plateau(improved)
        assert rates.learning_rate(50) == pytest.approx(dummy.param_groups[0]["lr"])


def test_a_schedule_restored_from_its_state_continues_the_same() -> None:
    whole, first = (schedule("plateau", plateau_patience=1) for _ in range(2))
    history = [True, False, False, False, True, False, False, False, False]
    for improved in history:
        whole.update_plateau(improved)
    for improved in history[:4]:
        first.update_plateau(improved)
    second = schedule("plateau", plateau_patience=1)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for improved in history[4:]:
        second.update_plateau(improved)
    assert second.learning_rate(50) == whole.learning_rate(50) == PEAK / 8
    assert second.state_dict() == whole.state_dict()


GRADIENTS = (0.5, -2.0, 0.25, 0.0, 1.0)


def adam(weight: float, config: OptimConfig) -> float:
    """Algorithm 1 of Kingma and Ba 2015; weight decay as an L2 gradient, or decoupled (Loshchilov and Hutter 2019)."""
    beta1, beta2 = config.betas
    m = v = 0.0
    for t, gradient in enumerate(GRADIENTS, start=1):
        if config.kind == OptimizerKind.adamw:
            weight -= config.learning_rate * config.weight_decay * weight
        else:
            gradient += config.weight_decay * weight
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        weight -= config.learning_rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + config.eps)
    return weight


def descent(weight: float, config: OptimConfig) -> float:
    """Gradient descent with momentum: v = mu v + g, w = w - lr v."""
    velocity = 0.0
    for gradient in GRADIENTS:
        velocity = config.momentum * velocity + gradient + config.weight_decay * weight
        weight -= config.learning_rate * velocity
    return weight


@pytest.mark.parametrize("kind", list(OptimizerKind))
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_the_papers_by_hand(kind: OptimizerKind, weight_decay: float, momentum: float) -> None:
    config = OptimConfig(kind, 0.1, betas=[0.8, 0.9], eps=1e-3, momentum=momentum, weight_decay=weight_decay)
    model = nn.ParameterList([torch.tensor([1.5], dtype=torch.float64)])
    optimizer = build_optimizer(model, config)
    for gradient in GRADIENTS:
        model[0].grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    expected = descent(1.5, config) if kind == OptimizerKind.sgd else adam(1.5, config)
    assert model[0].item() == pytest.approx(expected, rel=1e-6)


def test_set_learning_rate_decides_the_size_of_a_step() -> None:
    model = nn.ParameterList([torch.tensor([1.0])])
    optimizer = build_optimizer(model, OptimConfig(OptimizerKind.sgd))
    set_learning_rate(optimizer, 0.25)
    model[0].grad = torch.tensor([2.0])
    optimizer.step()
    assert model[0].item() == 0.5


def take_steps(model: nn.Module, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", list(OptimizerKind))
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_optimizer_restored_from_its_tensors_continues_bit_for_bit(kind: OptimizerKind, momentum: float) -> None:
    config = OptimConfig(kind, 0.01, weight_decay=0.1, momentum=momentum)
    torch.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer, other_optimizer = build_optimizer(model, config), build_optimizer(other, config)
    take_steps(model, optimizer, range(5))

    saved = safetensors.torch.save(optimizer_tensors(optimizer))
    other.load_state_dict(model.state_dict())
    load_optimizer_tensors(other_optimizer, safetensors.torch.load(saved))
    for trained, trained_optimizer in ((model, optimizer), (other, other_optimizer)):
        take_steps(trained, trained_optimizer, range(5, 9))
    assert torch.equal(other.weight, model.weight)
    assert torch.equal(other.bias, model.bias)
    actual, expected = optimizer_tensors(other_optimizer), optimizer_tensors(optimizer)
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], expected[name]) for name in expected)


def test_tensors_are_named_by_parameter_and_moment() -> None:
    model = nn.Linear(3, 2)
    optimizer = build_optimizer(model, OptimConfig(OptimizerKind.adam))
    assert optimizer_tensors(optimizer) == {}
    take_steps(model, optimizer, range(1))
    expected = {f"{index}.{name}" for index, name in itertools.product((0, 1), ("step", "exp_avg", "exp_avg_sq"))}
    assert set(optimizer_tensors(optimizer)) == expected


def with_gradients() -> nn.ParameterList:
    """Two parameters with gradients (3) and (0, 4): their norm together is 5."""
    parameters = nn.ParameterList([torch.zeros(1), torch.zeros(2), torch.zeros(1)])
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([0.0, 4.0])
    return parameters


@pytest.mark.parametrize(("max_norm", "expected"), [(1.0, [0.6, 0.0, 0.8]), (2.5, [1.5, 0, 2]), (9.0, [3, 0, 4])])
def test_gradients_are_scaled_down_to_the_norm_and_never_up(max_norm: float, expected: list[float]) -> None:
    parameters = with_gradients()
    assert clip_gradients(parameters, max_norm).item() == pytest.approx(5.0)
    actual = [*parameters[0].grad.tolist(), *parameters[1].grad.tolist()]
    assert actual == pytest.approx(expected, rel=1e-5)
    assert parameters[2].grad is None


def test_zero_turns_clipping_off_and_still_measures() -> None:
    parameters = with_gradients()
    assert clip_gradients(parameters, 0.0).item() == 5.0
    assert parameters[1].grad.tolist() == [0.0, 4.0]


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_shows_in_the_norm(bad: float) -> None:
    parameters = with_gradients()
    parameters[0].grad.fill_(bad)
    assert not math.isfinite(clip_gradients(parameters, 1.0).item())
